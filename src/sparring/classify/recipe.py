"""A classifier's recipe: its data, its negatives, and the probes to measure it with.

The rules are those of all recipes (`sparring.recipe.base`). `criterion` decides whether the classifier is a baseline, is
trained by NAT, or has an extra class.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from sparring.classify.criteria import criterion_class, takes_negatives
from sparring.classify.networks import network_class
from sparring.limits import CLASSES, ROWS, SIDE, THREADS
from sparring.metrics.ncr import THRESHOLDS
from sparring.recipe.base import BaseRecipe, Beta, ClassesField, Network, NetworkField, Part, short_for
from sparring.recipe.base import Optimizer as BaseOptimizer
from sparring.recipe.explain import network_options, trust_in
from sparring.recipe.files import merge
from sparring.schedule import Schedule, value_at
from sparring.trust import Trust


class Images(Part):
    """A source of images (see `sparring.load_images`). Without `source`, these are other `classes` of the positives' source.

    A probe may also be "noise:normal" or "noise:uniform", which replace the network's normalised input, or scikit-learn's
    "sklearn:digits" or "sklearn:patches".
    """

    source: str | None = None
    """Where the images are. Null means the source of the positives, with other `classes`."""
    split: str | None = None
    """The part of the source to use, such as `train` or `test`."""
    classes: ClassesField = None
    """The classes to keep: names, numbers or ranges. Null keeps all."""
    renumber: bool = False
    """Drop classes without images and renumber the others."""
    class_order: str | list[str] | None = None
    """The order of the classes: their names, or a file that lists them."""
    skip_unreadable: bool = False
    """Leave out files that cannot be read, instead of stopping."""
    download: bool = False
    """Let torchvision download its data set."""


class Positives(Images):
    """The images of the classes. size and channels default to the data's.

    `download` also applies to test images, negatives and probes.
    """

    source: str
    """Where the images are: a folder, a zip, an `.npz`, a `.csv`, `torchvision:NAME` or a shipped data set."""
    size: int | None = Field(None, ge=1, le=SIDE)
    """Images are cropped to a square and resized to this many pixels. Null keeps their size."""
    channels: Literal[1, 3] | None = None
    """1 for grey, 3 for colour. Null means the source's."""
    num_classes: int | None = Field(None, ge=2, le=CLASSES)
    """The number of classes, if it should be checked. Null takes the data's."""


class Negatives(Images):
    """Images of none of the classes, and how they join a batch."""

    per_batch: int | tuple[int, int] = (5, 25)
    """How many join each batch: a number, or a range such as `5-25` from which each batch draws one, the paper's."""
    placement: Literal["on_top", "inside"] = "on_top"
    """`on_top` of a batch's positives, or `inside` the batch, instead of some of them."""

    @field_validator("per_batch", mode="before")
    @classmethod
    def _range(cls, value: Any) -> Any:
        if not isinstance(value, str) or value.isdecimal():
            return value
        found = re.fullmatch(r"\s*(\d{1,9})\s*-\s*(\d{1,9})\s*", value)
        if not found:
            raise ValueError(f"takes a whole number from 1, or a range such as [5, 25] or 5-25, got '{value:.60}'")
        return [int(found[1]), int(found[2])]

    @field_validator("per_batch")
    @classmethod
    def _in_order(cls, value: int | tuple[int, int]) -> int | tuple[int, int]:
        least, most = (value, value) if isinstance(value, int) else value
        if 1 <= most < least:
            raise ValueError(f"takes a range in ascending order: [{most}, {least}], got [{least}, {most}]")
        if not 1 <= least <= most <= ROWS:
            raise ValueError(f"takes a whole number from 1 to {ROWS:,}, or a range such as [5, 25], got {value}")
        return value

    @property
    def range(self) -> tuple[int, int]:
        return (self.per_batch, self.per_batch) if isinstance(self.per_batch, int) else self.per_batch


class Augment(Part):
    """Random crops after padding with `crop_padding` black pixels, and mirror images, of positives and negatives."""

    crop_padding: int = Field(0, ge=0, le=SIDE)
    """Pad with so many black pixels on each side, then crop at a random place."""
    flip: bool = False
    """Mirror half of the images at random."""


class Optimizer(BaseOptimizer):
    """By default SGD as usual for residual networks on CIFAR. `decay: cosine` decays the learning rate to 0."""

    kind: Literal["adam", "adamw", "rmsprop", "sgd"] = "sgd"
    """The algorithm."""
    lr: Schedule | float = 0.1
    """The learning rate at the start, or a schedule of it."""
    betas: tuple[Beta, Beta] = (0.9, 0.999)
    weight_decay: float = Field(5e-4, ge=0)
    """Weight decay, as torch's optimiser of this kind applies it."""
    momentum: float = Field(0.9, ge=0)
    """Momentum of RMSprop and SGD."""
    decay: Literal["none", "cosine"] = "cosine"
    """`cosine` decays the learning rate to 0 at the end of the run."""

    def rate(self, step: int, steps: int) -> float:
        """The learning rate at a step of a run of `steps` steps."""
        rate = value_at(self.lr, step)
        return rate * (1 + math.cos(math.pi * step / steps)) / 2 if self.decay == "cosine" else rate


class ClassifierRecipe(BaseRecipe):
    """The recipe of a classifier's run, and of those `beside` it for comparison. Steps are batches."""

    trains: ClassVar = "classifier"

    data: Annotated[Positives, short_for("source")]
    """The training images of the classes, the positives. Text stands for its `source`."""
    test: Annotated[Images | None, short_for("source")] = None
    """The test images. Null means the data's test split, or a tenth held out."""
    validation: float = Field(0.1, ge=0, le=0.5)
    """Share of the training images held out to choose the threshold."""
    false_alarm_rate: float = Field(0.05, gt=0, lt=1)
    """Share of validation images that the threshold calls unknown."""
    negatives: Annotated[Negatives | None, short_for("source")] = None
    """Images of none of the classes, which the criterion learns from."""
    probes: Annotated[
        dict[str, Annotated[Images | None, short_for("source")]], BeforeValidator(lambda given: given or {})
    ] = Field(default_factory=dict)
    """Images of none of the classes by name, on which the classifier is tested."""

    network: NetworkField = Network(kind="resnet18")
    """The network: a name, or a mapping with `kind` and options."""
    criterion: NetworkField = Network(kind="nat")
    """The loss: a name, or a mapping with `kind` and options."""
    beside: tuple[NetworkField, ...] = ()
    """Criteria of further classifiers, trained on the same batches for comparison."""
    optimizer: Optimizer = Optimizer()
    """The optimiser."""
    augment: Augment = Augment()
    """Random changes of training images."""
    normalise: bool = True
    """Shift and scale each channel by the training images' mean and standard deviation."""

    steps: int = Field(ge=1)
    """Length of the run in batches."""
    batch_size: int = Field(128, ge=1, le=ROWS)
    """Images in each batch."""
    seed: int = 0
    """Seed of everything random in the run."""
    thresholds: tuple[Annotated[float, Field(ge=0, lt=1)], ...] = Field(THRESHOLDS, min_length=1)
    """The thresholds at which the share of negatives called unknown is reported."""
    log_every: int = Field(50, ge=1)
    """Write losses to the log after every so many steps."""
    checkpoint_every: int = Field(500, ge=1)
    """Save a checkpoint after every so many steps."""
    keep_checkpoints: int = Field(2, ge=1)
    """How many of the newest checkpoints stay."""
    threads: int | None = Field(None, ge=1, le=THREADS)
    """CPU threads. The bits of a run depend on it. Null means the machine's number."""
    deterministic: bool = False
    """Use only algorithms that repeat to the bit on a GPU. On CPUs all do."""

    @field_validator("network")
    @classmethod
    def _known_network(cls, network: Network, info: ValidationInfo) -> Network:
        found = network_class(network.kind, trust_in(info))
        options = network_options(found, network.options, what=f"network '{network.kind}'")
        return Network(kind=network.kind, **options)

    @field_validator("criterion", "beside")
    @classmethod
    def _known_criterion(cls, value: Any, info: ValidationInfo) -> Any:
        trust = trust_in(info)
        if isinstance(value, tuple):
            return tuple(_checked_criterion(each, trust) for each in value)
        return _checked_criterion(value, trust)

    @model_validator(mode="after")
    def _negatives_fit(self) -> ClassifierRecipe:
        wanting = [c.kind for c in self.classifiers if takes_negatives(c.kind)]
        if wanting and self.negatives is None:
            raise ValueError(
                f"criterion {wanting[-1]} needs negatives: give them, such as negatives=FOLDER, negatives=noise:normal or "
                "negatives.classes=[...] for held-out classes of the data; criterion=baseline does without"
            )
        if self.negatives is not None and self.negatives.placement == "inside":
            most = self.negatives.range[1]
            if most >= self.batch_size:
                raise ValueError(
                    f"negatives.per_batch {most} inside a batch of {self.batch_size} leaves no positives: at most "
                    f"{self.batch_size - 1}, preferably a minority"
                )
        kinds = [c.kind for c in self.classifiers]
        if len(set(kinds)) < len(kinds):
            raise ValueError(f"beside and criterion name {kinds}: each classifier of a run needs its own criterion")
        return self

    @property
    def classifiers(self) -> tuple[Network, ...]:
        """The criterion of each classifier of the run, the recipe's own last. If it is also in `beside`, it counts once."""
        return (*(c for c in self.beside if c != self.criterion), self.criterion)

    @property
    def most_positives(self) -> int:
        """The largest number of positives in a batch."""
        inside = self.negatives is not None and self.negatives.placement == "inside"
        return self.batch_size - (self.negatives.range[0] if inside and self.negatives else 0)

    @property
    def code(self) -> tuple[str, ...]:
        """Every name that this recipe was let import; its other texts are consent to nothing."""
        return (self.network.kind, *(criterion.kind for criterion in self.classifiers))

    def image_sources(self) -> dict[str, str]:
        probes = {f"probes.{name}": f"probe {name}" for name in self.probes}
        return {"data": "train", "test": "test", "negatives": "negatives", **probes}

    def scaled(self, factor: float) -> ClassifierRecipe:
        return super().scaled(factor).model_copy(update={"optimizer": self.optimizer.scaled(factor)})

    @classmethod
    def _overridden(cls, values: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
        if isinstance(change.get("criterion"), str):  # the same criterion keeps its options
            change = {**change, "criterion": {"kind": change["criterion"]}}
        return merge(values, change)


def _checked_criterion(criterion: Network, trust: Trust) -> Network:
    found = criterion_class(criterion.kind, trust)
    return Network(
        kind=criterion.kind, **network_options(found, criterion.options, what=f"criterion '{criterion.kind}'")
    )
