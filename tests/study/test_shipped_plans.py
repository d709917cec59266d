"""The plans that ship: all of them are there, valid at every scale, and listed in docs/studies/plans.md.

`python tests/study/test_shipped_plans.py` prints the page's table.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from sparring.describe import load_recipe
from sparring.recipe.files import flat
from sparring.study.check import check_on_data
from sparring.study.plan import Plan, shipped_plans
from sparring.study.resolve import Study, resolve

PAGE = Path(__file__).parents[2] / "docs" / "studies" / "plans.md"
PLANS = {  # where the papers have them, and what no paper tried
    "as-gan": "figure-4 figure-4-cifar10 figure-4-paired figure-6 figure-8 figure-9 "
    "table-1 table-1-celeba table-1-lsun table-2 table-3",
    "mhgan": "figure-10 figure-11 k-plus-one section-3.2 section-3.3 table-1 table-2",
    "nat": "table-1 table-2 table-3",
    "nat-gan": "figure-6 table-4 table-4-tiny-imagenet",
    "new": "cifar10-ranking few-images methods-300-steps pairs r3gan",
    "sdp": "figure-3 figure-4 table-1 table-1-cifar100 table-2 wgan-gp-cifar10",
    "toy": "grid-25 nat-1d ring-8",
}
HEADLINES = {  # claims (row, against, metric, what is tested), which were written down before the first run
    "as-gan/figure-4": {
        ("AS, 1/255", "DCGAN", "fd", "lower"),
        ("AS, 1/255", "eps = 0", "fd", "lower"),
        ("eps = 0", "DCGAN", "fd", 0.1),
        ("Gaussian noise", "DCGAN", "fd", 0.1),
        ("AS, 4/255", "DCGAN", "fd", "higher"),
        ("AS, 1/255", "DCGAN", "robustness.fgsm-1", "higher"),
    },
    "mhgan/table-1": {
        ("MHGAN", "SAGAN", "fd", "lower"),
        ("MHGAN", "SAGAN", "is", "higher"),
        ("MHGAN", "SAGAN", "intra-fd", "lower"),
        ("MHGAN", "ACGAN, 2 steps", "fd", "lower"),
    },
    "mhgan/section-3.2": {
        ("MHShared, weight 0.1", "SAGAN trained on", "is", "higher"),
        ("MHShared, weight 0.1", "SAGAN trained on", "coverage", "lower"),
    },
    "nat-gan/table-4": {
        ("NAT-GAN_0", "AM-GAN", "is", "higher"),
        ("NAT-GAN_0", "AM-GAN", "am", "lower"),
        ("NAT-GAN_3", "NAT-GAN_0", "is", "higher"),
        ("NAT-GAN_3", "NAT-GAN_0", "fd", "higher"),
        ("NAT-GAN_3", "CatGAN_3", "is", "higher"),
        ("AM-GAN_3", "AM-GAN", None, "more often"),
    },
    "sdp/table-1": {(f"{host} + SDP", host, "fd", "lower") for host in ("LSGAN", "WGAN-GP", "hinge")},
    "sdp/figure-4": {(f"{row} + SDP", row, None, "less often") for row in ("lr 0.001", "no normalisation")},
    "new/few-images": {
        ("ADA", "plain", "kd", "lower"),
        ("DiffAugment", "plain", "kd", "lower"),
        ("ADA", "plain", "accuracy.held-out", "higher"),
    },
    "sdp/figure-3": {("lambda 0.1", "lambda 0", "fd", "higher")},
}


@cache
def resolved(name: str, scale: str) -> Study:
    return resolve(name, scale)


def test_every_plan_is_there() -> None:
    assert set(shipped_plans()) == {f"{paper}/{name}" for paper, names in PLANS.items() for name in names.split()}


@pytest.mark.parametrize("name", shipped_plans())
def test_a_plan_is_valid_at_every_scale(name: str) -> None:
    plan = Plan.load(name)
    no_paper = {"paper"} if name.startswith("toy/") else set()
    assert set(plan.scales) == {"paper", "mini", "smoke"} - no_paper and len(plan.about) > 10
    for scale in plan.scales:
        study = resolved(name, scale)
        named = {label for claim in plan.claims for label in (claim.row, claim.against)}
        assert named <= set(study.rows), f"a row of a claim is not run at scale {scale}"
    mini, smoke = plan.scales["mini"], plan.scales["smoke"]
    assert mini.cpu_minutes and mini.note and smoke.note and smoke.seeds == (0, 1)
    for row in resolved(name, "smoke").rows.values():
        assert row.steps <= 40
        sources = {value for key, value in flat(row.recipe).items() if key.rpartition(".")[2] == "source" and value}
        assert all(source.startswith(("fashion-mnist-10k", "noise:")) for source in sources)


@pytest.mark.slow
@pytest.mark.parametrize("name", shipped_plans())
def test_a_smoke_test_fits_its_data(name: str) -> None:
    study = resolved(name, "smoke")
    check_on_data(study, study.rows, lambda text: None)


@pytest.mark.parametrize("name", [name for name in shipped_plans() if not name.startswith(("toy/", "new/"))])
def test_the_papers_rows_are_the_shipped_recipes_as_they_are(name: str) -> None:
    plan = Plan.load(name)
    assert all(key.startswith("evaluation.") for key in plan.scales["paper"].set)
    for label, row in resolved(name, "paper").rows.items():
        shipped = load_recipe(plan.rows[label].recipe).to_dict()
        differing = {key for key, value in shipped.items() if value != row.recipe[key]}
        own = {key.partition(".")[0] for key in plan.rows[label].set}
        assert differing <= {"threads", *own, *(["evaluation"] if plan.scales["paper"].set else [])}, label
        assert not own or label == "MHShared, weight 1" or name == "as-gan/figure-8", (
            f"{label} sets {own}: write a recipe"
        )


@pytest.mark.parametrize("name", HEADLINES)
def test_headline_claims(name: str) -> None:
    claims = Plan.load(name).claims
    found = {(c.row, c.against, c.metric, c.direction or c.not_better_by or c.fails) for c in claims}
    assert found == HEADLINES[name]


@pytest.mark.parametrize(
    ("name", "source", "classes"),
    [
        ("as-gan/figure-4", "fashion-mnist-10k", None),
        ("as-gan/figure-4-cifar10", "folder:cifar10", None),
        ("as-gan/table-1-celeba", "folder:celeba", None),
        ("mhgan/table-2", "folder:tiny-imagenet-32", "0-19"),
        ("nat-gan/table-4-tiny-imagenet", "folder:tiny-imagenet-32", 100),
        ("sdp/table-1-cifar100", "torchvision:CIFAR100", None),
        ("sdp/table-2", "folder:tiny-imagenet-32", None),
    ],
)
def test_mini_takes_these_images(name: str, source: str, classes: str | int | None) -> None:
    for row in resolved(name, "mini").rows.values():
        data = row.recipe["data"]
        found = data["classes"] if isinstance(classes, str | None) else len(data["classes"])
        assert (data["source"], data["size"], found) == (source, 32, classes)
        assert row.recipe["evaluation"]["extractor"] == (
            "fashion" if source.startswith("fashion") else "efficientnet-lite0"
        )


def test_the_papers_numbers_stand_beside_the_rows() -> None:
    assert resolved("as-gan/figure-4", "mini").plan.rows["AS, 1/255"].paper == {"is": 7.21, "fid": 25.5}
    assert resolved("nat-gan/table-4", "mini").plan.rows["NAT-GAN_1"].paper == {"is": 9.21, "am": 0.034, "fid": 15.12}
    of_nat = resolved("nat/table-2", "paper").plan.rows["64 per batch"].paper
    assert of_nat["ncr.noise.0.4"] == 0.608 and of_nat["ncr.CIFAR-100 train.0.9"] == 0.0003 and len(of_nat) == 16
    assert resolved("nat/table-1", "mini").plan.rows["NAT"].paper == {"accuracy": 0.9503}


def table() -> str:
    """The table of docs/studies/plans.md."""
    lines = ["| plan | what | paper | rows | claims | CPU hours at mini |", "|---|---|---|---|---|---|"]
    for name in shipped_plans():
        plan = Plan.load(name)
        mini = plan.scales["mini"]
        rows, seeds = len(mini.rows or plan.rows), len(mini.seeds or plan.seeds)
        hours = f"{rows * seeds * (mini.cpu_minutes or 0) / 60:.1f}"
        cells = [f"`{name}`", plan.about, str(plan.paper.get("where", "")), str(len(plan.rows)), str(len(plan.claims))]
        lines.append(f"| {' | '.join([*cells, hours])} |")
    return "\n".join(lines)


def test_the_page_lists_all_plans() -> None:
    assert table() in PAGE.read_text(encoding="utf-8"), table()


if __name__ == "__main__":
    print(table())
