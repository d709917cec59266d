"""Tiny generators as if they had been trained: no run is needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from sparring.networks import GENERATORS
from sparring.plugins import find
from sparring.recipe.explain import given_to
from sparring.run.saved import save_generator
from sparring.run.saved_generator import SavedGenerator

NAMES = ("ant", "bee", "cat")
FACTS = {"image_size": 32, "image_channels": 3, "latent_size": 6, "num_classes": 3, "dimensions": 2}


def saved(kind: str, **options: Any) -> SavedGenerator:
    network = find(kind, GENERATORS, "generator")
    given = given_to(network, **FACTS)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = network(**given | options).eval().requires_grad_(False)
        for each in module.modules():  # an untrained network's images hardly differ
            if isinstance(each, nn.Embedding):
                nn.init.normal_(each.weight, 1)
            elif kind in ("dcgan", "sngan_cnn") and isinstance(each, nn.Conv2d | nn.ConvTranspose2d):
                each.weight.mul_(5)
    labelled = options.get("conditioning", "none") != "none"
    described = {"recipe": "tiny", "step": 3, "network": {"kind": kind, "options": options}, "given": given}
    described |= {"latent_size": 6, "num_classes": 3 if labelled else 0, "class_names": list(NAMES) if labelled else []}
    return SavedGenerator(module, described)


def written(folder: Path, kind: str = "dcgan", **options: Any) -> Path:
    """A folder with the files of such a generator."""
    made = saved(kind, **({"width": 4} | options))
    folder.mkdir(parents=True)
    save_generator(folder, made.module, made.description)
    return folder
