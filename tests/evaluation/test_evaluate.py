"""Any set of images against any: what a set may be, what a record says, ranks, and what is refused."""

import hashlib
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch

import sparring
from sparring.data.arrays import write_npz
from sparring.data.packed import PackedImages
from sparring.errors import SparringError
from sparring.evaluation import evaluate_sets, open_set
from sparring.evaluation.accuracies import run_accuracies
from sparring.evaluation.evaluate import evaluate_pair, evaluate_run
from sparring.evaluation.extractors.base import Features
from sparring.files import cache_folder
from sparring.metrics import GaussianStats, frechet_distance

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from two_sets import FAKES, REALS, Corners, noise  # noqa: E402 - beside this file

from tiny import tiny_images, tiny_recipe  # noqa: E402


@pytest.fixture
def run(tmp_path, without_reports):
    recipe = tiny_recipe(steps=2, generator={**tiny_recipe()["generator"], "network": {"kind": "dcgan", "width": 4}})
    sparring.train(recipe, data=tiny_images(), out=tmp_path / "run")
    return tmp_path / "run"


def of(images, real, metrics=("fd",), **options):
    return evaluate_pair(images, real, extractor=Corners(), metrics=metrics, **options)


def test_a_run_a_generator_file_a_folder_an_npz_and_images_from_python(run, tmp_path):
    generated = sparring.sample(run, 30, out=tmp_path / "folder")
    write_npz(tmp_path / "packed.npz", PackedImages(generated, name="packed"))
    want = frechet_distance(Corners()(generated).features, Corners()(tiny_images().images).features)
    for a in (tmp_path / "folder", str(tmp_path / "packed.npz"), PackedImages(generated)):
        (record,) = of(a, tiny_images())
        assert record["value"] == pytest.approx(want, rel=1e-9)
    alone = tmp_path / "lone.safetensors"
    alone.write_bytes((run / "generator.safetensors").read_bytes())
    (by_run,), (by_file,) = of(run, tiny_images(), n=30), of(alone, tiny_images(), n=30)
    assert by_run["value"] == by_file["value"] and by_run["seed"] == 0
    assert of(run, tiny_images(), n=30, seed=1)[0]["value"] != by_run["value"]
    (turned,) = of(tiny_images(), run, n_real=30)
    assert turned["value"] == pytest.approx(by_run["value"], rel=1e-9) and (turned["n_real"], turned["n_fake"]) == (
        30,
        40,
    )


def test_a_record_says_what_it_is_of():
    (record,) = of(FAKES, REALS, n=20, seed=4)
    said = {key: record[key] for key in ("data", "split", "generated", "generated_split", "n_real", "n_fake", "seed")}
    assert said == {
        "data": "reals", "split": "test", "generated": "fakes", "generated_split": "train", "n_real": 40, "n_fake": 20,
        "seed": 4,
    }  # fmt: skip
    assert record["real_seed"] is None and record["version"] == sparring.__version__
    assert json.loads(json.dumps(record)) == record


def test_statistics_from_a_file_serve_where_they_were_measured_alike(tmp_path):
    (whole,) = of(FAKES, REALS)
    (path,) = (cache_folder() / "reference").iterdir()
    (record,) = of(FAKES, path)
    assert record["value"] == pytest.approx(whole["value"], rel=1e-11)
    assert (record["data"], record["split"], record["n_real"]) == ("reals", "test", 40)
    other = Corners()
    other.resize, other.weights_sha256 = "bilinear", "def"
    with pytest.raises(SparringError, match="weights_sha256 'def' against 'abc123'; resize 'bilinear' against 'none'"):
        evaluate_pair(FAKES, path, extractor=other, metrics=("fd",))
    wide = Counted()
    wide.name, wide.dimensions = "wide", 5
    with pytest.raises(SparringError, match=r"extractor 'wide' against 'corners'$"):
        evaluate_pair(FAKES, path, extractor=wide, metrics=("fd", "fd-infinity"))
    assert wide.shown == 0
    for wrong, said in (({"n_real": 10}, "leave --n-real out"), ({"split": "test"}, "leave --split out")):
        with pytest.raises(SparringError, match=said):
            of(FAKES, path, **wrong)
    with pytest.raises(SparringError, match="metric 'kd' needs the real images, not their statistics"):
        of(FAKES, path, metrics=("kd",))
    theirs = GaussianStats(4)
    theirs.update(Corners()(REALS.images).features)
    theirs.save(tmp_path / "theirs.npz")
    assert "does not say how it was measured" in str(of(FAKES, tmp_path / "theirs.npz")[0]["notes"])


def test_distances_within_classes_need_classes(run):
    values = {r["metric"]: r for r in of(FAKES, REALS, metrics=("intra",))}
    record = values["corners-intra-FD"]
    assert record["measured"] == 2 and record["class_names"] == ["x", "y"]
    assert any("15 to 20 images" in note for note in record["notes"])
    with pytest.raises(SparringError, match=r"the generated images \(.*\) have no class labels"):
        of(run, tiny_images(), metrics=("intra",), n=30)
    with pytest.raises(SparringError, match=r"the real images \(images\) have no class labels"):
        of(FAKES, PackedImages(noise(9, 3)), metrics=("intra",))


def test_wrong_input_is_named(tmp_path, run):
    colour = PackedImages(noise(9, 3).expand(-1, 3, -1, -1))
    with pytest.raises(SparringError, match="different numbers of channels: images has 3, reals has 1"):
        of(colour, REALS)
    with pytest.raises(SparringError, match="50 images of fakes were requested, but it has 31"):
        of(FAKES, REALS, n=50)
    with pytest.raises(
        SparringError, match="n, the number of generated images to measure, must be a whole number of at least 2, got 1"
    ):
        of(run, tiny_images(), n=1)
    with pytest.raises(SparringError, match="one has 1 image, but measuring needs at least 2"):
        of(PackedImages(noise(1, 3), name="one"), REALS)
    with pytest.raises(SparringError, match="batch_size must be a whole number of at least 1, got 0"):
        of(FAKES, REALS, batch_size=0)
    with pytest.raises(SparringError, match="say which feature extractor"):
        evaluate_pair(FAKES, REALS)
    with pytest.raises(SparringError, match="has no split 'test'"):
        of(run, tiny_images(), images_split="test")
    with pytest.raises(SparringError, match="got 10 for 5 images"):
        of(FAKES, REALS, n=5, metrics=("is",))
    with pytest.raises(SparringError, match="got 31 for 40 and 31"):
        of(FAKES, REALS, metrics=("fd", "prdc"), neighbours=31)
    with pytest.raises(SparringError, match="no metric was given"):
        of(FAKES, REALS, metrics=())
    with pytest.raises(SparringError, match="--is-splits only affects the metric is"):
        of(FAKES, REALS, metrics=("fd",), is_splits=3)
    with pytest.raises(SparringError, match="--is-splits only affects the metric is"):
        sparring.evaluate(run, metrics=("fd",), is_splits=3)
    with pytest.raises(SparringError, match="n=50 and --n 60 differ: give one of them"):
        sparring.evaluate(run, overrides=["n=50"], n=60)
    with pytest.raises(SparringError, match="unknown metric ''"):
        sparring.evaluate(run, metrics="")
    with pytest.raises(SparringError, match="is not used with --real"):
        sparring.evaluate(FAKES, real=REALS, overrides=["n=5"])


class Mean(Corners):
    """The mean of each channel's quarters, of images of any size."""

    def __call__(self, images):
        features = torch.nn.functional.adaptive_avg_pool2d(images.float() / 50, 2)[:, 0].flatten(1)
        return Features(features, features[:, :3])


def test_sizes_are_recorded_noted_and_refused_of_statistics(tmp_path):
    large = PackedImages(REALS.images.repeat_interleave(2, 2).repeat_interleave(2, 3), name="large")
    (alike,) = evaluate_pair(FAKES, REALS, extractor=Mean(), metrics=("fd",))
    assert (alike["size_real"], alike["size_fake"]) == ("4x4", "4x4") and "pixels" not in str(alike["notes"])
    (again,) = evaluate_pair(FAKES, REALS, extractor=Mean(), metrics=("fd",))  # from kept statistics
    assert (again["size_real"], again["size_fake"]) == ("4x4", "4x4")
    (record,) = evaluate_pair(FAKES, large, extractor=Mean(), metrics=("fd",))
    assert (record["size_real"], record["size_fake"]) == ("8x8", "4x4")
    assert "generated images are 4x4 and real ones 8x8 pixels" in str(record["notes"])
    (one, two) = (cache_folder() / "reference").iterdir()
    kept = next(path for path in (one, two) if GaussianStats.load(path).provenance["size"] == "8x8")
    with pytest.raises(SparringError, match="size '4x4' against '8x8'"):
        evaluate_pair(FAKES, kept, extractor=Mean(), metrics=("fd",))
    stats = GaussianStats.load(kept)
    del stats.provenance["size"]  # as older versions left it
    stats.save(tmp_path / "old.npz")
    (old,) = evaluate_pair(FAKES, tmp_path / "old.npz", extractor=Mean(), metrics=("fd",))
    assert old["value"] == pytest.approx(record["value"]) and old["size_real"] is None


def test_grey_images_are_not_measured_against_statistics_of_coloured_ones(tmp_path):
    colour = PackedImages(REALS.images.expand(-1, 3, -1, -1))
    evaluate_pair(colour, colour, extractor=Corners(), metrics=("fd",))
    (path,) = (cache_folder() / "reference").iterdir()
    with pytest.raises(SparringError, match="channels 1 against 3"):
        of(FAKES, path)
    assert of(colour, path)[0]["value"] < 1e-9
    stats = GaussianStats.load(path)
    del stats.provenance["channels"]  # as older versions left it
    stats.save(tmp_path / "old.npz")
    assert of(FAKES, tmp_path / "old.npz")[0]["value"] > 0


def test_options_that_nothing_reads_are_refused(run):
    for wrong, said in (
        ({"size": 8}, "--size"),
        ({"channels": 3, "skip_unreadable": True}, "--channels, --skip-unreadable"),
    ):
        with pytest.raises(SparringError, match=f"generators and statistics are used as they are: leave {said} out"):
            of(run, run, n=30, n_real=30, **wrong)
    assert of(run, tiny_images(), n=30, size=8)[0]["n_fake"] == 30


@pytest.mark.parametrize("n", [-5, 0, 1, 10.0, True, "5"])
def test_how_many_images_is_a_whole_number_of_at_least_2(run, n):
    wrong = f"must be a whole number of at least 2, got {n!r}"
    for sets in ((FAKES, REALS), (run, tiny_images())):
        for which in ({"n": n}, {"n_real": n}):
            with pytest.raises(SparringError, match=wrong):
                of(*sets, **which)


def test_records_name_the_generator_the_data_and_foreign_statistics_by_their_hashes(run, tmp_path):
    (record,) = of(run, tiny_images(), n=30, batch_size=20)
    description = json.loads((run / "generator.json").read_text())
    assert record["generated_hash"] == description["content_hash"] and record["batch_size"] == 20
    assert record["data_hash"] == tiny_images().fingerprint
    theirs = GaussianStats(4)
    theirs.update(Corners()(REALS.images).features)
    theirs.save(tmp_path / "theirs.npz")
    (foreign,) = of(FAKES, tmp_path / "theirs.npz")
    digest = hashlib.sha256((tmp_path / "theirs.npz").read_bytes()).hexdigest()
    assert (foreign["statistics_file"], foreign["statistics_sha256"]) == ("theirs.npz", digest)
    assert foreign["generated_hash"] == FAKES.fingerprint and "statistics_file" not in record
    with pytest.raises(SparringError, match=r"'.*theirs\.npz' holds statistics, not images: .*--real"):
        of(tmp_path / "theirs.npz", REALS)


def test_classes_that_differ_are_named():
    letters = PackedImages(noise(40, 0), torch.arange(40) % 6, tuple("abcdef"), name="letters")
    fewer = PackedImages(noise(40, 1), torch.arange(40) % 5, tuple("abcde"))
    with pytest.raises(SparringError, match="classes differ: only in the real images: f; leave"):
        of(fewer, letters, metrics=("intra",))
    turned = PackedImages(noise(40, 1), torch.arange(40) % 5, tuple("abdce"))
    with pytest.raises(SparringError, match="class 2 is 'd' in the generated images and 'c' in the real"):
        of(turned, fewer, metrics=("intra",))


def test_few_images_keep_their_distance_without_a_score():
    said = []
    records = evaluate_pair(FAKES, REALS, extractor=Corners(), n=8, note=said.append)
    names = [r["metric"] for r in records]
    assert names[0] == "corners-FD" and "corners-IS" not in names
    assert any("no Inception Score: 8 images cannot form 10 groups" in line for line in said)
    counted = Counted()
    for wrong in (
        {"metrics": ("fd", "is"), "n": 8},
        {"metrics": ("prdc",), "neighbours": 40},
        {"metrics": ("fd-infinity",), "n": 14},
    ):
        with pytest.raises(SparringError):
            evaluate_pair(FAKES, REALS, extractor=counted, **wrong)
    assert counted.shown == 0  # said before any image is looked at


class Counted(Corners):
    shown = 0

    def __call__(self, images):
        self.shown += len(images)
        return super().__call__(images)


def test_a_set_against_itself_is_computed_to_be_zero_and_noted():
    (record,) = of(REALS, REALS)
    assert record["value"] < 1e-9
    assert any("compared with itself" in note for note in record["notes"])


def test_measuring_leaves_the_global_random_numbers_alone(run):
    before = torch.random.get_rng_state()
    of(run, tiny_images(), n=30, metrics=("fd", "kd-subsets", "fd-infinity", "is"), is_splits=2)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.fixture
def run_with_data(run, tmp_path):
    """Of the run, what finds its images again."""
    write_npz(tmp_path / "images.npz", tiny_images())
    recipe = json.loads((run / "recipe.json").read_text())
    recipe["recipe"]["data"]["source"] = str(tmp_path / "images.npz")
    (run / "recipe.json").write_text(json.dumps(recipe))
    return run


def test_two_processes_find_what_one_does(tmp_path, run_with_data, monkeypatch):
    workers = [
        subprocess.Popen(
            [sys.executable, str(HERE / "measuring_worker.py"), str(tmp_path), str(run_with_data)],
            env=os.environ | {"RANK": str(rank), "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
        )
        for rank in (0, 1)
    ]
    for worker in workers:
        assert worker.wait(100) == 0, worker.stderr.read().decode()
        worker.stderr.close()
    alone = of(FAKES, REALS, metrics=("fd", "kd", "is", "classes"), batch_size=7, is_splits=3)
    monkeypatch.setattr("sparring.evaluation.protocol.extractor_for", lambda *args, **options: Corners())
    protocol = {"n": 300, "metrics": ("fd", "kd", "classes"), "batch_size": 100}
    of_run = evaluate_run(run_with_data, [], protocol, device="cpu")
    shares, again = [], []
    for rank in (0, 1):
        check_alike(json.loads((tmp_path / f"rank-{rank}.json").read_text()), alone)
        seen, together = json.loads((tmp_path / f"run-{rank}.json").read_text())
        check_alike(together, of_run)
        shares.append(seen)
        seen, distance = json.loads((tmp_path / f"again-{rank}.json").read_text())
        again.append(seen)
        assert distance == pytest.approx(of_run[0]["value"], rel=1e-9)
    assert sum(shares) == 300 + len(tiny_images()) and max(shares) < 300  # each image once, by one of the two
    # of three batches, two and one; no real image again: both ranks took the statistics that rank 0 alone had kept
    assert again == [200, 100]


def check_alike(together, alone):
    assert [r["metric"] for r in together] == [r["metric"] for r in alone]
    for ours, theirs in zip(together, alone, strict=True):
        assert ours["value"] == pytest.approx(theirs["value"], rel=1e-10), ours["metric"]
        assert (ours["n_fake"], ours.get("notes")) == (theirs["n_fake"], theirs.get("notes"))


def test_an_override_in_quotes_stays_text(run_with_data):
    with pytest.raises(SparringError, match="unknown extractor '2024'"):
        sparring.evaluate(run_with_data, overrides=["extractor='2024'"])


def test_a_runs_discriminator_is_asked_for_its_accuracies(run_with_data):
    records = sparring.evaluate(run_with_data, metrics=("accuracies",), n=10)
    assert [(r["metric"], r["step"]) for r in records][:1] == [("real, train: share above 0", 2)]
    assert all(0 <= r["value"] <= 1 for r in records)
    assert all(len(r["weights_sha256"]) == 64 and r["dtype"] == "float32" for r in records)
    assert [r.get("seed") for r in records if r["of"] == "generated"] == [0]
    assert sparring.evaluate(run_with_data, overrides=["metrics=[accuracies]", "n=10"]) == records
    other = sparring.evaluate(run_with_data, metrics=("accuracies",), n=10, seed=1)
    assert [(r.get("seed"), r.get("real_seed")) for r in other] == [(None, 1), (1, None)]
    assert [r["generated_hash"] for r in other[1:]] == [
        json.loads((run_with_data / "generator.json").read_text())["content_hash"]
    ]


@pytest.mark.parametrize(("loss", "boundary"), [("hinge", 0), ("least_squares", 0.5), ("wasserstein", None)])
def test_accuracies_count_real_at_the_losses_boundary_and_hold_out_what_was_not_trained_on(
    tmp_path, without_reports, loss, boundary
):
    write_npz(tmp_path / "images.npz", tiny_images())
    recipe = tiny_recipe(steps=2, data=str(tmp_path / "images.npz"), objective={loss: {}})
    run = sparring.train(recipe, out=tmp_path / "run").folder
    other = PackedImages(255 - tiny_images().images, tiny_images().labels, tiny_images().class_names, name="other")
    for held_out, expected in ((tiny_images(), ["train", "generated"]), (other, ["train", "held-out", "generated"])):
        said = []
        records = run_accuracies(run, held_out=held_out, n=10, note=said.append)
        names = [r["metric"] for r in records]
        assert names == ([] if boundary is None else [f"real, {of}: share above {boundary:g}" for of in expected])
        assert any("are the training images themselves" in line for line in said) == (held_out is not other)
        assert any("no boundary" in line for line in said) == (boundary is None)


class Flat(torch.nn.Module):
    def forward(self, x):
        return x.flatten(1)[:, :4], x.flatten(1)[:, :3]


def test_a_run_is_measured_alike_in_training_and_afterwards_and_names_its_generator(tmp_path, without_reports):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(Flat(), torch.zeros(2, 1, 8, 8)).save(tmp_path / "flat.pt")
    write_npz(tmp_path / "images.npz", tiny_images())
    evaluation = {"extractor": str(tmp_path / "flat.pt"), "n": 130, "batch_size": 50}
    recipe = tiny_recipe(steps=2, data=str(tmp_path / "images.npz"), evaluation=evaluation)
    run = sparring.train(recipe, out=tmp_path / "run")
    then = {r["metric"]: r for r in run.metrics}["flat.pt-FD"]
    description = json.loads((run.folder / "generator.json").read_text())
    assert then["generated_hash"] == description["content_hash"]
    now = next(r for r in sparring.evaluate(run, overrides=["batch_size=33"]) if r["metric"] == "flat.pt-FD")
    assert now["generated_hash"] == description["content_hash"] and now["real_seed"] is None
    drawn = sparring.evaluate(run, overrides=["n_real=20", "seed=3"])[0]
    assert (drawn["n_real"], drawn["real_seed"], drawn["seed"]) == (20, 3, 3)
    assert now["value"] == pytest.approx(then["value"], rel=1e-9)
    for wrong in ({"metrics": ["is"], "is_splits": 131}, {"metrics": ["prdc"], "n": 5}):
        with pytest.raises(SparringError, match=r"got 131 for 130|got 5 for 40 and 5"):
            sparring.train(recipe | {"evaluation": evaluation | wrong}, out=tmp_path / "never")
    assert not (tmp_path / "never" / "log.jsonl").exists()


def test_an_images_set_is_taken_as_it_is():
    made = open_set(FAKES, n=10, seed=3)
    assert open_set(made) is made and made.n == 10
    assert torch.equal(made.take(2, 3), made.take(0, 10)[2:5])
    (record,) = evaluate_sets(made, open_set(REALS), extractor=Corners())
    assert record["n_fake"] == 10
