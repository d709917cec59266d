"""Saves and loads trained classifiers, which answer images with a label and a confidence, or with "unknown"."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from numbers import Real
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors
from torch import Tensor

from sparring.classify.networks import Classifier, build_classifier
from sparring.data.packed import PackedImages, to_float
from sparring.errors import SparringError, one_line
from sparring.files import own_copy, write_atomically, write_json
from sparring.limits import DESCRIPTION_BYTES, DESCRIPTION_NODES
from sparring.networks.frozen import evaluating
from sparring.parsing import read_json
from sparring.run.numerics import numerics
from sparring.trust import trust_in_file

WEIGHTS, DESCRIPTION = "classifier.safetensors", "classifier.json"
RULE = ("threshold", "false_alarm_rate", "false_alarms_on_validation")
BATCH = 500  # images per forward pass
ROUNDING = 0.01  # allowed beyond [-1, 1], for images in half precision or resized


@dataclass(frozen=True)
class Prediction:
    """A classifier's answer for one image.

    label          the class's name or number; "unknown" below the threshold, and for the extra class of negatives
    confidence     the largest probability of a class
    best           the class with that probability, even if the label is "unknown"
    probabilities  of each class, by name or number; they sum to 1 less the probability of an extra class
    """

    label: str
    confidence: float
    best: str
    unknown: bool
    probabilities: dict[str, float] = field(repr=False, hash=False)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class SavedClassifier:
    """A trained classifier, its classes and its threshold. `module` maps images in [-1, 1] to plain logits."""

    module: Classifier
    description: dict[str, Any] = field(repr=False)

    @property
    def num_classes(self) -> int:
        return int(self.description["num_classes"])

    @property
    def class_names(self) -> tuple[str, ...]:
        return tuple(self.description["class_names"]) or tuple(map(str, range(self.num_classes)))

    @property
    def threshold(self) -> float | None:
        """The confidence below which a prediction is "unknown", chosen on validation data for a false-alarm rate.

        `description["false_alarm_rate"]` is that rate, and `description["false_alarms_on_validation"]` the one that was
        reached, which an extra class can make larger.
        """
        return self.description["threshold"]

    @property
    def image_size(self) -> int:
        return int(self.description["image_size"])

    @property
    def image_channels(self) -> int:
        return int(self.description["image_channels"])

    def rule(self, threshold: float | None = None) -> dict[str, float | None]:
        """The rule for "unknown": threshold, false_alarm_rate and false_alarms_on_validation, the share of validation images
        that it calls unknown. With a `threshold` that replaces the classifier's own, the last two are None.

        Raises SparringError if there is no threshold, or if it is not a probability.
        """
        if threshold is None:
            if self.threshold is None:
                raise SparringError(
                    "this classifier was trained without validation data, so it has no threshold: give one, such as 0.5"
                )
            return {key: self.description.get(key) for key in RULE}
        if not _is_probability(threshold):
            raise SparringError(f"the threshold is a probability from 0 to 1, got {threshold!r}")
        return {**dict.fromkeys(RULE), "threshold": float(threshold)}

    def logits(self, images: PackedImages | Tensor) -> Tensor:
        """Logits float32 [N, K] on the CPU, of uint8 images or floats in [-1, 1], [N, C, H, W].

        Raises SparringError for another shape, type or range, for NaN, and for a size that the network does not take.
        """
        if not isinstance(images, PackedImages):
            _check_images(images, self.image_channels)
        elif images.channels != self.image_channels:
            _check_images(images.images, self.image_channels)
        size = list(images.images.shape[2:] if isinstance(images, PackedImages) else images.shape[2:])
        with one_line(f"this classifier takes no images of {size}, it was trained on {self.image_size}: "):
            return judge(self.module, images)

    def predict(self, images: PackedImages | Tensor, threshold: float | None = None) -> list[Prediction]:
        """A prediction for each image. threshold: replaces the classifier's own; with 0, only an extra class is "unknown".

        Raises SparringError if there is no threshold, and for images that `logits` refuses.
        """
        limit = self.rule(threshold)["threshold"]
        assert limit is not None
        if not len(images):
            return []
        probabilities = self.logits(images).double().softmax(1)
        of_classes = probabilities[:, : self.num_classes]
        best, index = of_classes.max(1)
        unknown = is_unknown(best, probabilities.argmax(1), self.num_classes, limit)
        found = []
        names = self.class_names
        answers = zip(best.tolist(), index.tolist(), unknown.tolist(), of_classes.tolist(), strict=True)
        for confidence, number, off, row in answers:
            label = "unknown" if off else names[number]
            found.append(Prediction(label, confidence, names[number], off, dict(zip(names, row, strict=True))))
        return found


def _check_images(images: Tensor, channels: int) -> None:
    """Raise SparringError unless these are uint8 images, or floats in [-1, 1], of so many channels: [N, C, H, W]."""
    if not isinstance(images, Tensor):
        raise SparringError(f"images are a tensor [N, {channels}, H, W] or PackedImages, got {type(images).__name__}")
    if images.ndim != 4 or images.shape[1] != channels:
        raise SparringError(
            f"images of this classifier are [N, {channels}, H, W], got {list(images.shape)}: one image is images[None], and "
            "grey ones are repeated, or averaged, to its channels"
        )
    if images.dtype == torch.uint8 or not images.numel():
        return
    if not images.is_floating_point():
        raise SparringError(f"images are uint8, or floats in [-1, 1], got {images.dtype}")
    least, most = (float(value) for value in images.aminmax())
    if not (least >= -1 - ROUNDING and most <= 1 + ROUNDING):  # also true for NaN
        raise SparringError(
            f"float images are in [-1, 1], x / 127.5 - 1 of 8-bit levels, got {least:g} to {most:g}: uint8 images are "
            "converted automatically"
        )


def is_unknown(confidences: Tensor, predicted: Tensor, num_classes: int, threshold: float) -> Tensor:
    """Which answers [N] are "unknown": below the threshold (or NaN), or of the extra class."""
    return ~(confidences >= threshold) | (predicted >= num_classes)


@torch.no_grad()
@numerics()
def judge(classifier: Classifier, images: PackedImages | Tensor, *, normalised: bool = False) -> Tensor:
    """Logits float32 [N, K] on the CPU, in evaluation mode. The classifier is left unchanged.

    images: PackedImages, uint8, or floats in [-1, 1], [N, C, H, W]. normalised: floats are normalised already.
    """
    device = classifier.mean.device
    parts = [torch.empty(0)]
    with evaluating(classifier):
        for start in range(0, len(images), BATCH):
            if isinstance(images, PackedImages):
                batch, _ = images.batch(torch.arange(start, min(start + BATCH, len(images))))
            else:
                batch = images[start : start + BATCH]
                batch = to_float(batch) if batch.dtype == torch.uint8 else batch.float()
            batch = batch.to(device).contiguous(memory_format=torch.channels_last)
            parts.append((classifier.of_normalised if normalised else classifier)(batch).float().cpu())
    return torch.cat(parts[1:]) if len(parts) > 1 else parts[0]


def save_classifier(folder: Path, classifier: Classifier, description: dict[str, Any]) -> None:
    """Write classifier.safetensors, and classifier.json, which says how to build and use it."""
    tensors = {name: own_copy(value) for name, value in classifier.state_dict().items()}
    weights = save_safetensors(tensors)
    write_atomically(folder / WEIGHTS, weights)
    write_json(folder / DESCRIPTION, description | {"weights_sha256": hashlib.sha256(weights).hexdigest()})


def _weights_at(path: str | os.PathLike[str]) -> Path:
    """The .safetensors for a run's folder, a .safetensors or the .json beside it."""
    if not isinstance(path, str | os.PathLike):
        raise SparringError(f"a classifier is the folder of a run or a .safetensors, got {path!r:.100}")
    path = Path(path)
    if not os.path.exists(path):  # also False for a name that is too long
        raise SparringError(f"there is no classifier '{path}': give the folder of a run of `sparring classify`")
    if path.is_dir():
        return path / WEIGHTS
    if path.suffix in (".onnx", ".pt2"):
        raise SparringError(
            f"'{path}' is a classifier for other programs: give the run that it was exported from, or its .safetensors"
        )
    if path.suffix not in (".safetensors", ".json"):
        raise SparringError(
            f"'{path}' is not a classifier: give the folder of a run of `sparring classify`, or a .safetensors"
        )
    return path.with_suffix(".safetensors")


def _description_in(path: Path) -> dict[str, Any]:
    """Read a classifier.json. Raises SparringError, naming the key, if it is damaged."""
    found = read_json(path, most=DESCRIPTION_BYTES, nodes=DESCRIPTION_NODES)
    if not isinstance(found, dict):
        raise SparringError(f"{path} is damaged: it holds {type(found).__name__}, not a mapping")
    found = {"class_names": [], **dict.fromkeys(RULE), **found}
    for key, (fits, allowed) in _allowed(found).items():
        if not fits:
            got = repr(found[key])[:80] if key in found else "nothing"
            raise SparringError(f"{path} is damaged: {key} is {allowed}, got {got}")
    return found


def _allowed(found: Mapping[str, Any]) -> dict[str, tuple[bool, str]]:
    """For each key of a description: whether its value is valid, and what is allowed."""
    whole = {key: _at_least(1, found.get(key)) for key in ("image_size", "image_channels", "outputs")}
    network, classes, names = found.get("network"), found.get("num_classes"), found["class_names"]
    of_classes = _at_least(2, classes) and whole["outputs"] and classes <= found["outputs"]
    named = isinstance(names, list) and all(isinstance(name, str) for name in names) and len(names) in (0, classes)
    network = network if isinstance(network, dict) else {}
    built = isinstance(network.get("kind"), str) and isinstance(network.get("options"), dict)
    return {
        "network": (built, "a mapping with kind and options"),
        "weights_sha256": (isinstance(found.get("weights_sha256"), str), "the hash of the weights"),
        **{key: (fits, "a whole number from 1") for key, fits in whole.items()},
        "num_classes": (of_classes, "a whole number from 2 to outputs"),
        "class_names": (named, "a list of num_classes names, or empty"),
        **{key: (found[key] is None or _is_probability(found[key]), "null or from 0 to 1") for key in RULE},
    }


def _at_least(least: int, value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_probability(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and 0 <= value <= 1  # type: ignore[operator]


def load_classifier(
    path: str | os.PathLike[str], device: torch.device | str = "cpu", *, allow_code: bool = False
) -> SavedClassifier:
    """Load a classifier from its run's folder, or from a NAME.safetensors with a NAME.json beside it. Needs no data.

    allow_code: whether to import a class that does not ship with sparring (see docs/trust.md).
    Raises SparringError for any other file, and if a file is missing, damaged or does not match the other.
    """
    weights = _weights_at(path)
    described = weights.with_suffix(".json")
    for needed in (weights, described):
        if not needed.is_file():
            raise SparringError(f"'{path}' holds no trained classifier: {needed.name} is missing")
    description = _description_in(described)
    try:
        content = weights.read_bytes()
    except OSError as error:
        raise SparringError(f"cannot read {weights}: {error.strerror}") from None
    if hashlib.sha256(content).hexdigest() != description["weights_sha256"]:
        raise SparringError(f"{weights} is damaged, or is not the file that {described.name} describes")
    network = description["network"]
    module = build_classifier(
        network["kind"],
        network["options"],
        image_size=description["image_size"],
        image_channels=description["image_channels"],
        outputs=description["outputs"],
        seed=0,
        trust=replace(trust_in_file(path, allow_code=allow_code), file=str(described)),
    )
    try:
        module.load_state_dict(load_safetensors(content))
    except (RuntimeError, SafetensorError) as error:
        raise SparringError(f"{weights} does not fit its network: {str(error).splitlines()[0]}") from None
    return SavedClassifier(module.to(device).eval().requires_grad_(False), description)
