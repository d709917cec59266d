#!/usr/bin/env python
"""Train every method for 300 steps on real images, at a fraction of its paper's width: does it train at all?

    python studies/methods_300_steps.py                 # run all cases that have no result yet
    python studies/methods_300_steps.py --only sdp      # run cases with this in their name
    python studies/methods_300_steps.py --table         # write the table into docs/methods/index.md

A case is a shipped recipe shortened to 300 steps, including its starts, warm-ups and decays (`scale`), so that its method
acts early. There are two data sets: the embedded garments, and CIFAR-10 from ../shared/data/cifar10.zip if it exists. Eight
of the ten classes are the data. The other two are negatives, for methods that use them.

Two quantities are measured before the first step and after the last, on 1,000 samples and 2,000 training images:
- spread: the standard deviation over samples, averaged over positions and channels. Images in [-1, 1] are first averaged
  over 4x4 pixels, so that the pixel noise of an untrained network does not count as diversity. `pixel spread` skips this.
- distance: the Frechet distance of features. On the garments it is `fashion-FD`, with the embedded classifier. On CIFAR-10
  it is `pixel-FD`, on images averaged over 4x4 pixels (192 numbers). It does not use Inception; do not compare it elsewhere.

300 steps at this width show that a method runs, acts and learns. They do not show which method is better.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sparring.data.packed import PackedImages
from sparring.data.partial_labels import keep_share_of_labels
from sparring.data.sources import load
from sparring.evaluation.extractors import FashionExtractor
from sparring.metrics import frechet_distance
from sparring.recipe.gan import Recipe
from sparring.run.generator import sampler_of
from sparring.training.state import TrainingState, build
from sparring.training.step import train_step

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).with_suffix(".json")
INDEX = ROOT / "docs" / "methods" / "index.md"
CIFAR = ROOT.parent / "shared" / "data" / "cifar10.zip"
STEPS, BATCH, SAMPLES, REALS, SEED = 300, 16, 1000, 2000, 0
POSITIVE, NEGATIVE = "0:8", "8:10"
WIDTHS = {"amgan": 12, "dcgan": 12, "r3gan": 12, "sagan": 6, "sngan_cnn": 6}


@dataclass(frozen=True)
class Case:
    """A method: its recipe, and the overrides in addition to size and length."""

    method: str
    recipe: str
    changes: dict[str, Any] = field(default_factory=dict)


K_PLUS_ONE = {"objective.non_saturating": None, "objective.k_plus_one": {}}
NAT_GAN = {"objective.non_saturating": None, "objective.nat_gan": {}}
NEGATIVES = {**NAT_GAN, "negatives": "held-out classes", "objective.negatives": {}}
R3GAN = {
    "generator.ema": 0.98,  # with the recipe's 0.999 the average would be mostly the untrained generator
    "generator.optimizer.lr": 1e-3,  # few steps
    "discriminator.optimizer.lr": 1e-3,
    "objective.r1.weight": 0.5,  # at 16 images a batch instead of 512
    "objective.r2.weight": 0.5,
}
LECAM = {"objective.lecam": {"weight": 0.03, "start": 52_000}}  # from a third of the run on; at 0.1 it held D back here
CASES = [
    Case("(DCGAN, no method)", "as-gan/dcgan-cifar10"),
    Case("as_gan", "as-gan/as-dcgan-cifar10"),
    Case("sdp", "sdp/hinge-sdp-cifar10"),
    Case("nat_gan", "nat-gan/nat-gan-0-cifar10"),
    Case("negatives", "nat-gan/nat-gan-3-cifar10"),
    Case("nat_gan on DCGAN", "as-gan/dcgan-cifar10", NAT_GAN),
    Case("negatives, nat_gan on DCGAN", "as-gan/dcgan-cifar10", NEGATIVES),
    Case("am_gan", "nat-gan/am-gan-cifar10"),
    Case("cat_gan", "nat-gan/cat-gan-0-cifar10"),
    Case("k_plus_one", "as-gan/dcgan-cifar10", K_PLUS_ONE),
    Case("multi_hinge", "mhgan/mhgan-imagenet64"),
    Case("multi_hinge, shared", "mhgan/mhshared-gan-from-scratch-imagenet128"),
    Case("auxiliary_classifier", "mhgan/acgan-imagenet64"),
    Case("semi_supervised", "mhgan/mhgan-ssl-imagenet128"),
    Case("feature_matching", "as-gan/dcgan-cifar10", {"objective.feature_matching": {}}),
    Case("lecam", "as-gan/dcgan-cifar10", LECAM),
    Case("DiffAugment", "as-gan/dcgan-cifar10", {"augment": {"kind": "diffaugment"}}),
    Case("R3GAN", "r3gan/r3gan-cifar10", R3GAN),
]


@dataclass(frozen=True)
class Images:
    """A data set: its images and negatives, and how images become features."""

    name: str
    distance: str
    real: PackedImages
    negatives: PackedImages
    features: Callable[[Tensor], Tensor]


def pooled_pixels(images: Tensor) -> Tensor:
    """uint8 [N, C, 32, 32] -> [N, 64 C]: means over 4x4 pixels, in [0, 1]."""
    return torch.nn.functional.avg_pool2d(images.float() / 255, 4).flatten(1)


def sets() -> list[Images]:
    """The embedded garments, and CIFAR-10 if it exists."""
    extractor = FashionExtractor()

    def fashion(images: Tensor) -> Tensor:
        return torch.cat([extractor(part).features for part in images.split(250)])

    found = [("fashion-mnist-10k", "fashion-FD", fashion, "fashion-mnist-10k")]
    if CIFAR.is_file():
        found.append(("CIFAR-10 (JPEG)", "pixel-FD", pooled_pixels, str(CIFAR)))
    else:
        print(f"skipped: CIFAR-10, as {CIFAR.name} is not in ../shared/data", file=sys.stderr)
    return [
        Images(
            name,
            distance,
            load(source, split="train", size=32, classes=POSITIVE),
            load(source, split="train", size=32, classes=NEGATIVE),
            features,
        )
        for name, distance, features, source in found
    ]


def recipe_of(case: Case) -> Recipe:
    """The recipe of a case, with reduced width and 300 steps."""
    full = Recipe.load(case.recipe)
    width = WIDTHS[full.generator.network.kind]
    changes = {
        "generator.network.width": width,
        "discriminator.network.width": width,
        "batch_size": BATCH,
        "seed": SEED,
        "threads": torch.get_num_threads(),
    }
    if full.generator.network.kind == "sagan":
        changes["generator.network.batch_norm_momentum"] = 0.1  # the authors' 0.001 takes thousands of steps
    return Recipe.load(full, {**changes, **case.changes}).scaled(STEPS / full.steps)


def look(state: TrainingState, images: Images, reference: Tensor) -> dict[str, float]:
    """Spread and distance of the evaluated generator."""
    generator = state.evaluated_generator
    sample = sampler_of(generator, state.recipe.generator.latent_size, images.real.num_classes, SEED)
    made = torch.cat([sample(start, 250) for start in range(0, SAMPLES, 250)])
    distance = frechet_distance(images.features(made), reference)
    return {"spread": spread(pooled_pixels(made)), "pixel spread": spread(made.float() / 255), "distance": distance}


def spread(values: Tensor) -> float:
    """Values [N, ...] of images in [0, 1] -> the mean standard deviation over the images, as of [-1, 1]."""
    return 2 * values.std(0).mean().item()


def run(case: Case, images: Images) -> dict[str, Any]:
    """Train a case. Returns its numbers before and after, and each term's raw value over the first and last 50 steps."""
    torch.manual_seed(SEED)
    recipe = recipe_of(case)
    real, whole = images.real, images.real
    if recipe.data.labelled is not None:
        real, whole = keep_share_of_labels(real, recipe.data.labelled, recipe.seed)
    state = build(
        recipe,
        real,
        negatives=images.negatives if recipe.negatives else None,
        unlabelled=whole if recipe.data.labelled else None,
    )
    some = whole.images[:: max(1, len(whole) // REALS)][:REALS]
    reference = images.features(some)
    of_data = spread(pooled_pixels(some))
    before, started, ticks = look(state, images, reference), time.perf_counter(), []
    while state.step < recipe.steps:
        train_step(state)
        if state.step % 50 == 0:
            ticks.append(state.ledger.tick())  # raises if a value is not finite
    after = look(state, images, reference)
    return {
        "method": case.method,
        "recipe": case.recipe,
        "changes": case.changes,
        "images": images.name,
        "distance": images.distance,
        "steps": state.step,
        "before": before,
        "after": after,
        "spread of the data": of_data,
        "pixel spread of the data": spread(some.float() / 255),
        "terms": {"first 50 steps": ticks[0], "last 50 steps": ticks[-1]},
        "better": after["distance"] < before["distance"] and nearer(before, after, of_data),
        "seconds": round(time.perf_counter() - started, 1),
        **where(),
    }


def nearer(before: dict[str, float], after: dict[str, float], real: float) -> bool:
    """Whether the samples' spread came closer to the data's."""
    return abs(math.log(after["spread"] / real)) < abs(math.log(max(before["spread"], 1e-9) / real))


def where() -> dict[str, str]:
    """Date, commit, hardware and command of a result."""
    git = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    hardware = f"{platform.machine()} CPU, {torch.get_num_threads()} thread, torch {torch.__version__}"
    command = "python studies/methods_300_steps.py"
    return {"date": time.strftime("%Y-%m-%d"), "commit": commit, "hardware": hardware, "command": command}


def table(rows: list[dict[str, Any]]) -> str:
    """The results as Markdown."""
    lines = [
        "| method | recipe | images | distance | before | after | spread before | after | data "
        "| pixel spread before | after | data | better |",
        "|" + "---|" * 13,
    ]
    for row in rows:
        before, after = row["before"], row["after"]
        lines.append(
            f"| {row['method']} | {row['recipe']} | {row['images']} | {row['distance']} | {before['distance']:.3g} "
            f"| {after['distance']:.3g} | {before['spread']:.3f} | {after['spread']:.3f} "
            f"| {row['spread of the data']:.3f} | {before['pixel spread']:.3f} | {after['pixel spread']:.3f} "
            f"| {row['pixel spread of the data']:.3f} | {'yes' if row['better'] else 'no'} |"
        )
    about = sorted({f"{row['date']}, commit {row['commit']}, {row['hardware']}, `{row['command']}`" for row in rows})
    return "\n".join([*lines, "", "Run on " + "; ".join(about) + "."])


def write_table(rows: list[dict[str, Any]]) -> None:
    """Write the table between its marks in the index of the methods."""
    start, end = "<!-- 300 steps -->", "<!-- end of 300 steps -->"
    text = INDEX.read_text()
    head, _, rest = text.partition(start)
    INDEX.write_text(f"{head}{start}\n{table(rows)}\n{end}{rest.partition(end)[2]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", help="cases whose name holds this")
    parser.add_argument("--again", action="store_true", help="run cases that have a result, too")
    parser.add_argument("--table", action="store_true", help="only write the table into docs/methods/index.md")
    given = parser.parse_args()
    rows = {row["key"]: row for row in json.loads(RESULTS.read_text())} if RESULTS.is_file() else {}
    if not given.table:
        torch.set_num_threads(1)
        wanted = [case for case in CASES if given.only in case.method]
        for images in sets():
            for case in wanted:
                key = f"{case.method} on {images.name}"
                if key in rows and not given.again:
                    continue
                rows[key] = {"key": key, **run(case, images)}
                RESULTS.write_text(json.dumps(list(rows.values()), indent=1) + "\n")
                row = rows[key]
                print(f"{key}: {row['before']} -> {row['after']}, {row['seconds']} s", flush=True)
    if INDEX.is_file() and rows:
        order = [case.method for case in CASES]
        write_table(
            sorted(rows.values(), key=lambda row: (row["images"] != "fashion-mnist-10k", order.index(row["method"])))
        )


if __name__ == "__main__":
    main()
