"""The images of a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sparring.data.packed import PackedImages
from sparring.data.partial_labels import keep_share_of_labels
from sparring.data.sources import load
from sparring.errors import SparringError
from sparring.messages import Note, in_recipe, spelling
from sparring.recipe.gan import Data, Evaluation, Recipe

FROM_PYTHON = "python:"


@dataclass
class RunData:
    """The images of a run.

    `real` are the labelled images that the discriminator sees, `whole` the fully labelled training set that they come from,
    to measure against. Other splits are loaded when a metric needs one.
    """

    real: PackedImages
    negatives: PackedImages | None = None
    unlabelled: PackedImages | None = None
    whole: PackedImages | None = None
    load_split: Callable[[str], PackedImages] | None = None
    _splits: dict[str, PackedImages] = field(default_factory=dict)

    def reference(self, split: str | None) -> PackedImages:
        """The real images that generated ones are compared with."""
        if split is None or split == self.real.split:
            return self.whole or self.real
        if self.load_split is None:
            raise SparringError(f"these data have no split '{split}' to measure against")
        if split not in self._splits:
            self._splits[split] = self.load_split(split)
        return self._splits[split]

    def trained_on(self, images: PackedImages) -> bool:
        """Whether these are the training images, or the set that they are part of."""
        return images.fingerprint in {each.fingerprint for each in (self.real, self.whole) if each is not None}

    def held_out(self) -> PackedImages | None:
        """The test split, or the validation split if there is no other; None if there is neither, or it was trained on."""
        for split in ("test", "val"):
            try:
                held = self.reference(split)
            except SparringError:
                continue
            return None if self.trained_on(held) else held
        return None

    def fingerprints(self, evaluation: Evaluation | None = None) -> dict[str, str]:
        """Fingerprints of all images that the run depends on, including other images that it is measured against."""
        sets = {"data": self.real, "negatives": self.negatives, "unlabelled": self.unlabelled}
        if evaluation is not None and not self.trained_on(reference := self.reference(evaluation.split)):
            sets["evaluation"] = reference
        return {name: packed.fingerprint for name, packed in sets.items() if packed is not None}


def load_run_data(
    recipe: Recipe, note: Note, *, data: Any = None, negatives: Any = None, unlabelled: Any = None
) -> RunData:
    """Load the recipe's images, or use those given instead. Raises SparringError if they do not fit the recipe."""
    real = load_data(recipe.data, note, data)
    real.check_no_class_is_empty()
    if recipe.data.num_classes is not None and real.num_classes not in (0, recipe.data.num_classes):
        raise SparringError(
            f"the recipe says {recipe.data.num_classes} classes, and {real.name} has {real.num_classes}: "
            "set data.num_classes, or choose some with data.classes"
        )
    whole = rest = None
    if recipe.data.labelled is not None:
        whole = real  # measuring may use labels that training may not
        real, rest = keep_share_of_labels(whole, recipe.data.labelled, recipe.seed)
    others: dict[str, PackedImages | None] = {"negatives": None, "unlabelled": rest}
    for name, given in (("negatives", negatives), ("unlabelled", unlabelled)):
        named: Data | None = getattr(recipe, name)
        if named is not None or given is not None:
            base = named or Data(source=name)
            like = {"size": base.size or real.size, "channels": base.channels or real.channels}
            others[name] = load_data(base, note, given, part=name, **like)

    def load_split(split: str) -> PackedImages:
        changes: dict[str, Any] = {"split": split}
        if recipe.data.renumber and real.class_names:  # the training images' classes, even if this split lacks some
            changes |= {"renumber": False, "classes": list(real.class_names)}
        return load_data(recipe.data.model_copy(update=changes), note, data)

    return RunData(real, others["negatives"], others["unlabelled"], whole, load_split)


HOW_READ = ("split", "size", "channels", "classes", "class_order", "renumber", "skip_unreadable", "download")


def load_data(images: Any, note: Note, given: Any = None, *, part: str = "data", **like: Any) -> PackedImages:
    """The images of one part of a recipe, from the source that it names or from `given`.

    like: options that replace the part's own, such as the size of the images that these are used with.
    """
    if given is None and images.source.startswith(FROM_PYTHON):
        raise SparringError(
            f"this run's images came from Python ({images.source}): pass them again as {part}=..., or name another source "
            f"with {part}=..."
        )
    options = {key: getattr(images, key) for key in HOW_READ if key in type(images).model_fields} | like
    with spelling(in_recipe(part)):
        return load(images.source if given is None else given, **options, note=note)


def python_sources(**given: Any) -> dict[str, str]:
    """What a recipe records for images given in Python, such as `python:ndarray`."""
    return {name: f"{FROM_PYTHON}{type(images).__name__}" for name, images in given.items() if images is not None}
