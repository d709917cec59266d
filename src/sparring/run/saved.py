"""Saved generators: their two files, and what `sparring.load` returns."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as save_safetensors
from torch import Tensor, nn

from sparring.errors import SparringError
from sparring.files import content_hash, own_copy, write_atomically, write_json
from sparring.limits import CLASSES, DESCRIPTION_NODES, LATENT, SIDE
from sparring.networks import GENERATORS
from sparring.parsing import parse_json
from sparring.plugins import find_class
from sparring.recipe.explain import network_options
from sparring.run.device import usable_device
from sparring.run.saved_generator import SavedGenerator
from sparring.trust import Trust, trust_in_file
from sparring.version import __version__

WEIGHTS, DESCRIPTION = "generator.safetensors", "generator.json"
METADATA = "sparring"  # the key of the description in the weights' file


def save_generator(folder: Path, generator: nn.Module, description: dict[str, Any]) -> None:
    """Write generator.safetensors, with the description inside, and generator.json beside it."""
    tensors = {name: own_copy(value) for name, value in generator.state_dict().items()}
    description = description | {"version": __version__, "content_hash": content_hash(tensors)}
    weights = save_safetensors(tensors, metadata={METADATA: json.dumps(description)})
    write_json(folder / DESCRIPTION, description)
    write_atomically(folder / WEIGHTS, weights)


def load_generator(
    path: str | Path | os.PathLike[str], device: torch.device | str = "cpu", *, allow_code: bool = False
) -> SavedGenerator:
    """Load a generator from a run's folder, or from a generator.safetensors on its own.

    allow_code: whether to import a class that does not ship with sparring (see docs/trust.md).
    Raises SparringError if the file is missing, damaged or not a generator, or the device cannot be used.
    """
    trust = trust_in_file(path, allow_code=allow_code)
    path, device = Path(path), usable_device(device)
    if not os.path.exists(path):  # also False for a name that is too long
        raise SparringError(f"there is no run or generator file '{path}': give a run's folder, such as runs/quickstart")
    weights = path / WEIGHTS if path.is_dir() else path.with_suffix(".safetensors") if path.suffix == ".json" else path
    if not weights.is_file():
        raise SparringError(f"'{path}' holds no trained generator: {weights.name} is missing")
    if weights.suffix != ".safetensors":
        raise SparringError(f"'{path}' is not a generator: give a run's folder, or a generator.safetensors")
    try:
        with weights.open("rb"):  # safe_open reports an unreadable file as missing
            pass
    except OSError as error:
        raise SparringError(f"cannot read {weights}: {error.strerror}") from None
    try:
        with safe_open(weights, framework="pt") as file:
            description = parse_json((file.metadata() or {})[METADATA], "its description", nodes=DESCRIPTION_NODES)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        if content_hash(tensors) != description["content_hash"]:
            raise ValueError("its weights do not match their hash")
        _check_description(description)
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        raise SparringError(f"{weights} is damaged: {error}") from None
    except KeyError:
        raise SparringError(
            f"{weights} was not written by sparring: it does not say how to build the generator"
        ) from None
    return SavedGenerator(
        _built(weights, description, tensors, trust).to(device).eval().requires_grad_(False), description
    )


def _check_description(description: dict[str, Any]) -> None:
    """Raise ValueError unless the types and numbers of a description are valid."""
    network, names = description["network"], description["class_names"]
    counts = {
        "latent_size": (1, LATENT),
        "num_classes": (0, CLASSES),
        "image_size": (1, SIDE),
        "image_channels": (1, SIDE),
    }
    given, needed = description["given"], ("latent_size", "num_classes")
    fits = isinstance(network, dict) and isinstance(network["kind"], str) and isinstance(network["options"], dict)
    if not (fits and isinstance(given, dict)):
        raise ValueError("network is a mapping of kind and options, given a mapping of arguments")
    for where in (description, given):
        for key, (least, most) in counts.items():
            value = where.get(key, None if key in needed and where is description else least)
            if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
                raise ValueError(f"{key} is a whole number from {least} to {most:,}, got {value!r:.60}")
    named = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if not named or len(names) not in (0, description["num_classes"]):
        raise ValueError("class_names is a list of num_classes names, or empty")


def _check_claims(generator_class: type, given: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Raise RuntimeError, before memory is allocated, if a shipped network would have other tensors than the file."""
    if not generator_class.__module__.startswith("sparring."):
        return
    with torch.device("meta"):
        claimed = {name: value.shape for name, value in generator_class(**given).state_dict().items()}
    for name in {**claimed, **tensors}:
        if name not in claimed or name not in tensors or claimed[name] != tensors[name].shape:
            raise RuntimeError(f"its description and its weights differ in {name}")


def _built(path: Path, description: dict[str, Any], tensors: dict[str, Tensor], trust: Trust) -> nn.Module:
    try:
        network = description["network"]
        generator_class = find_class(
            network["kind"], GENERATORS, "generator", nn.Module, replace(trust, file=str(path))
        )
        with torch.random.fork_rng(devices=[]):
            options = network_options(generator_class, network["options"], what=f"generator '{network['kind']}'")
            _check_claims(generator_class, {**description["given"], **options}, tensors)
            module = generator_class(**description["given"], **options)
        module.load_state_dict(tensors)
    except (KeyError, TypeError, AttributeError, RuntimeError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise SparringError(f"{path} was written by another version of its network: {reason}") from None
    return module
