"""A plan: the rows, scales, seeds and claims of a study, as a YAML file or a mapping.

Reading one imports no torch; `sparring.study.resolve` makes recipes of its rows.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib import resources
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictInt, ValidationError, model_validator

from sparring.errors import SparringError, nearest
from sparring.limits import NAME
from sparring.recipe.changes import values_in
from sparring.recipe.files import bases_of, merge, named_files, read_mapping, shipped_recipes

KINDS = ("gan", "classifier", "toy")
CLAIMS = 6  # headline claims of a plan, over which p values are adjusted
SEEDS = 10_000  # of one study
USUAL_SCALE = "mini"
ROOT = Path(str(resources.files("sparring"))) / "study" / "plans"
AS_WRITTEN = "full"  # the only scale of a plan without a file
OfResults = Literal["dots", "curves", "bars", "samples"]  # kinds of figures
OfGans = Literal["samples-beside", "adversarial-pairs", "accuracy-under-attack", "gradient-maps", "gradient-histogram"]
OfOthers = Literal["spectrum-embedding", "class-distances", "class-samples", "confidences", "probabilities", "moments"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _seeds(value: Any) -> Any:
    """5 means 0 to 4; "100-104" a range; a list what it says."""
    if isinstance(value, str) and (found := re.fullmatch(r"\s*(\d{1,9})\s*-\s*(\d{1,9})\s*", value)):
        value = range(int(found[1]), int(found[2]) + 1)
    if isinstance(value, int) and not isinstance(value, bool):
        value = range(value)
    if not isinstance(value, range | list | tuple):
        raise ValueError(f"takes a number of seeds, a range such as 100-104 or a list, got {value!r:.60}")
    if not 1 <= len(value) <= SEEDS or len(set(value)) < len(value) or min(value) < 0:
        raise ValueError(f"takes 1 to {SEEDS:,} seeds, different ones and none below 0, got {list(value)[:8]!r:.60}")
    return tuple(value)


def _share(value: Any) -> Any:
    if isinstance(value, str) and (found := re.fullmatch(r"\s*(\d{1,3}(?:\.\d+)?)\s*%\s*", value)):
        return float(found[1]) / 100
    return value


Seeds = Annotated[tuple[StrictInt, ...], BeforeValidator(_seeds)]
Share = Annotated[float, BeforeValidator(_share), Field(gt=0, lt=1)]


class Toy(_Part):
    """A run on a toy world, by a method's name; `world.*` keys of `set` are the world's options."""

    world: str
    """The world's name."""
    method: str | None = None
    """The method's name, as `sparring toy` takes it."""


class Row(_Part):
    """One row of the table: what is trained for each seed."""

    recipe: str | dict[str, Any] | None = None
    """What is trained for each seed: a GAN's or a classifier's recipe, by name, by file or in full."""
    toy: Toy | None = None
    """A run on a toy world, instead of `recipe`."""
    set: dict[str, Any] = {}
    """Changes of the recipe by dotted key, on top of the scale's. `3%` is that share of the run's steps."""
    start: str | None = Field(None, alias="from")
    """Another row, from whose run of the same seed this one starts."""
    against: str | None = None
    """Another row, whose difference to this one the table shows without a claim."""
    paper: dict[str, float] = {}
    """The paper's numbers, by metric. By default those that the recipe states."""

    @model_validator(mode="after")
    def _one_of_them(self) -> Row:
        if (self.recipe is None) == (self.toy is None):
            raise ValueError("takes either recipe or toy")
        if self.toy is not None and self.start is not None:
            raise ValueError("is a toy row, which starts from no other: leave out from")
        return self


class Scale(_Part):
    """How long and how large every row is at this scale."""

    steps: int | None = Field(None, ge=1)
    """The length of every row, to which its recipe is shortened with all its schedules, starts and warm-ups."""
    set: dict[str, Any] = {}
    """Changes of every row by dotted key. Keys below `gan`, `classifier` or `toy` are for rows of that kind, and those of
    negatives or of a term (`objective.sdp.t`) for rows that have them."""
    set_rows: dict[str, dict[str, Any]] = {}
    """Further changes by row, on top of the row's own."""
    seeds: Seeds | None = None
    """The seeds at this scale, instead of the plan's."""
    rows: tuple[str, ...] | None = None
    """The rows at this scale. Null means all."""
    cpu_minutes: float | None = Field(None, gt=0)
    """About how long one run takes on a CPU."""
    note: str = ""
    """What this scale cannot show."""
    collapsed: dict[str, float] | None = None
    """At this scale, instead of the plan's `collapsed`."""

    def changes(self, kind: str) -> dict[str, Any]:
        common = {key: value for key, value in self.set.items() if key not in KINDS}
        length = {"steps": self.steps} if self.steps and kind == "toy" else {}
        return {**length, **common, **(self.set.get(kind) or {})}


class Claim(_Part):
    """What a row is said to do against another one: one of direction, not_better_by, equal_within and fails."""

    says: str
    """The claim in words."""
    row: str
    """The row that the claim is about."""
    against: str
    """The row that it is compared with."""
    metric: str | None = None
    """The number that is compared."""
    direction: Literal["lower", "higher"] | None = None
    """The row's number is lower, or higher."""
    not_better_by: Share | None = None
    """The row's number is not better by more than this share."""
    equal_within: Share | None = None
    """The two numbers differ by at most this share."""
    fails: Literal["more often", "less often"] | None = None
    """The row's runs fail more often, or less often."""

    @model_validator(mode="after")
    def _one_test(self) -> Claim:
        tests = ("direction", "not_better_by", "equal_within", "fails")
        given = [name for name in tests if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"takes one of {', '.join(tests)}, got {' and '.join(given) or 'none'}")
        if (self.metric is None) != (given == ["fails"]):
            raise ValueError("takes a metric, unless it is about how often runs fail")
        if self.row == self.against:
            raise ValueError(f"compares '{self.row}' with itself")
        return self


class Figure(_Part):
    """A figure of a study, drawn by `sparring.study.drawing`."""

    kind: OfResults | OfGans | OfOthers
    """Dots, curves and bars show all seeds, and need results alone. The other kinds show runs."""
    metric: str | None = None
    """The number that is drawn."""
    lines: tuple[str, ...] = ()
    """Of `curves`, instead of a metric: keys of the runs' logs, such as `discriminator/hinge`, or what a diagnosis sees at
    their checkpoints, such as `gradients.l1`."""
    rows: tuple[str, ...] | None = None
    """The rows that are drawn. Null means all."""
    title: str = ""
    """The title above the figure."""
    name: str = Field("", max_length=NAME, pattern=r"^[\w.+-]*$")
    """The file's name. By default the kind and the metric."""


class Plan(_Part):
    """A study before it is run. `Plan.load` reads one; `sparring.study.resolve.resolve` makes it ready to run."""

    name: str = Field("study", min_length=1, max_length=NAME, pattern=r"^[\w./+-]+$")
    """The plan's name, and that of the study's folder."""
    about: str = ""
    """One line for listings."""
    paper: dict[str, Any] = {}
    """The paper and the table that the study follows."""
    seeds: Seeds = (0, 1, 2, 3, 4)
    """The seeds of every row: a list, a range such as `100-104`, or a number of them, from 0 on."""
    collapsed: dict[str, float] = {}
    """By metric: a run that ends beyond this number has failed."""
    paired: bool = False
    """Compare the runs of two rows seed by seed."""
    scales: dict[str, Scale] = Field({AS_WRITTEN: Scale()}, min_length=1)
    """How long and how large the rows are, by name. `mini` is the usual one."""
    rows: dict[str, Row] = Field(min_length=1)
    """The rows of the table by label."""
    claims: tuple[Claim, ...] = Field((), max_length=CLAIMS)
    """What is tested."""
    metrics: tuple[str, ...] = ()
    """The numbers of the table, in this order. Empty means all that were measured."""
    diagnose: tuple[Literal["robustness", "gradients", "diversity", "accuracy", "cost"], ...] = ()
    """The sections of `sparring diagnose` that are kept of every GAN."""
    figures: tuple[Figure, ...] = ()
    """The figures of the page. Empty means dots, curves and samples of everything."""

    @model_validator(mode="after")
    def _rows_are_there(self) -> Plan:
        slugs: dict[str, str] = {}
        for label in self.rows:
            if (other := slugs.setdefault(slug(label), label)) != label:
                raise ValueError(f"rows '{other}' and '{label}' would share a folder, {slug(label)}: rename one")
        if wrong := [name for name in self.scales if not re.fullmatch(r"[\w+-]{1,40}", name)]:
            raise ValueError(f"scale '{wrong[0]:.60}': a scale's name is of letters, digits, - and _")
        for where, label in self._named_rows():
            if label not in self.rows:
                raise ValueError(f"{where}: there is no row '{label:.60}': {nearest(label, self.rows)}")
        try:
            TopologicalSorter({label: [row.start] for label, row in self.rows.items() if row.start}).prepare()
        except CycleError as error:
            raise ValueError(f"rows start from each other in a circle: {' -> '.join(error.args[1])}") from None
        return self

    def _named_rows(self) -> Iterator[tuple[str, str]]:
        """The labels of rows that anything names, and what names them."""
        for number, claim in enumerate(self.claims, start=1):
            yield from ((f"claim {number}", label) for label in (claim.row, claim.against))
        for label, row in self.rows.items():
            ways = {"starts from": row.start, "is compared with": row.against}
            yield from ((f"row '{label}' {how}", other) for how, other in ways.items() if other is not None)
        for number, figure in enumerate(self.figures, start=1):
            yield from ((f"figure {number}", label) for label in figure.rows or ())
        for name, scale in self.scales.items():
            yield from ((f"scale {name}", label) for label in (*(scale.rows or ()), *scale.set_rows))

    def chosen_scale(self, name: str | None) -> str:
        """A scale's name; by default `mini`, else the first."""
        if name is None:
            return USUAL_SCALE if USUAL_SCALE in self.scales else next(iter(self.scales))
        if name not in self.scales:
            raise SparringError(f"plan {self.name} has no scale '{name:.60}': {nearest(name, self.scales)}")
        return name

    def chosen_rows(self, scale: str, wanted: Iterable[str] | None) -> list[str]:
        """Labels of rows, by label or folder, each directly after the row that it starts from."""
        labels = list(self.scales[scale].rows or self.rows)
        if wanted is not None:
            names = {slug(label): label for label in self.rows} | {label: label for label in self.rows}
            for name in (wanted := list(wanted)):
                if name not in names:
                    raise SparringError(f"plan {self.name} has no row '{name:.60}': {nearest(name, self.rows)}")
            labels = [label for label in self.rows if label in {names[name] for name in wanted}]
        place = {label: i for i, label in enumerate(labels)}

        def lineage(label: str) -> tuple[int, ...]:
            start = self.rows[label].start
            if start is not None and start not in place:
                said = f"row '{label}' starts from row '{start}', which is not among the chosen rows: add it"
                raise SparringError(said)
            return (*(lineage(start) if start else ()), place[label])

        return sorted(labels, key=lineage)

    def to_dict(self) -> dict[str, Any]:
        """The plan as plain data, which `load` reads back to an equal one."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True) | {"name": self.name}

    @classmethod
    def load(cls, source: Any) -> Plan:
        """A plan from a shipped name, a YAML file, a mapping or a Plan. Raises SparringError, in one line, for a mistake."""
        if isinstance(source, Plan):
            return source
        values, where = (source, "the plan") if isinstance(source, Mapping) else _read(source)
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            from sparring.recipe.explain import explain

            raise SparringError(f"{where}: {explain(error, cls).removeprefix(': value error, ')}") from None


def slug(label: str) -> str:
    """A row's label as the name of a folder."""
    found = re.sub(r"[^a-z0-9.]+", "-", label.lower()).strip("-.")
    if not found or len(found) > NAME // 2:
        raise ValueError(f"row '{label:.60}': a label has letters or digits, and at most {NAME // 2} of them")
    return found


@cache
def shipped_plans() -> dict[str, Path]:
    """The plans in the package by name, such as `as-gan/figure-4`."""
    return named_files(ROOT)


def _read(source: Any) -> tuple[dict[str, Any], str]:
    """A plan's values, and what to call it."""
    if not isinstance(source, str | os.PathLike):
        raise SparringError(f"a plan is a name, a YAML file, a mapping or a Plan, got {type(source).__name__}")
    name, path = str(source), shipped_plans().get(str(source), Path(source))
    if not os.path.isfile(path):
        if path.suffix in (".yaml", ".yml"):
            raise SparringError(f"there is no plan {path}")
        if name in shipped_recipes():
            raise SparringError(f"'{name}' is a recipe: add --vary KEY=A,B to compare settings of it over seeds")
        hint = nearest(name, shipped_plans(), otherwise="`sparring studies` lists them.")
        raise SparringError(f"unknown study '{name:.60}': {hint} Or give a YAML file")
    own_name = name if name in shipped_plans() else path.stem
    return {"name": own_name, **_read_file(path, ())}, name


def _read_file(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    """The values of a plan's file, laid over those of the files that it extends: other plans or parts of plans.

    Recipes' files are looked up beside the plan's.
    """
    values, seen = read_mapping(path, "plan"), (*seen, path.resolve())
    rows = values.get("rows")
    for row in rows.values() if isinstance(rows, dict) else ():
        recipe = row.get("recipe") if isinstance(row, dict) else None
        if isinstance(recipe, str) and recipe not in shipped_recipes() and os.path.exists(path.parent / recipe):
            row["recipe"] = str((path.parent / recipe).absolute())
    merged: dict[str, Any] = {}
    for _, place in bases_of(values, path, "plan", ROOT, shipped_plans(), seen):
        merged = merge(merged, _read_file(place, seen))
    merged.pop("name", None)
    return merge(merged, values)


def varied(recipe: str, vary: Iterable[str], changes: Mapping[str, Any]) -> Plan:
    """A plan without a file: a recipe once for each value of a key, or for each combination of the values of several.

    vary: such as "objective.sdp.k=1,5,25". changes: of every row.
    """
    values_of = dict(map(values_in, vary))
    rows = {}
    for values in product(*values_of.values()):
        sets = dict(zip(values_of, values, strict=True))
        label = ", ".join(f"{key.rpartition('.')[2]} {value}" for key, value in sets.items())
        rows[label] = {"recipe": recipe, "set": sets}
    name = "-".join([Path(recipe).stem if os.path.exists(recipe) else recipe, *values_of])
    fields = {"about": f"{recipe} by {', '.join(values_of)}", "scales": {AS_WRITTEN: {"set": dict(changes)}}}
    return Plan.load({"name": re.sub(r"[^\w./+-]+", "-", name)[:NAME], "rows": rows, **fields})
