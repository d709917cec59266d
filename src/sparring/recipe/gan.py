"""A recipe: everything that determines a run, validated before it starts and saved with it.

YAML or Python in, resolved JSON out. Names in the objective are stable keys: for merging, overriding
(`objective.sdp.weight=0.03`), removing (`r1: null`), logging and state. `extends` builds a recipe on others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from torch import nn

from sparring import limits
from sparring.errors import SparringError, nearest
from sparring.limits import check_scale, check_values, whole
from sparring.networks import BACKBONES, GENERATORS
from sparring.objective.objective import Objective
from sparring.plugins import find, find_class, name_of
from sparring.recipe.augment import make_augment
from sparring.recipe.explain import TRUST, explain, network_options, refused_code, trust_in
from sparring.recipe.files import (
    HOW_TREATED,
    check_no_classifier,
    differences,
    flat,
    merge,
    nested,
    parse_overrides,
    read_with_trust,
    without_others_about,
)
from sparring.recipe.objective import ObjectiveField
from sparring.schedule import Schedule, Scheduled
from sparring.terms import REGISTRY
from sparring.trust import Trust, is_script

# What recipe.json said of the usual step up to version 0.1, which made the recipe import the trainer.
USUAL_STEP = ("train_step", ".".join(("sparring", "training", "step:train_step")))


class Part(BaseModel):
    """A part of a recipe: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_booleans_for_numbers(cls, value: Any, info: ValidationInfo) -> Any:
        """Python counts True as 1; a number of `true` in a recipe is a slip, and is refused as one."""
        if isinstance(value, bool) and cls.model_fields[str(info.field_name)].annotation is not bool:
            raise ValueError(f"takes no true or false, got {str(value).lower()}")
        return value

    @field_validator("*")
    @classmethod
    def _whole_numbers(cls, value: Any) -> Any:
        return whole(value)


Beta = Annotated[float, Field(ge=0, lt=1)]


def _within(number: Scheduled, least: float, most: float) -> Scheduled:
    """A number, or every value of a schedule, between two bounds."""
    values = [value for _, value in number.knots] if isinstance(number, Schedule) else [number]
    for value in values:
        if not least <= value <= most:
            raise ValueError(f"takes {f'{least} to {most}' if most < math.inf else f'{least} or more'}, got {value}")
    return number


class Network(BaseModel):
    """A network by name (`kind`) or `package.module:Class`; further keys are its constructor's options."""

    model_config = ConfigDict(frozen=True, extra="allow")

    kind: str

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.__pydantic_extra__ or {})


class Optimizer(Part):
    """One player's optimiser. `lr` may be a schedule in generator steps: {knots: [[0, 4e-4], [1000000, 0]]}."""

    kind: Literal["adam", "adamw", "rmsprop", "sgd"] = "adam"
    lr: Scheduled = 2e-4
    betas: tuple[Beta, Beta] = (0.5, 0.999)
    eps: float = Field(1e-8, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    momentum: float = Field(0.0, ge=0)  # rmsprop and sgd

    @field_validator("lr")
    @classmethod
    def _not_negative(cls, lr: Scheduled) -> Scheduled:
        return _within(lr, 0, math.inf)


class EMA(Part):
    """A moving average of the generator's parameters, taken after each step from `start` on; buffers are copied."""

    decay: Scheduled = 0.999
    start: int = Field(0, ge=0)

    @field_validator("decay")
    @classmethod
    def _a_share(cls, decay: Scheduled) -> Scheduled:
        return _within(decay, 0, 1)


def _short_ema(value: Any) -> Any:
    return {"decay": value} if isinstance(value, int | float) and not isinstance(value, bool) else value


def _short_network(value: Any) -> Any:
    return {"kind": value} if isinstance(value, str) else value


NetworkField = Annotated[Network, BeforeValidator(_short_network)]


class Generator(Part):
    """The generator: its network, latents, optimiser and moving average."""

    network: NetworkField
    latent_size: int = Field(128, ge=1, le=limits.LATENT)
    optimizer: Optimizer = Optimizer()
    ema: Annotated[EMA | None, BeforeValidator(_short_ema)] = None
    batch_size: int | None = Field(None, ge=1, le=limits.ROWS)  # None: the recipe's
    labels: Literal["uniform", "data"] = (
        "uniform"  # of fakes in training: all classes as often, or in the data's shares
    )

    @field_validator("network")
    @classmethod
    def _known(cls, network: Network, info: ValidationInfo) -> Network:
        return _checked_network(network, GENERATORS, "generator", trust_in(info))


class Discriminator(Part):
    """The discriminator: its backbone, conditioning and optimiser. The objective's terms decide which heads it has."""

    network: NetworkField
    conditioning: Literal["none", "projection"] = "none"
    optimizer: Optimizer = Optimizer()
    clip_weights: float | None = Field(None, gt=0)  # after each update, to [-clip, clip] (the first Wasserstein GAN)

    @field_validator("network")
    @classmethod
    def _known(cls, network: Network, info: ValidationInfo) -> Network:
        return _checked_network(network, BACKBONES, "backbone", trust_in(info))


ClassesField = str | StrictInt | list[str | StrictInt] | None  # names, numbers and ranges; see `sparring.data.classes`


class Data(Part):
    """A source of images; see `sparring.data.sources.load` for what it may be.

    size, channels and num_classes are found in the data where they are not given; giving them lets `show` work without.
    """

    source: str
    split: str | None = None
    size: int | None = Field(None, ge=1, le=limits.SIDE)
    channels: Literal[1, 3] | None = None
    classes: ClassesField = None
    renumber: bool = False  # leave out classes without images, and number the others anew
    num_classes: int | None = Field(None, ge=0, le=limits.CLASSES)
    flip: bool = False
    labelled: float | None = Field(None, gt=0, le=1)  # share of each class's labels that is kept
    skip_unreadable: bool = False
    download: bool = False  # let torchvision fetch a data set of its own


def _short_data(value: Any) -> Any:
    return {"source": value} if isinstance(value, str) else value


DataField = Annotated[Data, BeforeValidator(_short_data)]


class Evaluation(Part):
    """When and how generated samples are measured; part of the recipe, because numbers depend on all of it."""

    every: int | None = Field(None, ge=1)  # generator steps; None: at the end alone
    n: int = Field(2_000, ge=2, le=limits.MEASURED)
    extractor: str | None = None  # None: the embedded one where it fits the data, else no features
    metrics: tuple[str, ...] | None = None  # None: all that the extractor allows
    split: str | None = None  # of the real images; None: the training images themselves
    labels: Literal["data", "uniform"] = (
        "data"  # of conditional generators: in the real images' shares, or all as often
    )
    n_real: int | None = Field(None, ge=2, le=limits.MEASURED)  # that many of them, drawn by `seed`; None: all
    is_splits: int = Field(10, ge=1, le=limits.MEASURED)
    batch_size: int = Field(250, ge=1, le=limits.ROWS)
    seed: int = 0

    @field_validator("extractor")
    @classmethod
    def _allowed(cls, extractor: str | None, info: ValidationInfo) -> str | None:
        if extractor is not None and is_script(extractor):
            trust_in(info).folders(extractor, "TorchScript extractor")
        return extractor


class Recipe(Part):
    """A whole run. Counts of steps are generator updates."""

    name: str = Field("unnamed", min_length=1, max_length=limits.NAME)
    about: str = ""
    paper: dict[str, Any] | None = None  # which row of which table this is, and the number printed there
    run_in_full: bool = False  # whether anyone has run it in full; every listing says so where nobody has

    data: DataField
    negatives: Annotated[Data | None, BeforeValidator(_short_data)] = None
    unlabelled: Annotated[Data | None, BeforeValidator(_short_data)] = None
    generator: Generator
    discriminator: Discriminator
    objective: ObjectiveField
    augment: dict[str, Any] | None = None

    steps: int = Field(ge=1)
    batch_size: int = Field(64, ge=1, le=limits.ROWS)
    d_steps: int = Field(1, ge=1, le=limits.D_STEPS)
    accumulate: int = Field(1, ge=1, le=limits.ACCUMULATE)  # micro-batches per update
    seed: int = 0
    step: str | None = None  # one generator step; None: the usual one; yours is package.module:function

    start_from: str | None = None  # another run, whose networks and optimisers this one starts with where they fit

    evaluation: Evaluation | None = Evaluation()
    log_every: int = Field(50, ge=1)
    samples_every: int = Field(500, ge=1)
    checkpoint_every: int = Field(1_000, ge=1)
    keep_checkpoints: int = Field(2, ge=1)  # the last ones, beside the best; more show a run's course to `diagnose`
    threads: int | None = Field(
        None, ge=1, le=limits.THREADS
    )  # part of the recipe, because bits depend on them; None: as the machine has
    precision: Literal["float32", "bfloat16"] = "float32"

    @field_validator("step")
    @classmethod
    def _known_step(cls, step: str | None, info: ValidationInfo) -> str | None:
        if step in USUAL_STEP:
            return None
        if step is not None:
            find(step, {}, "step", trust_in(info))
        return step

    @field_validator("augment")
    @classmethod
    def _known_augment(cls, augment: dict[str, Any] | None, info: ValidationInfo) -> dict[str, Any] | None:
        make_augment(augment, trust_in(info))
        return augment

    @model_validator(mode="after")
    def _passes(self) -> Recipe:
        if self.d_steps * self.accumulate > limits.PASSES:
            raise ValueError(f"d_steps times accumulate is at most {limits.PASSES}: lower one of them")
        return self

    @property
    def generator_batch_size(self) -> int:
        return self.generator.batch_size or self.batch_size

    @property
    def code(self) -> tuple[str, ...]:
        """Every name that this recipe was let import, or opens as a script; its other texts are consent to nothing."""
        named = [
            self.generator.network.kind,
            self.discriminator.network.kind,
            self.step,
            (self.augment or {}).get("kind"),
        ]
        named += [name_of(type(term), REGISTRY, "term") for term in self.objective.terms.values()]
        named += [self.evaluation.extractor] if self.evaluation is not None else []
        return tuple(filter(None, named))

    def to_dict(self) -> dict[str, Any]:
        """The resolved recipe as plain JSON data; `Recipe.load` reads it back to an equal recipe."""
        return self.model_dump(mode="json")

    def scaled(self, factor: float) -> Recipe:
        """The same recipe over `factor` times its length, all its schedules in proportion."""
        factor = check_scale(factor)
        objective = Objective({name: term.scaled(factor) for name, term in self.objective.terms.items()})

        def often(every: int) -> int:
            return max(1, round(every * factor))

        changes: dict[str, Any] = {"objective": objective, "steps": often(self.steps)}
        changes |= {key: often(getattr(self, key)) for key in ("log_every", "samples_every", "checkpoint_every")}
        for player in ("generator", "discriminator"):
            part = getattr(self, player)
            if isinstance(part.optimizer.lr, Schedule):
                lr = part.optimizer.lr.scaled(factor)
                part = part.model_copy(update={"optimizer": part.optimizer.model_copy(update={"lr": lr})})
            if player == "generator" and part.ema is not None:
                part = part.model_copy(update={"ema": _scaled_ema(part.ema, factor)})
            changes[player] = part
        if self.evaluation is not None and self.evaluation.every is not None:
            changes["evaluation"] = self.evaluation.model_copy(update={"every": often(self.evaluation.every)})
        return self.model_copy(update=changes)

    @classmethod
    def load(
        cls,
        source: Any,
        overrides: list[str] | tuple[str, ...] | Mapping[str, Any] = (),
        *,
        sources: Mapping[str, str] | None = None,
        allow_code: bool = False,
    ) -> Recipe:
        """A recipe from a shipped name, a YAML or JSON file, a run's folder, a mapping or a Recipe, with overrides.

        overrides: `key=value` strings with dotted keys, or a mapping of dotted keys to values; `scale=0.1` shortens the
            recipe with all its schedules. sources: what stands for images from Python in the place of the recipe's own.
        allow_code: whether a run's recipe.json may name code that does not ship (see docs/trust.md); what the user writes or
            types may.

        Raises SparringError with the nearest valid name for an unknown one.
        """
        changes = parse_overrides(overrides)
        factor = changes.pop("scale", None)
        if isinstance(source, Recipe):
            values: dict[str, Any] = source.to_dict()
            trust = Trust().also(values, None)
        else:
            values, trust = read_with_trust(source, allow_code=allow_code)
            check_no_classifier(source, values)
        trust = trust.also(changes, Path.cwd())
        written_for = values
        for name, named in (sources or {}).items():
            before = _short_data(values.get(name))
            old = dict(before) if isinstance(before, Mapping) else {}
            if old.get("source") != named and not isinstance(source, Mapping | Recipe):
                old = {key: old[key] for key in HOW_TREATED if key in old}  # size, split, ... were the old images'
            values[name] = {**old, "source": named}
        for key, value in changes.items():
            values = merge(values, nested(key, value))
        check_values(values, "the recipe", plain=False)
        values = without_others_about(written_for, values)
        try:
            recipe = cls.model_validate(values, context={TRUST: trust})
        except ValidationError as error:
            raise refused_code(error) or SparringError(explain(error, cls)) from None
        return recipe if factor is None else recipe.scaled(factor)


def _scaled_ema(ema: EMA, factor: float) -> EMA:
    decay = ema.decay.scaled(factor) if isinstance(ema.decay, Schedule) else ema.decay
    return ema.model_copy(update={"decay": decay, "start": round(ema.start * factor)})


def _checked_network(network: Network, registry: Mapping[str, str], what: str, trust: Trust) -> Network:
    """The network with its options converted to the types that its constructor names."""
    options = network_options(
        find_class(network.kind, registry, what, nn.Module, trust), network.options, what=f"{what} '{network.kind}'"
    )
    return Network(kind=network.kind, **options)


__all__ = [
    "EMA", "Data", "Discriminator", "Evaluation", "Generator", "Network", "Optimizer", "Part", "Recipe",
    "differences", "flat", "nearest",
]  # fmt: skip
