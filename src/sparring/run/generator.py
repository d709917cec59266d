"""Images from generators: in training, in evaluation, and from a saved generator."""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as save_safetensors
from torch import Tensor, nn

from sparring.data.classes import class_number, turns_at
from sparring.data.packed import to_uint8
from sparring.errors import SparringError
from sparring.files import content_hash, own_copy, write_atomically, write_json
from sparring.limits import CLASSES, DESCRIPTION_NODES, LATENT, MEASURED, SIDE, check_memory
from sparring.messages import counted
from sparring.networks import GENERATORS
from sparring.networks.contract import images_of
from sparring.networks.frozen import evaluating
from sparring.parsing import parse_json
from sparring.plugins import find_class
from sparring.randomness import generator_for, seed_for
from sparring.recipe.explain import network_options
from sparring.run.device import usable_device
from sparring.trust import Trust, trust_in_file
from sparring.version import __version__

WEIGHTS, DESCRIPTION = "generator.safetensors", "generator.json"
METADATA = "sparring"  # the key of the description in the weights' file
BATCH_STATISTICS_ROWS = 100  # as in the papers that sample with batch statistics; also the block size of measurements
ROWS = 50  # images per batch in sampling; fixed, since the last bit of a sum may depend on it


@torch.no_grad()
def generate_uint8(
    generator: nn.Module, latents: Tensor, labels: Tensor | None, batch_size: int = 250, *, key: tuple[int, ...] = ()
) -> Tensor:
    """Generate images uint8 [N, C, H, W], on the CPU. The generator and the global random generators are left unchanged.

    Batch normalisation uses its running statistics, or those of batches of 100 if the network sets `batch_statistics`.
    key: seeds the random numbers that the network draws itself.
    """
    if len(latents) == 0:
        raise SparringError("asked for 0 images: n is at least 1")
    on_batches = bool(getattr(generator, "batch_statistics", False))
    size = BATCH_STATISTICS_ROWS if on_batches else batch_size
    devices = [latents.device] if latents.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), evaluating(generator, training=on_batches):
        torch.manual_seed(seed_for("generate", *key))
        images = [
            to_uint8(
                images_of(generator, latents[i : i + size], None if labels is None else labels[i : i + size])
            ).cpu()
            for i in range(0, len(latents), size)
        ]
    return torch.cat(images)


def sampler_of(
    generator: nn.Module,
    latent_size: int,
    num_classes: int,
    seed: int,
    device: torch.device | str = "cpu",
    *,
    turns: Tensor | None = None,
) -> Callable[[int, int], Tensor]:
    """Make `generate(start, count)` for measurements: sample i depends only on the seed, i and `turns`.

    turns: labels [P], used cyclically (see `data.classes.class_turns`); None: the classes in order.

    Samples are made in blocks of 100 that start at multiples of 100, and each block seeds what the generator draws itself.
    So batch statistics and noise layers see the same neighbours for any batch size and rank.
    """
    block = BATCH_STATISTICS_ROWS
    dtype = next(generator.parameters()).dtype
    turns = torch.arange(num_classes) if turns is None else turns
    unfinished: dict[int, Tensor] = {}  # the block of the next sample, by that sample's index

    def make(first: int) -> Tensor:
        latents = torch.stack([_latent(latent_size, seed, i) for i in range(first, first + block)]).to(device, dtype)
        labels = turns_at(turns, first, block).to(device) if num_classes else None
        return generate_uint8(generator, latents, labels, batch_size=block, key=(seed, first // block))

    def generate(start: int, count: int) -> Tensor:
        stop, begun = start + count, unfinished.pop(start, None)
        unfinished.clear()  # the generator may have changed: only the very next samples may share a block
        firsts = range(start - start % block, stop, block)
        parts = [make(first) if begun is None or i else begun for i, first in enumerate(firsts)]
        if stop % block:
            unfinished[stop] = parts[-1]
        return torch.cat(parts)[start % block :][:count]

    return generate


def _whole_batches(generator: nn.Module, count: int, rows: int) -> int:
    """`count`, rounded up to full batches."""
    if getattr(generator, "batch_statistics", False):
        rows = BATCH_STATISTICS_ROWS
    return -(-count // rows) * rows


def takes_labels(generator: nn.Module, num_classes: int) -> bool:
    """Whether the generator uses labels: its `conditioning` is not "none" or, without that, it takes `num_classes`."""
    if not num_classes:
        return False
    conditioning = getattr(generator, "conditioning", None)
    if conditioning is None:
        return "num_classes" in inspect.signature(type(generator)).parameters
    return conditioning != "none"


def _latent(latent_size: int, seed: int, index: int) -> Tensor:
    return torch.randn(latent_size, generator=generator_for("sample", seed, index))


@dataclass(frozen=True)
class SavedGenerator:
    """A trained generator with all that sampling needs. `sparring.load` makes it; `description` is generator.json."""

    module: nn.Module
    description: dict[str, Any] = field(repr=False)

    @property
    def latent_size(self) -> int:
        return int(self.description["latent_size"])

    @property
    def num_classes(self) -> int:
        return int(self.description["num_classes"])

    @property
    def class_names(self) -> tuple[str, ...]:
        return tuple(self.description["class_names"])

    def sample(self, n: int = 64, *, labels: Any = None, seed: int = 0) -> Tensor:
        """n images uint8 [N, C, H, W]; the first m of them are the same for any n >= m.

        labels: one class for all, or a list of n; None: the classes in turn, if there are any. A label that equals a
            class's name is that class, also as an int; any other number is a position. Integer tensors and arrays hold
            positions.
        """
        if not isinstance(n, int) or isinstance(n, bool) or n < 1:
            raise SparringError(f"n is a whole number from 1, got {n!r}")
        size = int(self.description.get("given", {}).get("image_size", 1))
        held = n * (4 * self.latent_size + 3 * size * size)
        if n > MEASURED:
            raise SparringError(f"n is at most {MEASURED:,}, got {n}: draw several times, with other seeds")
        check_memory(held, f"{n:,} images and their latents", "draw fewer at a time")
        chosen = self._labels(n, labels)
        made = _whole_batches(self.module, n, ROWS)
        latents = torch.stack([_latent(self.latent_size, seed, i) for i in range(made)])
        if chosen is not None:
            chosen = torch.cat([chosen, torch.arange(n, made) % self.num_classes])
        parameter = next(self.module.parameters())
        return generate_uint8(
            self.module,
            latents.to(parameter.device, parameter.dtype),
            None if chosen is None else chosen.to(parameter.device),
            ROWS,
        )[:n]

    def _labels(self, n: int, labels: Any) -> Tensor | None:
        if not self.num_classes:
            if labels is not None:
                raise SparringError("this generator is unconditional: it takes no labels")
            return None
        if labels is None:
            return torch.arange(n) % self.num_classes
        one = isinstance(labels, str | bytes) or not isinstance(labels, Iterable) or getattr(labels, "ndim", 1) == 0
        given = [labels] * n if one else list(labels)
        if len(given) != n:
            raise SparringError(f"{counted(len(given), 'label')} for {counted(n, 'image')}: give one, or one for each")
        return torch.tensor([self._class_number(label) for label in given])

    def _class_number(self, label: Any) -> int:
        is_data = "int" in str(getattr(label, "dtype", "")) and getattr(label, "ndim", None) == 0
        if is_data:  # from an integer tensor or array: a position
            return class_number(int(label), (), self.num_classes, "the generator")
        if isinstance(label, bool) or not isinstance(label, str | int):
            raise SparringError(f"a label is a class by name or number, got {label!r}")
        return class_number(label, self.class_names, self.num_classes, "the generator")


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
