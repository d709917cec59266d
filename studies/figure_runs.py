"""The runs behind docs/figures.md. They are small, so that all of them train in one night on one core.

Each is a recipe for `sparring train`. Finished runs are kept, interrupted ones continue.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch

import sparring
from sparring.errors import SparringError
from sparring.recipe.gan import Recipe
from sparring.run.data import load_run_data

Places = dict[str, str]

ROOT = Path(__file__).resolve().parents[1]
RUNS = ROOT / "runs" / "figures"
CIFAR, TINY_IMAGENET = "cifar10", "tiny-imagenet"
PLACES: Places = {  # paths of images that do not ship with the package
    CIFAR: "../shared/data/cifar10.zip",
    TINY_IMAGENET: "../shared/data/tiny-imagenet-32.zip",
}
STEPS = 720  # of most runs; runs that others are compared with or start from take LONG
LONG = 1200
EPS = 1 / 255
NEGATIVES = (0, 3, 10)  # per batch of 32, for NAT-GAN's Figure 6


def _recipe(name: str, objective: dict[str, Any], *, cifar: bool = False, **changes: Any) -> dict[str, Any]:
    """A narrow DCGAN on the embedded garments or CIFAR-10. Keyword arguments replace dotted keys (`__` for a dot)."""
    garments = {"source": "fashion-mnist-10k", "split": "train", "size": 32, "channels": 1, "num_classes": 10}
    optimizer = {"lr": 4e-4, "betas": [0.5, 0.99]}
    recipe: dict[str, Any] = {
        "name": name,
        "data": {"source": str(ROOT / PLACES[CIFAR]), "split": "train", "size": 32, "channels": 3}
        if cifar
        else garments,
        "generator": {"network": {"kind": "dcgan", "width": 24}, "latent_size": 64, "optimizer": dict(optimizer)},
        "discriminator": {"network": {"kind": "dcgan", "width": 16}, "optimizer": dict(optimizer)},
        "objective": objective,
        "steps": STEPS,
        "batch_size": 32,
        "threads": 1,
        "evaluation": None if cifar else {"every": STEPS // 5, "n": 500, "metrics": ["fd", "is"]},
        "log_every": 10,
        "samples_every": STEPS,
        "checkpoint_every": STEPS // 5,
        "keep_checkpoints": 12,
    }
    for key, value in changes.items():
        part = recipe
        *path, last = key.split("__")
        for word in path:
            part = part[word]
        part[last] = value
    return recipe


def _sdp(name: str, weight: float | None, **changes: Any) -> dict[str, Any]:
    """WGAN-GP with layer norm in D and one D update per step; SDP with the paper's t and I_p scaled to this length."""
    objective: dict[str, Any] = {"wasserstein": {}, "gradient_penalty": {"weight": 10.0}}
    if weight:
        objective["sdp"] = {"weight": weight, "t": round(0.03 * STEPS / 2), "I_p": round(0.05 * STEPS / 2), "k": 5}
    options = {
        "discriminator__network__normalisation": "layer",
        "steps": STEPS // 2,
        "evaluation__every": STEPS // 10,
    } | changes
    return _recipe(name, objective, **options)


def _classes(name: str, objective: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A conditional GAN like the quickstart: projection, spectral norm, hinge loss."""
    options: dict[str, Any] = {
        "generator__network__conditioning": "conditional_batch_norm",
        "discriminator__conditioning": "projection",
        "discriminator__network__normalisation": "none",
        "discriminator__network__spectral_norm": "exact",
        "generator__optimizer": {"lr": 4e-4, "betas": [0.0, 0.99]},
        "discriminator__optimizer": {"lr": 4e-4, "betas": [0.0, 0.99]},
        "evaluation": {"every": LONG // 5, "n": 500, "metrics": ["fd", "is", "intra"]},
        "steps": LONG,
        "samples_every": LONG,
        "checkpoint_every": LONG // 5,
    }
    return _recipe(name, {"hinge": {}, **objective}, **(options | changes))


def _as(name: str, term: dict[str, Any] | None, **changes: Any) -> dict[str, Any]:
    """A plain DCGAN with the non-saturating loss, with or without AS-GAN. The warm-up is a fiftieth of the run."""
    objective: dict[str, Any] = {"non_saturating": {}}
    if term is not None:
        objective["as_gan"] = {"eps": EPS, "warmup": STEPS // 50} | term
    return _recipe(name, objective, **changes)


def _learning(generator: float, discriminator: float, beta_1: float) -> dict[str, Any]:
    """The learning rates, and beta1 for both networks."""
    betas = [beta_1, 0.99]
    return {
        "generator__optimizer": {"lr": generator, "betas": betas},
        "discriminator__optimizer": {"lr": discriminator, "betas": betas},
    }


def _nat(name: str, negatives: int, *, cifar: bool) -> dict[str, Any]:
    """NAT-GAN on narrow AM-GAN networks. Negatives are bags, or classes of Tiny ImageNet that CIFAR-10 does not have."""
    bags = {"source": "fashion-mnist-10k", "split": "train", "classes": ["bag"], "size": 32, "channels": 1}
    others = {"source": str(ROOT / PLACES[TINY_IMAGENET]), "split": "train", "classes": OTHERS}
    recipe = _recipe(
        name,
        {"nat_gan": {}} | ({"negatives": {"per_batch": negatives}} if negatives else {}),
        cifar=cifar,
        generator__network={"kind": "amgan", "width": 12},
        discriminator__network={"kind": "amgan", "width": 12},
        evaluation=None,
    )
    if negatives:
        recipe["negatives"] = others if cifar else bags
    if not cifar:
        recipe["data"] |= {"classes": "0-7,9", "num_classes": 9}
    return recipe


OTHERS = [  # elephant, acorn, bell pepper, cauliflower, meat loaf; altar, obelisk, beaker, bannister, bucket
    *("n02504458", "n12267677", "n07720875", "n07715103", "n07871810"),
    *("n02699494", "n03837869", "n02815834", "n02788148", "n02909870"),
]
MULTI_HINGE = {"multi_hinge": {"weight": 1.0, "generator_weight": 0.1}}
SHARED = {"multi_hinge": {"weight": 1.0, "generator_weight": 1.0, "shared": True}}
NO_NORM = {"discriminator__network__normalisation": "none", "generator__network__normalisation": "none"}
RESNET = {
    "generator__network": {"kind": "sngan", "width": 16},
    "discriminator__network": {"kind": "sngan", "width": 12},
    "steps": STEPS // 2,
    "evaluation__every": STEPS // 10,
}
COLLAPSING: dict[str, dict[str, Any]] = {  # settings in which plain GANs lose their diversity
    name: changes | {"steps": 300, "evaluation": None, "checkpoint_every": 100}
    for name, changes in {
        "no-norm": NO_NORM | _learning(1e-3, 1e-3, 0.5),
        "momentum": _learning(2e-3, 2e-3, 0.9),
        "fast-generator": _learning(3e-3, 4e-4, 0.5),
        "four-updates": _learning(4e-4, 4e-4, 0.9) | {"d_steps": 4},
    }.items()
}
SMALL = {"generator__network__width": 12, "discriminator__network__width": 8}

RECIPES: dict[str, dict[str, Any]] = {
    run["name"]: run
    for run in (
        _classes("sagan", {}),
        _classes("mhgan", MULTI_HINGE),
        _as("dcgan-cifar", None, cifar=True, steps=LONG, checkpoint_every=LONG // 5),
        _as("as-dcgan-cifar", {"warmup": LONG // 50}, cifar=True, steps=LONG, checkpoint_every=LONG // 5),
        _classes("mhshared", SHARED, steps=LONG // 2, start_from="sagan"),
        _as("dcgan", None),
        _as("as-1", {}),
        _classes("acgan", {"auxiliary_classifier": {"weight": 1.0, "generator_weight": 0.1}}, d_steps=2),
        _as("as-0", {"eps": 0.0}),
        _as("as-gaussian", {"attack": "gaussian"}),
        _as("as-4", {"eps": 4 * EPS}),
        *(_as(f"{name}-dcgan", None, **changes) for name, changes in COLLAPSING.items()),
        *(_as(f"{name}-as", {}, **changes) for name, changes in COLLAPSING.items()),
        _sdp("wgan-gp", None),
        _sdp("wgan-gp-sdp-0.01", 0.01),
        _sdp("wgan-gp-lr", None, generator__optimizer__lr=2e-3, discriminator__optimizer__lr=2e-3),
        _sdp("wgan-gp-lr-sdp", 0.01, generator__optimizer__lr=2e-3, discriminator__optimizer__lr=2e-3),
        _sdp("wgan-gp-none", None, **NO_NORM),
        _sdp("wgan-gp-none-sdp", 0.01, **NO_NORM),
        _recipe(
            "sn-gan-sdp-cifar",
            {"hinge": {}, "sdp": {"t": round(0.03 * STEPS), "I_p": round(0.05 * STEPS)}},
            cifar=True,
            discriminator__network__normalisation="none",
            discriminator__network__spectral_norm="exact",
        ),
        _classes("mhgan-ssl", MULTI_HINGE | {"semi_supervised": {}}, data__labelled=0.1),
        _classes("sagan-small", {}, **SMALL),
        _classes("mhgan-small", MULTI_HINGE, **SMALL),
        _as("resnet", None, **RESNET),
        _as("as-resnet", {}, **RESNET),
        _sdp("wgan-gp-sdp-0.1", 0.1),
        _sdp("wgan-gp-sdp-0.03", 0.03),
        _sdp("wgan-gp-sdp-0.05", 0.05),
        *(_nat(f"nat-gan-{x}-garments", x, cifar=False) for x in NEGATIVES),
        *(_nat(f"nat-gan-{x}-cifar", x, cifar=True) for x in NEGATIVES),
    )
}  # fmt: skip


def outside(name: str) -> list[str]:
    """The keys of `PLACES` that a run is trained on."""
    sources = {RECIPES[name].get(part, {}).get("source") for part in ("data", "negatives")}
    return [key for key, place in PLACES.items() if str(ROOT / place) in sources]


def recipe_of(name: str, places: Places) -> dict[str, Any]:
    """A run's recipe, with the given paths of images."""
    recipe = dict(RECIPES[name])
    for key in set(outside(name)) & set(places):
        for part in ("data", "negatives"):
            if recipe.get(part, {}).get("source") == str(ROOT / PLACES[key]):
                fetched = {"download": True} if places[key].startswith("torchvision:") else {}
                recipe[part] = recipe[part] | {"source": places[key]} | fetched
    return recipe


def is_trained(name: str) -> bool:
    return (RUNS / name / "report.html").is_file()


def lacking(name: str, places: Places) -> str | None:
    """Why a run cannot be trained, and what to do. None if it is trained or its images exist."""
    if is_trained(name) or not outside(name):
        return None
    recipe = recipe_of(name, places)
    recipe.pop("start_from", None)
    try:
        load_run_data(Recipe.load(recipe), print_note)
    except SparringError as error:
        return f"{error}; give images with {' and '.join(f'--{key}' for key in outside(name))}, see docs/figures.md"
    return None


def print_note(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def train(name: str, places: Places) -> Path | None:
    """The folder of a run, which is trained if necessary. If that is impossible, None, with the reason on stderr."""
    recipe, folder = recipe_of(name, places), RUNS / name
    if is_trained(name):
        return folder
    start = recipe.pop("start_from", None)
    if start is not None:
        start = train(start, places)
    began = time.time()
    try:
        sparring.train(
            recipe,
            out=folder,
            start_from=start,
            resume=(folder / "recipe.json").is_file(),
            command=f"studies/figures.py {name}",
        )
    except SparringError as error:
        print_note(f"{name} is not trained: {error}")
        return None
    seconds = round(time.time() - began)
    last = json.loads((folder / "log.jsonl").read_text().splitlines()[-1])
    print(f"{name}: {last['step']} steps in {seconds} s", flush=True)
    return folder


def asked(words: Sequence[str] | None, about: str, names: Iterable[str]) -> tuple[list[str], Places]:
    """The names (default: all) and the paths of images on a command line."""
    names = list(names)
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("names", nargs="*", metavar="NAME", choices=names, help=f"{', '.join(names)}; all by default")
    for key, place in PLACES.items():
        parser.add_argument(f"--{key}", metavar="SOURCE", help=f"a folder, zip or named data set for {place}")
    found = vars(parser.parse_args(words))
    chosen = found.pop("names") or names
    places = {key.replace("_", "-"): place for key, place in found.items() if place is not None}
    return chosen, {key: str(Path(place).resolve()) if Path(place).exists() else place for key, place in places.items()}


def main(words: Sequence[str] | None = None) -> int:
    """Train the named runs (default: all) one after the other on one thread. Returns 1 if one cannot be trained."""
    torch.set_num_threads(1)
    names, places = asked(words, "Train the runs behind docs/figures.md.", RECIPES)
    reasons = {name: lacking(name, places) for name in names}
    for name, reason in reasons.items():
        if reason is not None:
            print_note(f"{name} is not trained: {reason}")
    trained = [train(name, places) for name, reason in reasons.items() if reason is None]
    return int(None in trained or len(trained) < len(names))


if __name__ == "__main__":
    sys.exit(main())
