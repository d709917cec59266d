"""The shipped recipes: what the papers say of each row, real parameter counts, and what a method changes in its baseline."""

from __future__ import annotations

import json
from collections import defaultdict
from functools import cache
from typing import Any

import pytest

from sparring.recipe.files import quoted_rows, shipped_recipes
from sparring.recipe.gan import Recipe, differences
from sparring.recipe.networks import build_networks

NAMES = list(shipped_recipes("GAN"))
PAPERS = ("as-gan", "mhgan", "nat-gan", "sdp")
ROWS = [name for name in NAMES if name.split("/")[0] in PAPERS]


@cache
def load(name: str) -> Recipe:
    return Recipe.load(name)


# --- which there are ---


def test_every_row_that_the_authors_ran_is_there_with_its_number() -> None:
    numbers = defaultdict(int)
    for name in ROWS:
        paper = load(name).paper
        assert paper is not None and paper["title"] and paper["protocol"] and paper["checkpoint"], name
        assert {"table", "figure", "section", "reading", "control"} & set(paper), name
        if "number" in paper and "table" in paper:
            numbers[name.split("/")[0]] += 1
    # SDP: tables 1 and 2; NAT-GAN: 9 settings on 2 sets; MHGAN: table 1 (2 is a picture); AS-GAN: 6 on 3 sets, 2 timings
    assert numbers == {"sdp": 28 + 4, "nat-gan": 18, "mhgan": 3, "as-gan": 18 + 2}


def test_numbers_of_the_tables() -> None:
    """A few of each table, typed from the papers once more."""
    expected = {
        "sdp/wgan-gp-sdp-cifar10": {"FID": 31.52},
        "sdp/sn-gan-sdp-tiny-imagenet": {"FID": 52.48},
        "sdp/autogan-cifar100": {"FID": 25.70},
        "sdp/wgan-gp-lr-0.001-cifar10": {"FID": 116.69},
        "nat-gan/nat-gan-3-cifar10": {"IS": 9.26, "AM": 0.043, "FID": 14.58},
        "nat-gan/am-gan-tiny-imagenet": {"IS": 5.91, "AM": 0.641, "FID": 43.85},
        "nat-gan/cat-gan-10-cifar10": {"IS": 9.08, "AM": 0.078, "FID": 15.43},
        "mhgan/mhgan-imagenet128": {"IS": 61.98, "FID": 13.27},
        "mhgan/acgan-ssl-imagenet128": {"IS": 32.38, "FID": 26.12},
        "mhgan/mhshared-gan-imagenet64": {"IS": 30.47, "FID": 10.03},
        "as-gan/as-sn-dcgan-cifar10": {"IS": 7.24, "FID": 24.50},
        "as-gan/as-sn-resnet-lsun": {"FID": 8.00},
        "as-gan/resnet-lsun": {"FID": 175.70},
    }
    assert {name: (load(name).paper or {})["number"] for name in expected} == expected


def test_quoted_rows_are_listed_and_no_recipes() -> None:
    quoted = {(row["paper"], row["row"]) for row in quoted_rows()}
    assert {
        ("as-gan", "WGAN-div (ResNet)"),
        ("nat-gan", "MMD-GAN"),
        ("mhgan", "BigGAN 1M"),
        ("mhgan", "S2GAN-CO"),
    } <= quoted
    rows = {(name.split("/")[0], (load(name).paper or {}).get("row")) for name in ROWS}
    assert not quoted & rows
    assert not any(part.startswith("_") for name in NAMES for part in name.split("/"))


def test_nobody_has_run_these_in_full() -> None:
    assert not any(load(name).run_in_full for name in ROWS)


def test_what_a_recipe_is_goes_round_through_json() -> None:
    for name in NAMES:
        assert Recipe.load(json.loads(json.dumps(load(name).to_dict()))) == load(name), name


def test_a_users_recipe_takes_no_number_over(tmp_path: Any) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("extends: as-gan/as-dcgan-cifar10\nbatch_size: 32\n")
    assert Recipe.load(mine).paper is None
    assert "number" not in (load("as-gan/as-dcgan-eps-2-cifar10").paper or {})


# --- the papers' settings ---


def settings(name: str) -> dict[str, Any]:
    r = load(name)
    g, d = r.generator, r.discriminator
    return {
        "z": g.latent_size,
        "lr": (g.optimizer.lr, d.optimizer.lr),
        "betas": (g.optimizer.betas, d.optimizer.betas),
        "batch": r.batch_size,
        "steps": r.steps,
        "d_steps": r.d_steps,
        "ema": None if g.ema is None else g.ema.decay,
    }


SDP = {"z": 128, "lr": (2e-4, 2e-4), "batch": 64, "steps": 100_000, "ema": None}
CNN, RESNET = {"betas": ((0.5, 0.999),) * 2}, {"betas": ((0.0, 0.9),) * 2}
AS = {"z": 100, "lr": (2e-4, 2e-4), "betas": ((0.5, 0.999),) * 2, "batch": 64, "d_steps": 1, "ema": None}
MH = {"z": 128, "lr": (1e-4, 4e-4), "betas": ((0.0, 0.999),) * 2, "batch": 1024, "d_steps": 1, "ema": None}
SETTINGS: dict[str, dict[str, Any]] = {
    "sdp/lsgan-sdp-cifar10": SDP | CNN | {"d_steps": 1},
    "sdp/hinge-tiny-imagenet": SDP | CNN | {"d_steps": 1},
    "sdp/wgan-gp-sdp-cifar100": SDP | CNN | {"d_steps": 5},
    "sdp/wgan-gp-lr-0.001-sdp-cifar10": SDP | CNN | {"d_steps": 5, "lr": (1e-3, 1e-3)},
    "sdp/sn-gan-cifar10": SDP | RESNET | {"d_steps": 5},
    "sdp/autogan-sdp-cifar10": SDP | RESNET | {"d_steps": 1, "lr": (1e-4, 4e-4), "ema": 0.999},
    "mhgan/mhgan-imagenet128": MH | {"steps": 1_000_000},
    "mhgan/acgan-imagenet64": MH | {"steps": 1_000_000, "d_steps": 2},
    "mhgan/acgan-ssl-imagenet128": MH | {"steps": 1_000_000, "d_steps": 2, "z": 120, "lr": (1e-4, 5e-4)},
    "mhgan/mhshared-gan-imagenet128": MH | {"steps": 5_000},
    "mhgan/mhshared-gan-imagenet64": MH | {"steps": 15_000},
    "as-gan/as-sn-dcgan-cifar10": AS | {"steps": 200 * 782},
    "as-gan/as-resnet-lsun": AS | {"steps": 10 * 47_392},
    "as-gan/as-dcgan-celeba": AS | {"steps": 100 * 3_166},
    "as-gan/dcgan-celeba": AS | {"steps": 100 * 3_166, "lr": (2e-4, 5e-5)},
    "as-gan/resnet-celeba": AS | {"steps": 100 * 3_166, "lr": (2e-4, 5e-5)},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_of_the_papers(name: str) -> None:
    assert settings(name) == SETTINGS[name]


def test_nat_gan_decays_its_rate_to_zero_over_a_million_steps() -> None:
    for name in (name for name in ROWS if name.startswith("nat-gan/")):
        r = load(name)
        assert (r.steps, r.batch_size, r.d_steps, r.generator.latent_size, r.generator.ema) == (
            1_000_000,
            100,
            1,
            100,
            None,
        )
        for part in (r.generator, r.discriminator):
            assert part.optimizer.betas == (0.5, 0.999)
            lr = part.optimizer.lr
            assert [lr.at(step) for step in (0, 500_000, 1_000_000)] == [4e-4, 2e-4, 0]  # type: ignore[union-attr]


def test_common_to_all_rows() -> None:
    for name in ROWS:
        r = load(name)
        assert not r.data.flip and r.augment is None, name
        assert r.generator.optimizer.eps == r.discriminator.optimizer.eps == 1e-8, name
        assert r.data.size and r.data.channels == 3 and r.data.num_classes is not None, name
        assert r.evaluation is not None and r.evaluation.extractor == "inception", name


def test_protocols() -> None:
    for name in ROWS:
        paper, e = name.split("/")[0], load(name).evaluation
        assert e is not None
        assert (e.n, e.n_real) == {
            "sdp": (10_000, 10_000),
            "nat-gan": (50_000, None),
            "mhgan": (50_000, None),
            "as-gan": (20_000, None),
        }[paper], name
        assert e.split is None, name  # the training images, also where the data are replaced by ones without splits
        if paper in ("nat-gan", "mhgan"):
            assert e.is_splits == 1 and e.metrics == ("fd", "is"), name
        if paper in ("nat-gan", "as-gan"):  # these sample with the statistics of batches of 100
            assert e.batch_size == 100 and load(name).generator.network.options["sampling_statistics"] == "batch", name


def test_methods_settings() -> None:
    sdp = load("sdp/hinge-sdp-cifar10").objective.terms["sdp"]
    assert (sdp.weight, sdp.t, sdp.k, sdp.I_p) == (0.01, 3000, 5, 5000)
    as_gan = load("as-gan/as-resnet-cifar10").objective.terms["as_gan"]
    assert as_gan.eps == pytest.approx(1 / 255, rel=1e-12) and (as_gan.warmup, as_gan.warmup_scope) == (300, "global")
    for level in (0.2, 0.5, 2, 3, 4, 0):
        swept = load(f"as-gan/as-dcgan-eps-{level}-cifar10").objective.terms["as_gan"]
        assert swept.eps == pytest.approx(level / 255, rel=1e-12)
    hinge = load("mhgan/mhgan-imagenet64").objective.terms["multi_hinge"]
    assert (hinge.weight, hinge.generator_weight, hinge.margin, hinge.on_fake, hinge.shared) == (
        1,
        0.1,
        1,
        False,
        False,
    )
    assert load("sdp/wgan-gp-sdp-sum-cifar10").objective.terms["sdp"].weight == 0.01 / 64
    assert load("sdp/wgan-gp-cifar10").objective.terms["gradient_penalty"].weight == 10


def test_tiny_imagenets_classes_and_negatives() -> None:
    r = load("nat-gan/nat-gan-10-tiny-imagenet")
    assert r.negatives is not None
    positive, negative = r.data.classes, r.negatives.classes
    assert isinstance(positive, list) and isinstance(negative, list)
    assert (len(set(positive)), len(set(negative)), r.data.num_classes) == (100, 20, 100)
    assert not set(positive) & set(negative)
    assert positive[:2] == ["n02124075", "n04067472"]  # the data set's own order, not the alphabet's
    assert r.negatives.source == r.data.source and r.objective.terms["negatives"].per_batch == 10


def test_conditioning_where_the_paper_has_it() -> None:
    for name in ROWS:
        r = load(name)
        conditional = r.discriminator.conditioning, r.generator.network.options.get("conditioning", "none")
        if not name.startswith("mhgan/"):
            assert conditional == ("none", "none"), name
        else:
            expected = "none" if "no-projection" in name or "k-plus-one" in name else "projection"
            assert conditional == (expected, "conditional_batch_norm"), name


# --- what a method changes ---

DIFFERENCES = {
    **{
        (f"sdp/{host}-sdp-{data}", f"sdp/{host}-{data}"): {"objective.sdp"}
        for host in ("lsgan", "wgan-gp", "hinge", "sn-gan", "autogan")
        for data in ("cifar10", "cifar100", "tiny-imagenet")
        if (host, data) != ("autogan", "tiny-imagenet")
    },
    **{
        (f"as-gan/as-{net}-{data}", f"as-gan/{net}-{data}"): {"objective.as_gan"}
        | ({"discriminator.optimizer.lr"} if data == "celeba" else set())
        for net in ("dcgan", "resnet")
        for data in ("cifar10", "celeba", "lsun")
    },
    **{
        (f"as-gan/as-sn-{net}-{data}", f"as-gan/as-{net}-{data}"): {"discriminator.network.spectral_norm"}
        for net in ("dcgan", "resnet")
        for data in ("cifar10", "celeba", "lsun")
    },
    **{
        (f"as-gan/as-sn-{net}-{data}", f"as-gan/sn-{net}-{data}"): {"objective.as_gan"}
        for net in ("dcgan", "resnet")
        for data in ("cifar10", "celeba", "lsun")
    },
    **{
        (f"nat-gan/nat-gan-0-{data}", f"nat-gan/am-gan-{data}"): {"objective.nat_gan", "objective.am_gan"}
        for data in ("cifar10", "tiny-imagenet")
    },
    **{
        (f"nat-gan/{host}-{x}-{data}", f"nat-gan/{host}-0-{data}"): {"objective.negatives", "negatives"}
        for host in ("nat-gan", "cat-gan")
        for x in (1, 3, 10)
        for data in ("cifar10", "tiny-imagenet")
    },
    **{(f"mhgan/mhgan-imagenet{size}", f"mhgan/sagan-imagenet{size}"): {"objective.multi_hinge"} for size in (64, 128)},
    **{
        (f"mhgan/acgan-imagenet{size}", f"mhgan/sagan-imagenet{size}"): {"objective.auxiliary_classifier", "d_steps"}
        for size in (64, 128)
    },
    ("mhgan/mhgan-ssl-imagenet128", "mhgan/mhgan-imagenet128"): {"objective.semi_supervised", "data.labelled"},
    ("mhgan/acgan-ssl-imagenet128", "mhgan/acgan-imagenet128"): {
        "objective.semi_supervised",
        "data.labelled",
        "generator.latent_size",
        "discriminator.optimizer.lr",
    },
    ("mhgan/acgan-1-step-imagenet128", "mhgan/acgan-imagenet128"): {"d_steps"},
    ("mhgan/acgan-no-projection-imagenet128", "mhgan/acgan-imagenet128"): {"discriminator.conditioning"},
    ("mhgan/mhshared-gan-from-scratch-imagenet128", "mhgan/mhgan-imagenet128"): {"objective.multi_hinge.shared"},
    ("mhgan/mhgan-released-imagenet128", "mhgan/mhgan-imagenet128"): {"objective.multi_hinge.on_fake"},
    ("as-gan/as-dcgan-eps-0-cifar10", "as-gan/as-dcgan-cifar10"): {"objective.as_gan.eps"},
    ("as-gan/as-dcgan-gaussian-cifar10", "as-gan/as-dcgan-cifar10"): {"objective.as_gan.attack"},
    ("as-gan/dcgan-gp-cifar10", "as-gan/dcgan-cifar10"): {"objective.gradient_penalty"},
    ("as-gan/as-dcgan-released-cifar10", "as-gan/as-dcgan-cifar10"): {
        "objective.as_gan.warmup_scope",
        "generator.network.initialisation",
        "discriminator.network.initialisation",
    },
    ("sdp/wgan-gp-no-norm-cifar10", "sdp/wgan-gp-cifar10"): {
        "generator.network.normalisation",
        "discriminator.network.normalisation",
    },
    ("sdp/wgan-gp-lr-0.001-cifar10", "sdp/wgan-gp-cifar10"): {
        "generator.optimizer.lr",
        "discriminator.optimizer.lr",
    },
    ("nat-gan/nat-gan-3-every-10-cifar10", "nat-gan/nat-gan-3-cifar10"): {"objective.negatives.join_every"},
    ("nat-gan/am-gan-3-cifar10", "nat-gan/am-gan-cifar10"): {"objective.negatives", "negatives"},
}


@pytest.mark.parametrize(("method", "baseline"), DIFFERENCES, ids=[a for a, _ in DIFFERENCES])
def test_a_method_differs_from_its_baseline_in_what_the_paper_says(method: str, baseline: str) -> None:
    expected = DIFFERENCES[method, baseline]
    changed = [
        key
        for key in differences(load(method), load(baseline))
        if key not in ("name", "about") and not key.startswith("paper")
    ]
    of = {key: [e for e in expected if key == e or key.startswith(f"{e}.")] for key in changed}
    assert all(of.values()), [key for key, found in of.items() if not found]
    assert {e for found in of.values() for e in found} == expected


# --- parameters ---

COUNTS = {  # generator, discriminator with its heads
    "as-gan/dcgan-cifar10": (3_448_576, 2_637_312),
    "as-gan/as-sn-dcgan-cifar10": (3_448_576, 2_637_312),
    "as-gan/as-dcgan-released-cifar10": (3_448_576, 2_637_312),
    "as-gan/dcgan-celeba": (12_658_432, 11_036_160),
    "as-gan/sn-dcgan-lsun": (12_658_432, 11_036_160),
    "as-gan/resnet-cifar10": (4_155_907, 4_336_385),
    "as-gan/as-sn-resnet-cifar10": (4_155_907, 4_336_385),
    "as-gan/as-resnet-celeba": (5_402_883, 5_582_337),
    "as-gan/as-sn-resnet-lsun": (5_402_883, 5_582_337),
    "nat-gan/am-gan-cifar10": (4_743_846, 1_559_382),
    "nat-gan/nat-gan-3-cifar10": (4_743_846, 1_558_868),
    "nat-gan/cat-gan-0-tiny-imagenet": (4_743_846, 1_558_868 + 90 * 514),
    "nat-gan/am-gan-tiny-imagenet": (4_743_846, 1_559_382 + 90 * 514),
    "sdp/hinge-cifar10": (3_812_355, 2_930_496 + 8_193),
    "sdp/lsgan-sdp-cifar100": (3_812_355, 2_930_496 + 8_193),
    "sdp/wgan-gp-cifar10": (3_812_355, 2_930_496 + 8_193),
    "sdp/wgan-gp-sdp-cifar100": (3_812_355, 2_930_496 + 8_193),
    "sdp/wgan-gp-no-norm-cifar10": (3_812_355 - 2 * (256 + 128 + 64), 2_927_680 + 8_193),
    "sdp/hinge-sdp-tiny-imagenet": (13_259_267, 11_842_112 + 2 * 2_944 + 16_385),  # convolutions, norms, head
    "sdp/wgan-gp-sdp-tiny-imagenet": (13_259_267, 11_842_112 + 2 * 2_944 + 16_385),
    "sdp/sn-gan-cifar10": (4_276_739, 1_053_825),
    "sdp/sn-gan-sdp-cifar100": (4_276_739, 1_053_825),
    "sdp/sn-gan-sdp-tiny-imagenet": (11_760_387 + 28 * 16_384 + 8 * 64 * 3, 10_141_441),
    "sdp/autogan-cifar10": (4_405_251, 1_053_824),
    "sdp/autogan-sdp-cifar100": (4_405_251, 1_053_824),
    "mhgan/sagan-imagenet128": (42_078_852, 39_463_618),
    "mhgan/mhgan-imagenet128": (42_078_852, 39_463_618 + 1_025_000),
    "mhgan/mhshared-gan-imagenet128": (42_078_852, 39_463_618),
    "mhgan/acgan-no-projection-imagenet128": (42_078_852, 39_463_618 + 1_025_000 - 1_024_000),
    "mhgan/acgan-ssl-imagenet128": (42_078_852 - 8 * 16_384, 39_463_618 + 1_025_000),
    "mhgan/sagan-imagenet64": (13_354_628, 10_111_170),
    "mhgan/acgan-imagenet64": (13_354_628, 10_111_170 + 513_000),
    "mhgan/mhshared-gan-imagenet64": (13_354_628, 10_111_170),
    # the authors' pair for 32 pixels with 1,000 classes, from a base of 6x6; K+1 has no embedding and no score
    "mhgan/mhgan-imagenet48": (3_249_923 + 990 * 2_688 + 256 * 20 * 129, 3_222_337 + 990 * 256 + 257_000),
    "mhgan/k-plus-one-imagenet48": (3_249_923 + 990 * 2_688 + 256 * 20 * 129, 3_222_337 - 2_560 - 257 + 257 * 1_001),
    "quickstart": (299_904, 187_072),
    "few/ada": (1_182_720 + 3 * 2 * 448, 659_200 + 4_096 + 3 * 4_096),  # convolutions and norms, head, embeddings
    "r3gan/r3gan-cifar10": (527_136, 521_088),
}


def networks_key(recipe: Recipe) -> str:
    d, heads = recipe.to_dict(), recipe.objective.heads()
    parts = [d[player][key] for player in ("generator", "discriminator") for key in ("network",)]
    about = [
        d["generator"]["latent_size"],
        d["discriminator"]["conditioning"],
        d["data"]["size"],
        recipe.data.num_classes,
    ]
    if not any(h.outputs == "num_classes" for h in heads.values()) and recipe.discriminator.conditioning == "none":
        about[-1] = None  # the classes change no layer
    return json.dumps([parts, about, [head.model_dump() for head in heads.values()]], sort_keys=True)


def test_every_recipe_is_built_with_its_real_counts() -> None:
    """Each distinct pair of networks and heads once, without memory; every recipe is one of those that COUNTS lists."""
    expected = {networks_key(load(name)): (name, counts) for name, counts in COUNTS.items()}
    missing = {name for name in NAMES if networks_key(load(name)) not in expected}
    assert not missing
    for name, counts in expected.values():
        r = load(name)
        assert r.data.size and r.data.channels and r.data.num_classes is not None
        shape = {"image_size": r.data.size, "image_channels": r.data.channels, "num_classes": r.data.num_classes}
        D, G = build_networks(r, **shape, device="meta")
        assert (sum(p.numel() for p in G.parameters()), sum(p.numel() for p in D.parameters())) == counts, name
