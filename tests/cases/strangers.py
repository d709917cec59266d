"""A module that leaves a mark when it is imported, and files of runs that name it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from safetensors import safe_open
from safetensors.torch import save_file

from tiny import tiny_recipe

CODE = """
import pathlib
pathlib.Path(__file__).with_name("marker").write_text("ran")
from sparring.networks.dcgan import DCGANBackbone as D, DCGANGenerator as G
from sparring.terms.hinge import Hinge
from sparring.training.step import train_step
from sparring.classify.networks import SmallCNN
from sparring.classify.nat_loss import NATLoss
class H(Hinge): pass
class DiffAugment:
    def __call__(self, images, draw): return images
"""
SAID = "names code that does not ship with sparring: "
Cli = Callable[..., tuple[int, str]]


def module(folder: Path) -> str:
    return f"stranger_{folder.name}".replace("-", "_")


def rename_in_generator(folder: Path, kind: str) -> None:
    """Make a generator's file name another class, with its weights and their hash unchanged."""
    with safe_open(folder / "generator.safetensors", framework="pt") as file:
        described = json.loads(file.metadata()["sparring"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    described["network"]["kind"] = kind
    save_file(tensors, folder / "generator.safetensors", metadata={"sparring": json.dumps(described)})


def change_recipe(folder: Path, **changes: Any) -> None:
    """Set keys in a run's recipe.json, with `__` for a dot."""
    path = folder / "recipe.json"
    written = json.loads(path.read_text())
    for key, value in changes.items():
        *parts, last = key.split("__")
        at = written["recipe"]
        for part in parts:
            at = at[part]
        at[last] = value
    path.write_text(json.dumps(written))


def refused(code: int, text: str, wanted: str, marker: Path) -> None:
    assert not marker.exists(), "a stranger's code ran"
    assert code == 2 and text.count("\n") == 1, text
    assert wanted in text and SAID in text and "--allow-code" in text


def own_recipe(here: Path, folder: Path, **changes: Any) -> Path:
    """A recipe outside the current folder, with its generator in the same folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (here / f"{module(here)}.py").rename(folder / f"{module(here)}.py")
    generator = {"network": {"kind": f"{module(here)}:G", "width": 4}, "latent_size": 6}
    recipe = tiny_recipe(data=str(here / "images.npz"), steps=2, generator=generator, **changes)
    (folder / "mine.yaml").write_text(yaml.safe_dump(recipe))
    return folder / "mine.yaml"
