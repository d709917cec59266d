"""A plan at one scale, ready to run: every row's recipe, validated, all rows at once."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from sparring.classify import numbers as classifier_numbers
from sparring.errors import SparringError, nearest, one_line
from sparring.limits import DESCRIPTION_BYTES
from sparring.metrics import names
from sparring.metrics.names import BETTER, metric_word
from sparring.parsing import read_text
from sparring.recipe.changes import fitting, part_of, parts_of, with_shares
from sparring.recipe.files import kind_of, parse_overrides, read_recipe, shipped_recipes
from sparring.recipe.identity import digest, recipe_hash
from sparring.recipe.paper import papers_numbers
from sparring.study.plan import Plan, Row, Toy, slug, varied

T = TypeVar("T")
PLAN_FILE = "plan.json"
THREADS = 1  # of a run whose recipe names none
TOY_STEPS = 500
USUAL = ("fd", "is", "classes")  # metrics of a recipe that names none; which these are exactly, the data say


@dataclass(frozen=True)
class ReadyRow:
    """A row whose recipe is resolved. recipe: of a toy row its words, see `sparring.study.work`."""

    label: str
    slug: str
    kind: str
    recipe: dict[str, Any]
    hash: str
    steps: int
    start: str | None = None  # another row's label
    paper: Mapping[str, float] | None = None
    beside: str | None = None  # the folder of the recipe's file, where modules of its own may lie
    words: tuple[str, ...] = ()  # what it is measured by, as far as the recipe says

    @property
    def threads(self) -> int:
        return int(self.recipe.get("threads") or 1)


@dataclass(frozen=True)
class Study:
    """A plan at one scale."""

    plan: Plan
    scale: str
    seeds: tuple[int, ...]
    rows: dict[str, ReadyRow]

    @property
    def hash(self) -> str:
        """Of what is claimed, and of what counts as failed: what is written down before the first run.

        Rows and seeds may be added later; each row has its own hash.
        """
        claims = [claim.model_dump() for claim in self.plan.claims]
        return digest([self.plan.name, self.scale, claims, dict(self.collapsed), self.plan.paired])

    @property
    def folder_name(self) -> str:
        return f"{self.plan.name.replace('/', '-')}-{self.scale}"

    @property
    def collapsed(self) -> Mapping[str, float]:
        """By metric: the level beyond which a run's end counts as failed."""
        own = self.plan.scales[self.scale].collapsed
        return self.plan.collapsed if own is None else own

    def to_dict(self) -> dict[str, Any]:
        rows = {label: asdict(row) for label, row in self.rows.items()}
        facts = {"study": self.plan.name, "scale": self.scale, "hash": self.hash, "seeds": list(self.seeds)}
        return {**facts, "plan": self.plan.to_dict(), "rows": rows}

    def merged(self, before: Study | None) -> Study:
        """This study with the rows and seeds of one that was run in the same folder before."""
        if before is None:
            return self
        both = before.rows | self.rows
        rows = {label: both[label] for label in self.plan.rows if label in both}
        return replace(self, rows=rows, seeds=tuple(sorted({*before.seeds, *self.seeds})))

    @classmethod
    def load(cls, folder: Path | str) -> Study:
        """The study in a folder, as it was last started. Raises SparringError where there is none."""
        path = Path(folder) / PLAN_FILE
        if not path.is_file():
            raise SparringError(f"'{folder}' is not the folder of a study: it has no {PLAN_FILE}")
        with one_line(f"{path} is damaged: it is not a study's plan; move it away: "):
            values = json.loads(read_text(path, DESCRIPTION_BYTES))  # unchecked: of 10,000 rows as quick as it can be
            rows = {label: ReadyRow(**{**row, "words": tuple(row["words"])}) for label, row in values["rows"].items()}
            return cls(Plan.load(values["plan"]), values["scale"], tuple(values["seeds"]), rows)


def resolve(
    source: Any,
    scale: str | None = None,
    *,
    seeds: Any = None,
    rows: Iterable[str] | None = None,
    changes: Iterable[str] | Mapping[str, Any] = (),
    vary: Iterable[str] = (),
) -> Study:
    """A plan at a scale, with every row's recipe loaded.

    source: a plan's name, file or mapping; with `vary`, such as ["objective.sdp.k=1,5,25"], a recipe. scale: one of the
    plan's, by default `mini` or its first. seeds: 5 for 0 to 4, "100-104", or a list. rows: labels, by default all. changes:
    of every row's recipe, on top of all else. Raises SparringError, in one line for all rows, for whatever is wrong.
    """
    changes = parse_overrides(changes if isinstance(changes, Mapping) else list(changes))
    if vary := list(vary):
        plan, changes = varied(str(source), vary, changes), {}
    else:
        plan = Plan.load(source)
    chosen = plan.chosen_scale(scale)
    if (wanted := plan.scales[chosen].seeds if seeds is None else seeds) is not None:
        plan = Plan.load({**plan.to_dict(), "seeds": wanted})
    ready: dict[str, ReadyRow] = {}

    def add(label: str) -> None:
        ready[label] = _ready(plan, chosen, label, changes, ready)

    for_all(plan.chosen_rows(chosen, rows), add)
    if len(ready) == len(plan.rows):
        _check_parts(plan.scales[chosen].changes("gan"), f"scale {chosen} sets", ready)
    _check_parts(changes, "the changes set", ready)
    papers = {label: plan.rows[label].model_copy(update={"paper": row.paper}) for label, row in ready.items()}
    plan = plan.model_copy(update={"rows": {**plan.rows, **papers}})
    study = Study(plan, chosen, plan.seeds, ready)
    for_all(ready, lambda label: check_words(study, ready[label].words, label))
    return study


def for_all(labels: Iterable[str], check: Callable[[str], T]) -> dict[str, T]:
    """What a function finds for each of these rows. Raises SparringError with the faults of all of them in one line."""
    found, said = dict[str, T](), dict[str, list[str]]()
    for label in labels:
        try:
            found[label] = check(label)
        except SparringError as error:
            said.setdefault(str(error), []).append(label)
    parts = []
    for fault, wrong in said.items():
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        parts.append(f"row{'s' * (len(wrong) > 1)} {', '.join(map(repr, wrong[:3]))}{more}: {fault}")
    if parts:
        raise SparringError("; ".join(parts))
    return found


def _ready(plan: Plan, scale: str, label: str, changes: Mapping[str, Any], before: Mapping[str, ReadyRow]) -> ReadyRow:
    row, here = plan.rows[label], plan.scales[scale]
    own = {**row.set, **here.set_rows.get(label, {})}
    if row.toy is not None:
        return _toy_row(row.toy, row, label, {**here.changes("toy"), **own, **changes})
    if row.start is not None and row.start not in before:
        raise SparringError(f"it starts from row '{row.start}', which is wrong itself")
    from sparring.describe import load_recipe
    from sparring.microscope import words as diagnosed

    if isinstance(row.recipe, str) and row.recipe in shipped_recipes():
        written, whole = _read_shipped(row.recipe)
    else:
        written, whole = read_recipe(row.recipe), row.recipe
    if here.steps is not None:
        whole = load_recipe(whole)
        whole = whole.scaled(here.steps / whole.steps)
    kind = "classifier" if kind_of(written) == "classifier" else "gan"
    if row.start is not None and {kind, before[row.start].kind} != {"gan"}:
        raise SparringError("only GANs start from other rows, which are GANs, too: leave out from")
    parts = parts_of(written, row.set)
    sets = fitting(here.changes(kind), parts) | own | fitting(changes, parts)
    recipe: Any = load_recipe(whole, parse_overrides(with_shares(sets, here.steps or written.get("steps"))))
    values = recipe.model_copy(update={"threads": recipe.threads or THREADS}).to_dict()
    if kind == "classifier":
        words = classifier_numbers.words_of(recipe.probes)
    else:
        metrics = (recipe.evaluation.metrics or USUAL) if recipe.evaluation else ()
        words = (*names.words_of(metrics), *diagnosed.words_of(plan.diagnose))
    origin = before[row.start].hash if row.start is not None else str(values.get("start_from") or "")
    paper = row.paper or papers_numbers(written, words if kind == "classifier" else BETTER)
    own_file = isinstance(row.recipe, str) and os.path.isfile(row.recipe)
    beside = os.path.dirname(os.path.abspath(str(row.recipe))) if own_file else None
    identity = recipe_hash(values, origin)
    return ReadyRow(label, slug(label), kind, values, identity, recipe.steps, row.start, paper, beside, words)


@cache
def _read_shipped(recipe: str) -> tuple[dict[str, Any], Any]:
    """A recipe as it is written, and loaded; many rows share it."""
    from sparring.describe import load_recipe

    return read_recipe(recipe), load_recipe(recipe)


def _check_parts(sets: Mapping[str, Any], who: str, ready: Mapping[str, ReadyRow]) -> None:
    """Raise SparringError for a change of negatives or of a term that no row has."""
    parts = set[str]().union(*(parts_of(row.recipe) for row in ready.values()))
    terms = [part.partition(".")[2] for part in parts if part != "negatives"]
    toy = any(row.kind == "toy" for row in ready.values())  # whose objectives are not written out
    for key in sets:
        kind, _, term = (part_of(key) or "").partition(".")
        if kind == "objective" and term not in terms and not toy:
            raise SparringError(f"{who} {key}, and no row has that term: {nearest(term, terms)}")
        if kind == "negatives" and kind not in parts:
            raise SparringError(f"{who} {key}, and no row has negatives: leave it out")


def _toy_row(words: Toy, row: Row, label: str, sets: Mapping[str, Any]) -> ReadyRow:
    from sparring.toy.measure import yardsticks_of
    from sparring.toy.methods import check_words, toy_recipe
    from sparring.toy.worlds import world

    steps = sets.get("steps", TOY_STEPS)
    given = {key: value for key, value in with_shares(sets, steps).items() if key != "steps"}
    method, changes, options = check_words(words.method, parse_overrides(given))
    here = world(words.world, options)
    recipe = toy_recipe(here, method, changes, steps=steps, seed=0)
    toy = {"world": words.world, "options": options, "method": method, "changes": changes, "steps": steps}
    identity = recipe_hash(recipe.to_dict() | {"world": words.world, "options": options})
    return ReadyRow(label, slug(label), "toy", toy, identity, steps, paper=row.paper, words=yardsticks_of(here))


def check_words(study: Study, words: tuple[str, ...], label: str) -> None:
    """Raise SparringError for a metric of a claim, of `collapsed` or of the paper that the row cannot have."""
    from sparring.microscope.words import WORDS as DIAGNOSES
    from sparring.toy.measure import YARDSTICKS

    plan = study.plan
    asked = dict.fromkeys(study.collapsed, "collapsed")
    asked |= {claim.metric: "a claim" for claim in plan.claims if claim.metric and label in (claim.row, claim.against)}
    known = (*BETTER, *YARDSTICKS, *classifier_numbers.WORDS, *classifier_numbers.OF_PROBES, *DIAGNOSES)
    several_kinds = len({row.toy is None for row in plan.rows.values()}) > 1
    for word, where in asked.items():
        of_probe = word.startswith("ncr.") and any(word.startswith(f"{each}.") for each in words)  # ncr.PROBE.0.5
        of_another = where == "collapsed" and several_kinds and metric_word(word) in known
        if not (of_probe or of_another or {word, metric_word(word)} & {*words}):
            measured = f"it is measured by {', '.join(words)}" if words else "it is not measured: see its evaluation"
            raise SparringError(f"{where} names the metric '{word}', which the row cannot have: {measured}")
    for word in plan.rows[label].paper:
        if metric_word(word).partition(".")[0] not in known:
            raise SparringError(f"paper names the metric '{word}': {nearest(word, known)}")
