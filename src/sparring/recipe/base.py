"""What recipes of GANs and classifiers share: their parts, and how they are loaded, overridden, shortened and compared."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from sparring.errors import SparringError
from sparring.limits import NAME, check_scale, check_values, whole
from sparring.recipe.explain import TRUST, explain, refused_code
from sparring.recipe.files import (
    HOW_TREATED,
    Kind,
    check_kind,
    flat,
    merge,
    nested,
    parse_overrides,
    read_with_trust,
    without_others_about,
)
from sparring.schedule import Schedule, Scheduled
from sparring.trust import Trust


class Part(BaseModel):
    """A part of a recipe. It is frozen, and refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_booleans_for_numbers(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse `true` for a number, which Python would take for 1."""
        if isinstance(value, bool) and cls.model_fields[str(info.field_name)].annotation is not bool:
            raise ValueError(f"takes no true or false, got {str(value).lower()}")
        return value

    @field_validator("*")
    @classmethod
    def _whole_numbers(cls, value: Any) -> Any:
        return whole(value)


def short_for(key: str) -> BeforeValidator:
    """Lets text stand for a mapping with only this key: `data: FOLDER`, `network: resnet18`."""
    return BeforeValidator(lambda value: {key: value} if isinstance(value, str) else value)


class Network(BaseModel):
    """A network. `kind` is its name or `package.module:Class`; other keys are options of its constructor."""

    model_config = ConfigDict(frozen=True, extra="allow")

    kind: str
    """The network's name, or `package.module:Class` for your own. Other keys are options of its constructor."""

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.__pydantic_extra__ or {})


NetworkField = Annotated[Network, short_for("kind")]
ClassesField = str | StrictInt | list[str | StrictInt] | None  # names, numbers and ranges; see `sparring.data.classes`
Beta = Annotated[float, Field(ge=0, lt=1)]


def within(number: Scheduled, least: float, most: float) -> Scheduled:
    """Raise ValueError unless a number, or every value of a schedule, is within bounds."""
    values = [value for _, value in number.knots] if isinstance(number, Schedule) else [number]
    for value in values:
        if not least <= value <= most:
            raise ValueError(f"takes {f'{least} to {most}' if most < math.inf else f'{least} or more'}, got {value}")
    return number


class Optimizer(Part):
    """An optimiser. `lr` may be a schedule in steps: {knots: [[0, 4e-4], [1000000, 0]]}."""

    kind: Literal["adam", "adamw", "rmsprop", "sgd"] = "adam"
    """The algorithm."""
    lr: Scheduled = 2e-4
    """The learning rate, or a schedule of it."""
    betas: tuple[Beta, Beta] = (0.5, 0.999)
    """Adam's and AdamW's decay rates of the mean gradient and of the mean squared gradient."""
    eps: float = Field(1e-8, gt=0)
    """Added to the denominator by Adam, AdamW and RMSprop."""
    weight_decay: float = Field(0.0, ge=0)
    """Weight decay, as torch's optimiser of this kind applies it."""
    momentum: float = Field(0.0, ge=0)
    """Momentum of RMSprop and SGD."""

    @field_validator("lr")
    @classmethod
    def _not_negative(cls, lr: Scheduled) -> Scheduled:
        return within(lr, 0, math.inf)

    def scaled(self: OptimizerT, factor: float) -> OptimizerT:
        return self.model_copy(update={"lr": self.lr.scaled(factor)}) if isinstance(self.lr, Schedule) else self


def run_folder(name: str) -> str:
    """The folder below `runs` of a recipe with this name."""
    return name.replace("/", "-")


class BaseRecipe(Part):
    """The fields that every recipe begins with. Subclasses add others, among them those that a run's `Loop` reads."""

    trains: ClassVar[Kind]
    every: ClassVar[tuple[str, ...]] = ("log_every", "checkpoint_every")  # fields that count steps

    name: str = Field("unnamed", min_length=1, max_length=NAME)
    """The recipe's name. Without `--out`, the run's folder is `runs/NAME`."""
    about: str = ""
    """One line for listings."""
    paper: dict[str, Any] | None = None
    """The row of a paper's table that the recipe follows, and the printed numbers."""
    run_in_full: bool = False
    """Whether anyone has run the recipe in full. Listings say so if not."""

    @field_validator("name")
    @classmethod
    def _names_a_folder(cls, name: str) -> str:
        """Refuse a name whose folder would be `runs` itself, or the one around it."""
        if run_folder(name) in (".", ".."):
            raise ValueError(f"'{name}' cannot be the name of a run's folder: use letters or digits")
        return name

    if TYPE_CHECKING:  # fields of both kinds, each in its own order
        steps: int
        threads: int | None
        deterministic: bool

    def to_dict(self) -> dict[str, Any]:
        """The resolved recipe as plain JSON data, which `load` reads back to an equal recipe."""
        return self.model_dump(mode="json")

    @property
    def code(self) -> tuple[str, ...]:
        """Every name that this recipe was allowed to import. Its other texts allow nothing."""
        raise NotImplementedError

    def image_sources(self) -> dict[str, str]:
        """The dotted keys of the parts that name images, each with the name of their fingerprint."""
        raise NotImplementedError

    def as_started(self: R, before: R) -> R:
        """The recipe to continue a run with: whatever this one leaves open is taken from `before`."""
        return self

    def scaled(self: R, factor: float) -> R:
        """The recipe with `factor` times as many steps, and all its schedules scaled in proportion."""
        factor = check_scale(factor)
        return self.model_copy(
            update={key: max(1, round(getattr(self, key) * factor)) for key in ("steps", *self.every)}
        )

    @classmethod
    def load(
        cls: type[R],
        source: Any,
        overrides: Iterable[str] | Mapping[str, Any] = (),
        *,
        sources: Mapping[str, str] | None = None,
        allow_code: bool = False,
    ) -> R:
        """Load a recipe from a shipped name, a YAML or JSON file, a run's folder, a mapping or a recipe.

        overrides: `key=value` strings with dotted keys, or a mapping of dotted keys to values; `scale=0.1` shortens the
            recipe and all its schedules. sources: what to record for images that were given in Python. allow_code: whether a
            run's recipe.json may name code that does not ship (see docs/trust.md); your own recipes and overrides may.

        Raises SparringError, in one line, for anything invalid; for an unknown name it suggests the nearest.
        """
        changes = parse_overrides(overrides)
        factor = changes.pop("scale", None)
        if isinstance(source, BaseRecipe):
            values: dict[str, Any] = source.to_dict()
            trust = Trust().also(values, None)
        else:
            values, trust = read_with_trust(source, allow_code=allow_code)
        check_kind(source, values, cls.trains)
        trust = trust.also(changes, Path.cwd())
        before_overrides = values
        for name, named in (sources or {}).items():
            old = values.get(name)
            old = {"source": old} if isinstance(old, str) else dict(old or {})
            if old.get("source") != named and not isinstance(source, Mapping | BaseRecipe):
                # size, split and so on described the old images
                old = {key: old[key] for key in HOW_TREATED if key in old}
            values[name] = {**old, "source": named}
        for key, value in changes.items():
            values = cls._overridden(values, nested(key, value))
        check_values(values, "the recipe", plain=False)
        values = without_others_about(before_overrides, values)
        try:
            recipe = cls.model_validate(values, context={TRUST: trust})
        except ValidationError as error:
            raise refused_code(error) or SparringError(explain(error, cls)) from None
        return recipe if factor is None else recipe.scaled(factor)

    @classmethod
    def _overridden(cls, values: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
        return merge(values, change)


OptimizerT = TypeVar("OptimizerT", bound=Optimizer)
R = TypeVar("R", bound=BaseRecipe)


def differences(a: BaseRecipe, b: BaseRecipe) -> dict[str, tuple[Any, Any]]:
    """The dotted keys in which two recipes differ, each with both values. A missing key counts as None."""
    flat_a, flat_b = flat(a.to_dict()), flat(b.to_dict())
    keys = [*flat_a, *(key for key in flat_b if key not in flat_a)]
    return {key: (flat_a.get(key), flat_b.get(key)) for key in keys if flat_a.get(key) != flat_b.get(key)}
