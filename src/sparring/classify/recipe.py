"""A classifier's recipe: what it learns, what it is shown as negatives, and what it is probed with afterwards.

The same rules as for GANs' recipes (`sparring.recipe.gan`): YAML or Python in, resolved JSON out, unknown keys refused with
the nearest, dotted overrides, `scale=0.1` for a shorter run. `criterion` is the one line that makes it a baseline, NAT, or
one with an extra class.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, ValidationInfo, field_validator, model_validator

from sparring.classify.criteria import criterion_class, takes_negatives
from sparring.classify.networks import network_class
from sparring.errors import SparringError
from sparring.limits import CLASSES, NAME, ROWS, SIDE, THREADS, check_scale, check_values
from sparring.metrics.ncr import THRESHOLDS
from sparring.recipe.explain import TRUST, explain, network_options, refused_code, trust_in
from sparring.recipe.files import (
    merge,
    nested,
    parse_overrides,
    read_recipe,
    read_with_trust,
    shipped_classifiers,
    unknown_recipe,
    without_others_about,
)
from sparring.recipe.gan import ClassesField, Network, Part
from sparring.recipe.gan import Optimizer as BaseOptimizer
from sparring.schedule import Schedule, value_at
from sparring.trust import Trust


class Images(Part):
    """A source of images (see `sparring.data.load`). Without `source` it is the positives', with `classes` of its own.

    For probes there are also "noise:normal" and "noise:uniform", fed as the network's normalised input, and scikit-learn's
    "sklearn:digits" and "sklearn:patches".
    """

    source: str | None = None
    split: str | None = None
    classes: ClassesField = None
    renumber: bool = False  # leave out classes without images, and number the others anew
    class_order: str | list[str] | None = None
    skip_unreadable: bool = False
    download: bool = False  # let torchvision fetch a data set of its own


class Positives(Images):
    """The images that are classified. size and channels are found in the data where they are not given.

    `download` of these counts for test images, negatives and probes, too.
    """

    source: str
    size: int | None = Field(None, ge=1, le=SIDE)
    channels: Literal[1, 3] | None = None
    num_classes: int | None = Field(None, ge=2, le=CLASSES)


class Negatives(Images):
    """Images that belong to none of the classes, and how they join a batch.

    per_batch   how many, or a range [5, 25] (or 5-25) from which each batch draws its number
    placement   "on_top" of a batch's positives, or "inside" the batch, in the place of some
    """

    per_batch: int | tuple[int, int] = (5, 25)  # the paper's, section 3.1
    placement: Literal["on_top", "inside"] = "on_top"

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
            raise ValueError(
                f"takes a range from its smaller number to its larger: [{most}, {least}], got [{least}, {most}]"
            )
        if not 1 <= least <= most <= ROWS:
            raise ValueError(f"takes a whole number from 1 to {ROWS:,}, or a range such as [5, 25], got {value}")
        return value

    @property
    def range(self) -> tuple[int, int]:
        return (self.per_batch, self.per_batch) if isinstance(self.per_batch, int) else self.per_batch


HOW_THEY_JOIN = ("per_batch", "placement")  # of Negatives; the other fields say what they are


class Augment(Part):
    """Crops of the image with a black border of `crop_padding` pixels, and mirror images; for positives and negatives."""

    crop_padding: int = Field(0, ge=0, le=SIDE)
    flip: bool = False


class Optimizer(BaseOptimizer):
    """SGD as it is usual for CIFAR's residual networks. `decay: cosine` lets the rate fall to 0 at the last step."""

    kind: Literal["adam", "adamw", "rmsprop", "sgd"] = "sgd"
    lr: Schedule | float = 0.1
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.9, 0.999)
    weight_decay: float = Field(5e-4, ge=0)
    momentum: float = Field(0.9, ge=0)
    decay: Literal["none", "cosine"] = "cosine"

    def rate(self, step: int, steps: int) -> float:
        """The learning rate at a step of so many."""
        rate = value_at(self.lr, step)
        return rate * (1 + math.cos(math.pi * step / steps)) / 2 if self.decay == "cosine" else rate


def _kind(value: Any) -> Any:
    return {"kind": value} if isinstance(value, str) else value


def _source(value: Any) -> Any:
    return {"source": value} if isinstance(value, str) else value


class ClassifierRecipe(Part):
    """A whole run: one classifier, and those `beside` it that it is compared with. Steps are batches."""

    name: str = Field("unnamed", min_length=1, max_length=NAME)
    about: str = ""
    paper: dict[str, Any] | None = None  # which cell of which table this is, and the numbers printed there
    run_in_full: bool = False  # whether anyone has run it in full; every listing says so where nobody has

    data: Annotated[Positives, BeforeValidator(_source)]
    test: Annotated[Images | None, BeforeValidator(_source)] = (
        None  # None: the data's test split, else a tenth held out
    )
    validation: float = Field(0.1, ge=0, le=0.5)  # share of the training images held out to choose the threshold with
    false_alarm_rate: float = Field(0.05, gt=0, lt=1)  # share of validation positives that the threshold calls unknown
    negatives: Annotated[Negatives | None, BeforeValidator(_source)] = None
    probes: Annotated[
        dict[str, Annotated[Images | None, BeforeValidator(_source)]], BeforeValidator(lambda given: given or {})
    ] = Field(default_factory=dict)

    network: Annotated[Network, BeforeValidator(_kind)] = Network(kind="resnet18")
    criterion: Annotated[Network, BeforeValidator(_kind)] = Network(kind="nat")
    beside: tuple[Annotated[Network, BeforeValidator(_kind)], ...] = ()
    optimizer: Optimizer = Optimizer()
    augment: Augment = Augment()
    normalise: bool = True  # each channel by the training images' mean and standard deviation

    steps: int = Field(ge=1)
    batch_size: int = Field(128, ge=1, le=ROWS)
    seed: int = 0
    thresholds: tuple[Annotated[float, Field(ge=0, lt=1)], ...] = Field(THRESHOLDS, min_length=1)
    log_every: int = Field(50, ge=1)
    checkpoint_every: int = Field(500, ge=1)
    keep_checkpoints: int = Field(2, ge=1)
    threads: int | None = Field(
        None, ge=1, le=THREADS
    )  # part of the recipe, because bits depend on them; None: as the machine has

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
                f"criterion {wanting[-1]} needs negatives: name them, such as negatives=FOLDER, negatives=noise:normal or "
                "negatives.classes=[...] for held-out classes of the data; criterion=baseline does without"
            )
        if self.negatives is not None and self.negatives.placement == "inside":
            most = self.negatives.range[1]
            if most >= self.batch_size:
                raise ValueError(
                    f"negatives.per_batch {most} inside a batch of {self.batch_size} leaves no positives: at most "
                    f"{self.batch_size - 1}, and best a minority"
                )
        kinds = [c.kind for c in self.classifiers]
        if len(set(kinds)) < len(kinds):
            raise ValueError(f"beside and criterion name {kinds}: each classifier of a run has another criterion")
        return self

    @property
    def classifiers(self) -> tuple[Network, ...]:
        """The criterion of each classifier of the run, the recipe's own last: it is not trained twice where `beside` names
        it, too, so that `criterion` alone can be changed."""
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

    def to_dict(self) -> dict[str, Any]:
        """The resolved recipe as plain JSON data, which `load` reads back to an equal one."""
        return self.model_dump(mode="json")

    def scaled(self, factor: float) -> ClassifierRecipe:
        """The same recipe over `factor` times its length, its learning rate's course in proportion."""
        factor = check_scale(factor)
        every = {key: max(1, round(getattr(self, key) * factor)) for key in ("steps", "log_every", "checkpoint_every")}
        optimizer = self.optimizer
        if isinstance(optimizer.lr, Schedule):
            optimizer = optimizer.model_copy(update={"lr": optimizer.lr.scaled(factor)})
        return self.model_copy(update={**every, "optimizer": optimizer})

    @classmethod
    def load(
        cls, source: Any, overrides: Iterable[str] | Mapping[str, Any] = (), *, allow_code: bool = False
    ) -> ClassifierRecipe:
        """A recipe from a shipped name, a YAML or JSON file, a run's folder, a mapping or a recipe, with overrides.

        overrides: `key=value` strings with dotted keys, or a mapping. allow_code: as for `sparring.Recipe.load`. Raises
        SparringError, in one line, for what is wrong.
        """
        changes = parse_overrides(overrides if isinstance(overrides, Mapping) else list(overrides))
        factor = changes.pop("scale", None)
        values, trust = _values(source, allow_code)
        trust = trust.also(changes, Path.cwd())
        written_for = values
        for key, value in changes.items():
            values = _merged(values, nested(key, value))
        check_values(values, "the recipe", plain=False)
        values = without_others_about(written_for, values)
        try:
            recipe = cls.model_validate(values, context={TRUST: trust})
        except ValidationError as error:
            raise refused_code(error) or SparringError(explain(error, cls)) from None
        return recipe if factor is None else recipe.scaled(factor)


def _values(source: Any, allow_code: bool) -> tuple[dict[str, Any], Trust]:
    """The values of a recipe, and whose code they may name."""
    if isinstance(source, ClassifierRecipe):
        values = source.to_dict()
        return values, Trust().also(values, None)
    if isinstance(source, Mapping):
        return read_with_trust(source, allow_code=allow_code)
    name, shipped = str(source), shipped_classifiers()
    if name in shipped:
        return {**read_recipe(shipped[name]), "name": name}, Trust()
    path = Path(source)
    if not os.path.exists(path) and path.suffix not in (".yaml", ".yml", ".json"):
        raise unknown_recipe(name)
    values, trust = read_with_trust(path, allow_code=allow_code)
    if "discriminator" in values:
        what = "the run" if path.is_dir() else "a recipe"
        raise SparringError(
            f"'{source}' is {what} of a GAN: `sparring train` trains it, and `sparring classify` classifiers"
        )
    return values, trust


def _merged(values: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """One override laid over the values."""
    if isinstance(values.get("negatives"), Mapping) and isinstance(change.get("negatives"), str):
        joining = {key: values["negatives"][key] for key in HOW_THEY_JOIN if key in values["negatives"]}
        change = {**change, "negatives": {"source": change["negatives"]}}
        values = {**values, "negatives": joining}  # another source keeps nothing of the old one's splits and classes
    if isinstance(change.get("criterion"), str):
        change = {
            **change,
            "criterion": {"kind": change["criterion"]},
        }  # another criterion keeps none of the old options
    return merge(values, change)


def _checked_criterion(criterion: Network, trust: Trust) -> Network:
    found = criterion_class(criterion.kind, trust)
    return Network(
        kind=criterion.kind, **network_options(found, criterion.options, what=f"criterion '{criterion.kind}'")
    )
