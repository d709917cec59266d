"""A metric of the user's own, as `package.module:Class`: where it works, and whose consent it takes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import sparring
from sparring.data.arrays import write_npz
from sparring.errors import SparringError
from sparring.evaluation.evaluate import evaluate_pair
from sparring.recipe.gan import Recipe
from sparring.trust import CodeNotAllowedError

sys.path.insert(0, str(Path(__file__).parent))
from two_sets import FAKES, REALS, Corners

from sparring.metrics import Metric, record
from tiny import tiny_images, tiny_recipe

NAME = "own_metric_of_mine:Ratio"
SOURCE = """
from sparring.metrics import Metric, record

class Ratio(Metric):
    needs = frozenset({"fake.features", "real.features"})

    def records(self, fake, real, c):
        yield record("ratio", (fake.features.norm() / real.features.norm()).item(), None, notes=["mine"])
"""


@pytest.fixture
def recipe(tmp_path, monkeypatch) -> dict:
    """A recipe with a metric of its own, and the folder with the metric's module as the current one."""
    (tmp_path / "own_metric_of_mine.py").write_text(SOURCE)
    write_npz(tmp_path / "images.npz", tiny_images())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tiny_recipe(steps=2, evaluation={"extractor": None, "metrics": [NAME, "fd"], "n": 10})
    sys.modules.pop("own_metric_of_mine", None)


def test_it_is_measured_beside_those_that_ship_and_after_them(recipe):
    fd, own = evaluate_pair(FAKES, REALS, extractor=Corners(), metrics=[NAME, "fd"])
    features = [Corners()(images.images).features.norm() for images in (FAKES, REALS)]
    assert (fd["metric"], own["metric"]) == ("corners-FD", "corners-ratio")
    assert own["value"] == pytest.approx(float(features[0] / features[1])) and own["notes"][-1] == "mine"


def test_a_recipe_may_name_it_and_a_run_that_is_opened_only_with_consent(
    recipe, tmp_path, monkeypatch, without_reports
):
    assert Recipe.load(recipe).evaluation.metrics == (NAME, "fd")
    run = sparring.train(recipe, out="run", progress=False)
    monkeypatch.setenv("SPARRING_ALLOW_CODE", "0")
    with pytest.raises(CodeNotAllowedError, match=r"own_metric_of_mine:Ratio \(metric\)"):
        Recipe.load("run")
    assert Recipe.load("run", allow_code=True).evaluation.metrics == (NAME, "fd")
    assert sparring.evaluate(run, extractor="efficientnet-lite0")[-1]["metric"] == "efficientnet-lite0-ratio"


def test_what_is_no_metric_is_refused(recipe):
    for name, said in (
        ("torch.nn:Linear", "is not a subclass of sparring.metrics.base.Metric"),
        ("own_metric_of_mine:Ration", "did you mean 'Ratio'"),
        ("FD", "unknown metric 'FD': did you mean 'fd'"),
    ):
        with pytest.raises(SparringError, match=said):
            Recipe.load(recipe, {"evaluation.metrics": [name]})
        with pytest.raises(SparringError, match=said):
            evaluate_pair(FAKES, REALS, extractor=Corners(), metrics=(name,))


def test_a_file_of_statistics_serves_a_metric_that_needs_no_real_image(tmp_path):
    class OfOne(Metric):
        needs = frozenset({"fake.features"})

        def records(self, fake, real, c):
            yield record("of-one", 0.0, None)

    sys.modules["own_metric_in_memory"] = type(sys)("own_metric_in_memory")
    sys.modules["own_metric_in_memory"].OfOne = OfOne
    try:
        stats = sparring.metrics.GaussianStats(4)
        stats.update(Corners()(REALS.images).features)
        stats.save(tmp_path / "statistics.npz")
        found = evaluate_pair(
            FAKES, tmp_path / "statistics.npz", extractor=Corners(), metrics="own_metric_in_memory:OfOne,classes"
        )
        assert [row["metric"] for row in found][-1] == "corners-of-one" and len(found) == 5
    finally:
        del sys.modules["own_metric_in_memory"]


def test_a_generator_without_classes_is_no_match_for_intra_before_training(recipe, tmp_path):
    changes = {"evaluation": {"extractor": "efficientnet-lite0", "metrics": ["intra"], "n": 10}}
    with pytest.raises(SparringError, match=r"the generated images \(generated\) have no class labels"):
        sparring.train(recipe, changes, out="run", progress=False)
    assert not Path("run/log.jsonl").exists()
