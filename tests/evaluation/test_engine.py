"""Whole evaluations, with an extractor whose features can be written down."""

import json
from dataclasses import replace

import pytest
import torch

from sparring.data.packed import PackedImages
from sparring.errors import SparringError
from sparring.evaluation import evaluate_images
from sparring.evaluation.extractors.base import Features
from sparring.metrics import (
    REGISTRY,
    GaussianStats,
    am_score,
    frechet_distance,
    inception_score,
    kernel_distance,
    kernel_distance_subsets,
    kid,
    precision_recall_density_coverage,
)
from sparring.metrics.fd_infinity import frechet_distance_infinity
from sparring.metrics.names import NUMBERS, metric_name


class Corners:
    """Features: the four corner pixels; logits: three of them. Counts the images it was shown."""

    name, weights_sha256, resize, dimensions = "corners", "abc123", "none", 4
    class_names = ("a", "b", "c")
    cacheable = True
    factor = 1  # of the logits

    def __init__(self):
        self.shown = 0

    def __call__(self, images):
        self.shown += len(images)
        features = images[:, 0, (0, 0, -1, -1), (0, -1, 0, -1)].float() / 50
        return Features(features, features[:, :3] * self.factor if self.class_names else None)


def images(n, seed, low=0, high=256):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(low, high, (n, 1, 4, 4), generator=generator).to(torch.uint8)


@pytest.fixture
def real():
    return PackedImages(images(40, 0), name="noise", split="test")


FAKES = images(30, 1, low=60)


def generate(start, count):
    return FAKES[start : start + count]


def values(records):
    return {record["metric"]: record["value"] for record in records}


def test_every_number_is_that_of_its_function(real):
    labels, real_labels = torch.arange(30) % 3, torch.arange(40) % 3
    records = evaluate_images(
        generate, replace(real, labels=real_labels), extractor=Corners(), n=30, metrics=tuple(REGISTRY), labels=labels,
        batch_size=7, splits=3, neighbours=2,
    )  # fmt: skip
    a, b = Corners()(FAKES), Corners()(real.images)
    p, q = a.logits.double().softmax(1), b.logits.double().softmax(1)
    counts = torch.bincount(p.argmax(1), minlength=3).double() / 30
    four = precision_recall_density_coverage(b.features, a.features, 2)
    got = values(records)
    named = {name: better for numbers in NUMBERS.values() for name, better in numbers.items()}
    assert {r["metric"].removeprefix("corners-"): r["better"] for r in records if r["better"]} == named
    assert got.pop("corners-class-shares") == counts.tolist()
    assert got == pytest.approx(
        {
            "corners-FD": frechet_distance(a.features, b.features),
            "corners-FD-infinity": frechet_distance_infinity(a.features, b.features).value,
            "corners-KD": kernel_distance(a.features, b.features),
            "corners-KD-subsets": kernel_distance_subsets(a.features, b.features, subset_size=30)[0],
            "corners-intra-FD": sum(
                frechet_distance(a.features[labels == k], b.features[real_labels == k]) for k in range(3)
            )
            / 3,
            "corners-modes-covered": (counts > 0).sum().item(),
            "corners-IS": inception_score(p, 3, shuffle=2020)[0],
            "corners-AM": am_score(generated=p, train=q),
            "corners-smallest-class-share": counts.min().item(),
            "corners-mean-max-probability": p.max(1).values.mean().item(),
            **{f"corners-{name}": value for name, value in four._asdict().items()},
        },
        rel=1e-6,
    )


def test_records_say_what_they_were_measured_with_and_are_json(real):
    from sparring import __version__

    records = evaluate_images(generate, real, extractor=Corners(), n=30, seed=7, splits=3)
    assert json.loads(json.dumps(records)) == records
    for record in records:
        common = {key: record[key] for key in ("extractor", "weights_sha256", "resize", "n_real", "n_fake", "seed")}
        assert common == {
            "extractor": "corners", "weights_sha256": "abc123", "resize": "none", "n_real": 40, "n_fake": 30, "seed": 7,
        }  # fmt: skip
        assert (record["split"], record["data"], record["version"]) == ("test", "noise", __version__)
        assert "float32" in record["dtype"]
    score = next(record for record in records if record["metric"] == "corners-IS")
    assert score["groups"] == 3 and score["shuffle_seed"] == 2020 and score["std"] > 0 and score["better"] == "higher"


def test_subsets_that_hold_a_whole_set_have_no_spread(real, monkeypatch):
    def record():
        return evaluate_images(generate, real, extractor=Corners(), n=30, metrics=("kd-subsets",))[0]

    assert "std" not in record() and "all 30 images" in str(record()["notes"])
    monkeypatch.setattr(kid, "SUBSET", 20)
    assert record()["std"] > 0 and "notes" not in record()
    assert (record()["subset_seed"], record()["subset_size"]) == (0, 20)


def test_only_inceptions_numbers_are_called_fid():
    assert [metric_name("inception", each) for each in ("FD", "KD", "IS")] == ["FID", "KID", "IS"]
    assert [metric_name("fashion", each) for each in ("FD", "KD", "IS")] == ["fashion-FD", "fashion-KD", "fashion-IS"]


def test_one_pass_per_set_and_none_over_reals_seen_before(real, tmp_path):
    first, again, other = Corners(), Corners(), Corners()
    done = []
    one = evaluate_images(generate, real, extractor=first, n=30, metrics=("fd", "is", "am", "classes"), splits=3)
    two = evaluate_images(
        generate, real, extractor=again, n=30, metrics=("fd", "is", "am", "classes"), splits=3, batch_size=8,
        progress=lambda *at: done.append(at),
    )  # fmt: skip
    assert (first.shown, again.shown) == (70, 30)
    assert values(two)["corners-FD"] == pytest.approx(values(one)["corners-FD"], rel=1e-11)
    assert values(two)["corners-AM"] == pytest.approx(values(one)["corners-AM"], rel=1e-11)
    assert done == [(8, 30), (16, 30), (24, 30), (30, 30)]

    other.weights_sha256 = "def456"  # another network: nothing of the old one may be used
    evaluate_images(generate, real, extractor=other, n=30, splits=3)
    assert other.shown == 70
    changed = Corners()
    evaluate_images(
        generate, PackedImages(images(40, 2), name="noise", split="test"), extractor=changed, n=30, splits=3
    )
    assert changed.shown == 70
    per_row = Corners()  # needs the reals' features one by one, which are not kept
    evaluate_images(generate, real, extractor=per_row, n=30, metrics=("fd", "kd"))
    assert per_row.shown == 70


def test_kept_statistics_say_what_they_are_and_damaged_ones_are_made_anew(real, tmp_path):
    folder = tmp_path / "statistics"
    evaluate_images(generate, real, extractor=Corners(), n=30, splits=3, cache=folder)
    (path,) = folder.iterdir()
    kept = GaussianStats.load(path)
    assert kept.n == 40
    assert kept.provenance["extractor"] == "corners" and kept.provenance["fingerprint"] == real.fingerprint
    path.write_bytes(path.read_bytes()[:100])
    anew = Corners()
    evaluate_images(generate, real, extractor=anew, n=30, splits=3, cache=folder)
    assert anew.shown == 70
    assert GaussianStats.load(path).n == 40


def test_batch_size_changes_nothing(real, tmp_path):
    found = [
        values(
            evaluate_images(generate, real, extractor=Corners(), n=30, splits=3, batch_size=b, cache=tmp_path / str(b))
        )
        for b in (1, 11, 500)
    ]
    for other in found[1:]:
        shares = "corners-class-shares"
        assert other.pop(shares) == found[0][shares]
        assert other == pytest.approx({key: found[0][key] for key in other}, rel=1e-11)


def test_notes_teach(real):
    def notes(fakes, n, data=real):
        records = evaluate_images(lambda i, k: fakes[i : i + k], data, extractor=Corners(), n=n, metrics=("fd",))
        return " | ".join(records[0].get("notes", []))

    assert "only 3 images for 4 dimensions" in notes(FAKES, 3)
    assert "compare only with numbers from 30 generated and 40 real" in notes(FAKES, 30)
    assert "10 of 40 generated images are exact copies of another" in notes(torch.cat([FAKES, FAKES[:10]]), 40)
    assert "compared with itself" in notes(real.images, 40)
    assert "1 of 40 generated images is an exact copy of a real" in notes(
        torch.cat([images(39, 5), real.images[:1]]), 40
    )
    assert notes(images(40, 5), 40) == ""


def test_only_frechet_distances_are_said_to_be_biased(real):
    labels = torch.arange(40) % 2
    records = evaluate_images(
        generate, replace(real, labels=labels), extractor=Corners(), n=30, metrics=tuple(REGISTRY), labels=labels[:30],
        splits=3,
    )  # fmt: skip
    said = {record["metric"] for record in records if "the bias depends on both" in str(record.get("notes"))}
    assert said == {"corners-FD", "corners-FD-infinity", "corners-intra-FD"}


def test_users_mistakes_are_named(real):
    def run(make=generate, **changes):
        return evaluate_images(make, real, **{"extractor": Corners(), "n": 30, **changes})

    with pytest.raises(SparringError, match="unknown metric 'prcd': did you mean 'prdc'"):
        run(metrics=("prcd",))
    assert [row["metric"] for row in run(metrics="fd, kd")] == [row["metric"] for row in run(metrics=("fd", "kd"))]
    with pytest.raises(SparringError, match="unknown metric 'KID': did you mean 'kd'"):
        run(metrics="fd,KID")
    with pytest.raises(SparringError, match="a whole number of at least 2, got 1"):
        run(n=1)
    with pytest.raises(SparringError, match=r"uint8 images \[30, C, H, W\]"):
        run(lambda start, count: FAKES.float())
    with pytest.raises(SparringError, match=r"\[30, C, H, W\]"):
        run(lambda start, count: FAKES[:5])
    with pytest.raises(SparringError, match="3 channels and the real ones 1"):
        run(lambda start, count: FAKES.expand(-1, 3, -1, -1))
    for splits in (0, 1.5, "10", True):
        with pytest.raises(SparringError, match=f"--is-splits.* whole number of at least 1, got {splits!r}"):
            run(splits=splits)
    with pytest.raises(SparringError, match="batch_size must be a whole number of at least 1, got 0"):
        run(batch_size=0)
    blind = Corners()
    blind.class_names = None
    with pytest.raises(SparringError, match="'is' needs class predictions"):
        run(extractor=blind)
    broken = Corners()
    broken.factor = torch.tensor([1, float("nan"), 1])
    for metric in ("fd", "classes", "is", "am"):
        with pytest.raises(SparringError, match="the corners extractor gives NaN or infinite logits"):
            run(extractor=broken, metrics=(metric,))
    assert [row["metric"] for row in run(extractor=blind, metrics=("fd",))] == ["corners-FD"]
