"""Loads the images of a classifier's run (positives in three parts, negatives, probes), and warns of suspicious ones."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sparring.classify.criteria import takes_negatives
from sparring.classify.probes import PREFIX, MissingProbeError, load_sklearn
from sparring.classify.recipe import ClassifierRecipe, Images
from sparring.data.negatives import noise_batch, parse_noise
from sparring.data.packed import PackedImages
from sparring.data.sources import splits_of
from sparring.data.torchvision_sets import BARE_NAMES
from sparring.errors import SparringError
from sparring.messages import Note, counted, no_note
from sparring.randomness import generator_for
from sparring.run.data import load_data

ClassesByImage = Mapping[str, Mapping[bytes, str]]
HELD_OUT = 0.1  # share of the positives for testing, if the data have no test split


@dataclass(frozen=True)
class Probe:
    """Images of none of the classes, to measure with.

    images      PackedImages, or floats [N, C, H, W] that replace the network's normalised input (noise)
    seen        share of the images that are pixel for pixel among the training's negatives
    """

    name: str
    source: str
    images: PackedImages | Tensor
    seen: float = 0.0

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class ClassifierData:
    """train, validation (None: none held out) and test are positives. warnings: the lines that were also notes."""

    train: PackedImages
    validation: PackedImages | None
    test: PackedImages
    negatives: PackedImages | None
    probes: tuple[Probe, ...]
    warnings: tuple[str, ...] = ()

    def fingerprints(self) -> dict[str, str]:
        sets = {"train": self.train, "validation": self.validation, "test": self.test, "negatives": self.negatives}
        sets |= {f"probe {p.name}": p.images for p in self.probes if isinstance(p.images, PackedImages)}
        return {name: packed.fingerprint for name, packed in sets.items() if packed is not None}


def load_classifier_data(
    recipe: ClassifierRecipe,
    note: Note = lambda line: None,
    *,
    data: Any = None,
    test: Any = None,
    negatives: Any = None,
    probes: Mapping[str, Any] | None = None,
) -> ClassifierData:
    """Load the recipe's images, or use those given in Python instead.

    Raises SparringError for images that do not fit, and notes doubtful ones, such as negatives of a positive class.
    """
    warnings: list[str] = []

    def warn(line: str) -> None:
        warnings.append(line)
        note(line)

    whole = _load_positives(recipe, note, data)
    train, tested = _train_and_test(recipe, whole, note, data, test)
    validation = None
    if recipe.validation:
        train, validation = split_off(train, recipe.validation, recipe.seed, "validation")
    if len(train) < recipe.most_positives:
        raise SparringError(
            f"{train.name} has {counted(len(train), 'image')} to train on, fewer than the {recipe.most_positives} positives "
            "of a batch: lower batch_size"
        )
    known = _classes_by_image({"training": train, "validation": validation, "test": tested})
    negative = None
    if recipe.negatives is not None or negatives is not None:
        negative = _load_others(recipe, "negatives", recipe.negatives or Images(), note, negatives, whole)
        _check_negatives(recipe, negative, train, known, warn)
    measured = _load_probes(recipe, probes or {}, whole, negative, tested, warn)
    for probe in measured:
        for line in _known_images(probe.images, known):
            warn(f"probe '{probe.name}': {line}: a probe has images of none of the classes, so leave them out")
    return ClassifierData(train, validation, tested, negative, measured, tuple(warnings))


def split_off(packed: PackedImages, share: float, seed: int, purpose: str) -> tuple[PackedImages, PackedImages]:
    """Split off `share` of each class, but at least one image, at random with the seed. Returns (the rest, the share).

    Raises SparringError if a class has only one image.
    """
    labels = packed.require_labels("a classifier")
    taken = torch.zeros(len(packed), dtype=torch.bool)
    for label in labels.unique().tolist():
        rows = (labels == label).nonzero().squeeze(1).cpu()
        if len(rows) < 2:
            name = packed.class_names[label] if packed.class_names else label
            raise SparringError(f"class '{name}' of {packed.name} has one image, so none can be held out for {purpose}")
        order = torch.randperm(len(rows), generator=generator_for(seed, purpose, label))
        taken[rows[order[: max(1, round(share * len(rows)))]]] = True
    return packed.take((~taken).nonzero().squeeze(1)), packed.take(taken.nonzero().squeeze(1))


def _load_positives(recipe: ClassifierRecipe, note: Note, given: Any) -> PackedImages:
    packed = load_data(recipe.data, note, given)
    _ = packed.size  # square, or an error that says how
    labels = packed.require_labels("a classifier")
    if int((labels < 0).sum()):
        raise SparringError(
            f"{int((labels < 0).sum())} of the {len(packed)} images of {packed.name} have a label below 0: images of "
            "no class go into negatives"
        )
    if packed.num_classes < 2:
        raise SparringError(f"{packed.name} has {packed.num_classes} class: a classifier needs at least 2")
    packed.check_no_class_is_empty()
    if recipe.data.num_classes not in (None, packed.num_classes):
        raise SparringError(
            f"the recipe says data.num_classes={recipe.data.num_classes}, and {packed.name} has {packed.num_classes}"
        )
    return packed


def _train_and_test(
    recipe: ClassifierRecipe, whole: PackedImages, note: Note, data: Any, test: Any
) -> tuple[PackedImages, PackedImages]:
    wanted = recipe.test
    if wanted is None and test is None:
        split = None if data is not None else _test_split(recipe.data.source)
        if split is None or split == whole.split:
            note(f"{whole.name} has no test split: a tenth of each class is held out; test.split=... names one")
            return split_off(whole, HELD_OUT, recipe.seed, "test")
        wanted = Images(split=split)
    tested = _load_others(recipe, "test", wanted or Images(), note, test, whole)
    labels = tested.require_labels("testing a classifier")
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < whole.num_classes:
        raise SparringError(
            f"test labels of {tested.name} go from {int(labels.min())} to {int(labels.max())}, and the {whole.num_classes} "
            f"classes from 0 to {whole.num_classes - 1}"
        )
    if whole.class_names and tested.class_names and tested.class_names != whole.class_names:
        raise SparringError(
            f"the test images' classes {list(tested.class_names)} are not those of the positives, {list(whole.class_names)}"
        )
    return whole, tested


def _test_split(source: str) -> str | None:
    """The split of a source to test on. torchvision's sets are assumed to have one called "test"."""
    if source.startswith("torchvision:") or source.lower() in BARE_NAMES:
        return "test"
    found = splits_of(source)
    return next((name for name in ("test", "val", "valid", "validation") if name in found), None)


def _load_others(
    recipe: ClassifierRecipe, part: str, images: Images, note: Note, given: Any, positives: PackedImages
) -> PackedImages:
    """Load negatives, a probe or test images in the positives' size; without a source, from the positives' source."""
    like = {"size": positives.size, "channels": positives.channels, "download": images.download or recipe.data.download}
    if images.source is not None or given is not None:
        return load_data(images, note, given, part=part, **like)
    classes = images.classes or None
    if classes is None and part == "test":
        classes = list(positives.class_names) if recipe.data.renumber else recipe.data.classes
    elif classes is None:
        raise SparringError(
            "negatives and probes without a source are held-out classes of the data: name them with classes=[...]"
        )
    own = {
        "source": recipe.data.source,
        "class_order": images.class_order or recipe.data.class_order,
        "classes": classes,
        "split": images.split or positives.split,
    }
    try:
        return load_data(images.model_copy(update=own), note, part=part, **like)
    except SparringError as error:
        raise SparringError(
            f"{error}. Negatives, probes and test images that name no source are classes of the data: give "
            "negatives=SOURCE, and probes=null or probes.NAME=SOURCE"
        ) from None


def _load_probes(
    recipe: ClassifierRecipe,
    given: Mapping[str, Any],
    positives: PackedImages,
    negatives: PackedImages | None,
    tested: PackedImages,
    warn: Note,
) -> tuple[Probe, ...]:
    found = []
    seen = set() if negatives is None else set(image_hashes(negatives))
    for name, images in {**recipe.probes, **{name: Images() for name in given}}.items():
        if images is None:
            continue  # removed by `probes.NAME=null`
        source = images.source or ""
        if name not in given and source.startswith("noise:"):
            kind, count = parse_noise(source)
            noise = noise_batch(kind, count, positives.channels, positives.size, recipe.seed, "probe")
            found.append(Probe(name, source, noise))
            continue
        try:
            if name not in given and source.startswith(PREFIX):
                packed = load_sklearn(source, positives.size, positives.channels)
            else:
                if images.source is None and images.split is None and name not in given:
                    images = images.model_copy(update={"split": tested.split})
                # a probe needs no note on which split is used
                packed = _load_others(recipe, f"probes.{name}", images, no_note, given.get(name), positives)
        except MissingProbeError as error:
            warn(f"probe '{name}' is left out: {error}")
            continue
        share = sum(h in seen for h in image_hashes(packed)) / max(len(packed), 1) if seen else 0.0
        for line in shared_classes(packed, positives):
            warn(f"probe '{name}': {line}")
        found.append(Probe(name, source or packed.name, packed, share))
    return tuple(found)


def _check_negatives(
    recipe: ClassifierRecipe, negatives: PackedImages, train: PackedImages, known: ClassesByImage, warn: Note
) -> None:
    if not any(takes_negatives(criterion.kind) for criterion in recipe.classifiers):
        return
    most = recipe.negatives.range[1] if recipe.negatives else 1
    if len(negatives) < most:
        raise SparringError(f"{negatives.name} has {len(negatives)} negatives, fewer than the {most} of a batch")
    if most > recipe.most_positives:
        warn(f"up to {most} negatives beside {recipe.most_positives} positives in a batch: most should be positives")
    for line in shared_classes(negatives, train):
        warn(f"negatives: {line}")
    for line in _known_images(negatives, known):
        warn(f"negatives: {line}: they would teach it to be unsure of its own classes")


def _classes_by_image(parts: Mapping[str, PackedImages | None]) -> ClassesByImage:
    """For each part of the positives, the class of each image by the hash of its pixels."""
    found = {}
    for what, part in parts.items():
        if part is not None:
            labels = part.require_labels("a classifier").tolist()
            names = [part.class_names[y] if part.class_names else f"class {y}" for y in labels]
            found[what] = dict(zip(image_hashes(part), names, strict=True))
    return found


def _known_images(others: PackedImages | Tensor, known: ClassesByImage) -> list[str]:
    """A line for each part of the positives that contains some of these images. Noise is not looked for."""
    lines = []
    hashes = image_hashes(others) if isinstance(others, PackedImages) else []
    for what, among in known.items():
        shared = [among[h] for h in hashes if h in among]
        if shared:
            names = ", ".join(sorted(set(shared)))
            lines.append(f"{len(shared)} of {len(others)} images are also {what} positives, of {names}")
    return lines


def shared_classes(others: PackedImages, positives: PackedImages) -> list[str]:
    """A line for each class of the others that, by its name, seems to be a class of the positives."""
    lines = []
    present = set() if others.labels is None else set(others.labels.unique().tolist())
    for number, name in enumerate(others.class_names):
        if number not in present:
            continue
        matching = [(p, "looks like") for p in positives.class_names if _names_contain(name, p)]
        matching += [(p, "may contain") for p in positives.class_names if _names_contain(p, name)]
        if matching:
            positive, how = matching[0]
            lines.append(
                f"class '{name}' of {others.name} {how} the positive class '{positive}': leave it out with "
                "classes=[...] unless it is something else"
            )
    return lines


def _names_contain(name: str, part: str) -> bool:
    """Whether `name` contains all words of `part`, in singular or plural and in any case."""
    wanted, words = _words(part), _words(name)
    return bool(wanted) and all(any(_singulars(w) & _singulars(word) for word in words) for w in wanted)


def _words(name: str) -> list[str]:
    """The words of pickup_truck, pickup truck or PickupTruck."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    return re.findall(r"[^\W_]+", apart.lower())


def _singulars(word: str) -> set[str]:
    """The word, and all that it may be the plural of: buses -> buses, buse, bus."""
    found = {word}
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        found.add(word[:-1])
        found |= {word[:-2]} if word.endswith("es") else set()
        found |= {word[:-3] + "y"} if word.endswith("ies") else set()
    return found


def image_hashes(packed: PackedImages) -> list[bytes]:
    """A hash of each image's pixels."""
    pixels = packed.images.permute(0, 2, 3, 1).reshape(len(packed), -1).cpu().numpy()
    return [hashlib.blake2b(row.data, digest_size=12).digest() for row in pixels]
