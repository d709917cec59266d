"""The commands behind docs/figures.md: they report missing images before they train, and the page matches its sources."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest
import torch

from sparring.evaluation.compare import compare_classes
from sparring.report.plots import image_grid

STUDIES = Path(__file__).resolve().parents[2] / "studies"


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """studies/figures.py without any runs, where training is forbidden."""
    monkeypatch.syspath_prepend(STUDIES)
    import figure_runs
    import figures

    monkeypatch.setattr(figure_runs, "RUNS", tmp_path / "runs")
    monkeypatch.setattr("sparring.train", lambda *args, **options: pytest.fail("it had begun to train"))
    monkeypatch.chdir(tmp_path)
    return figures


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Two classes with one image each, in both splits."""
    for split in ("train", "test"):
        for name in ("cat", "dog"):
            image_grid(
                torch.zeros(1, 3, 32, 32, dtype=torch.uint8), tmp_path / "mine" / split / name / "0.png", columns=1
            )
    return tmp_path / "mine"


def test_a_figure_whose_images_are_missing_is_not_drawn(
    figures: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert figures.main(["as-gan-2", "nat-6", "--cifar10", "nowhere.zip"]) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2 and "as-gan-2 is not drawn" in said[0] and "nat-6 is not drawn" in said[1]
    assert all("'nowhere.zip'" in line and "give images with --cifar10" in line for line in said)


def test_a_figure_whose_run_fails_is_not_drawn(
    figures: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(figures, "train", lambda run, places: None)
    monkeypatch.setattr(figures, "draw_one", lambda name: pytest.fail("it lacks a run"))
    assert figures.main(["sdp-3"]) == 1 and "sdp-3 is not drawn" in capsys.readouterr().err
    monkeypatch.setattr(figures, "train", lambda run, places: Path(run))
    monkeypatch.setattr(figures, "draw_one", lambda name: None)
    assert figures.main(["sdp-3"]) == 0 and not capsys.readouterr().err


@pytest.mark.parametrize(("words", "code"), [(["foo"], 2), (["--help"], 0), (["mhgan-5", "--cifar"], 2)])
def test_arguments_are_checked(
    figures: ModuleType, words: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    import figure_runs

    for main in (figures.main, figure_runs.main):
        with pytest.raises(SystemExit) as stop:
            main(words)
        assert stop.value.code == code and "Traceback" not in "".join(capsys.readouterr())


@pytest.mark.parametrize("name", ["mhgan-4", "mhgan-5", "mhgan-6"])
def test_class_distances_come_with_their_number_of_samples(figures: ModuleType, name: str) -> None:
    import figure_runs
    import figures_page

    for run in figures.FIGURES[name][1]:
        evaluation = figure_runs.recipe_of(run, {})["evaluation"]
        if "intra" in evaluation["metrics"]:
            assert f"uses {evaluation['n'] // 10} samples and one seed" in figures_page.WORDS[name][1]


@pytest.mark.parametrize("name", ["sdp-4", "mhgan-8"])
def test_the_page_says_where_runs_contradict_a_paper(figures: ModuleType, name: str) -> None:
    import figures_page

    numbers = json.loads((STUDIES.parent / "docs" / "figures" / "numbers.json").read_text())[name]["numbers"]
    words = figures_page.WORDS[name][1]
    if name == "sdp-4":
        for last in numbers.values():
            assert last["WGAN-GP"] == pytest.approx(last["WGAN-GP-SDP"], rel=0.05)
        assert "does not fail under either" in words and "level with SDP at the end" in words
    else:
        assert numbers["effective rank"] == {"sagan": 10, "mhshared": 10} and "effective rank of 10 of 10" in words


def test_a_users_images_replace_cifar(figures: ModuleType, pictures: Path) -> None:
    import figure_runs

    names, places = figure_runs.asked(["as-gan-2", "--cifar10", "mine"], "", figures.FIGURES)
    assert names == ["as-gan-2"] and places == {"cifar10": str(pictures)}
    for run in figures.FIGURES["as-gan-2"][1]:
        assert figure_runs.lacking(run, places) is None
        assert figure_runs.recipe_of(run, places)["data"]["source"] == str(pictures)
    assert figure_runs.recipe_of("dcgan", places)["data"]["source"] == "fashion-mnist-10k"
    assert figure_runs.outside("nat-gan-3-cifar") == ["cifar10", "tiny-imagenet"]
    assert "no class" in str(figure_runs.lacking("nat-gan-3-cifar", places | {"tiny-imagenet": str(pictures)}))
    fetched = figure_runs.recipe_of("dcgan-cifar", {"cifar10": "torchvision:CIFAR10"})["data"]
    assert fetched["download"] and fetched["source"] == "torchvision:CIFAR10"


def test_classes_that_got_worse_are_not_among_the_improved(figures: ModuleType) -> None:
    rows = ([5.0, 9.0, 1.0, 7.0], [4.0, 3.0, 1.04, 7.0])
    both = compare_classes(*({"metric": "fd", "per_class": values} for values in rows))
    assert figures.gained(both) == [1, 0]


def test_the_page_matches_its_numbers_and_text(figures: ModuleType) -> None:
    import figures_page

    assert figures_page.PAGE.read_text(encoding="utf-8") == figures_page.page()
    assert "| CIFAR-10 | `nat-6`, `sdp-2`, `as-gan-1`" in figures_page.page()
