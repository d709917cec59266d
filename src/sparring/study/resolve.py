"""A plan at one scale, ready to run: every row's recipe, validated, all rows at once."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from sparring.errors import SparringError, nearest
from sparring.limits import DESCRIPTION_BYTES
from sparring.parsing import read_text
from sparring.recipe.files import kind_of, parse_overrides, read_recipe, shipped_recipes
from sparring.study.diagnosed import WORDS as DIAGNOSES
from sparring.study.diagnosed import words_of
from sparring.study.plan import Plan, Row, slug
from sparring.study.recipe_hash import digest, recipe_hash
from sparring.study.results import HIGHER_WORDS, WORDS, metric_word

PLAN_FILE = "plan.json"
THREADS = 1  # of a run whose recipe names none
TOY_STEPS = 500
TOY_WORDS = ("distance", "modes", "high_quality", "reached", "oscillation")
CLASSIFIER_WORDS = ("accuracy", "ece", "threshold", "false_alarms_on_test")
OF_PROBES = ("auroc", "fpr95", "caught_as_unknown", "ncr")  # as in auroc.NAME
PRODUCES = {  # words by the name of a metric in `evaluation.metrics`, where these differ
    "intra": ("intra-fd",),
    "prdc": HIGHER_WORDS[1:5],
    "classes": HIGHER_WORDS[5:],
}


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

    def to_dict(self) -> dict[str, Any]:
        return {
            "study": self.plan.name,
            "scale": self.scale,
            "hash": self.hash,
            "seeds": list(self.seeds),
            "plan": self.plan.to_dict(),
            "rows": {label: asdict(row) for label, row in self.rows.items()},
        }

    def merged(self, before: Study | None) -> Study:
        """This study with the rows and seeds of one that was run in the same folder before."""
        if before is None:
            return self
        others = {
            label: row for label, row in before.rows.items() if label in self.plan.rows and label not in self.rows
        }
        rows = {label: (self.rows | others)[label] for label in self.plan.rows if label in self.rows | others}
        return replace(self, rows=rows, seeds=tuple(sorted({*before.seeds, *self.seeds})))

    @property
    def collapsed(self) -> Mapping[str, float]:
        """By metric: the level beyond which a run's end counts as failed."""
        own = self.plan.scales[self.scale].collapsed
        return self.plan.collapsed if own is None else own

    @classmethod
    def load(cls, folder: Path | str) -> Study:
        """The study in a folder, as it was last started. Raises SparringError where there is none."""
        path = Path(folder) / PLAN_FILE
        if not path.is_file():
            raise SparringError(f"'{folder}' is not the folder of a study: it has no {PLAN_FILE}")
        try:
            values = json.loads(
                read_text(path, DESCRIPTION_BYTES, what="JSON")
            )  # of 10,000 rows: as quick as it can be
            rows = {label: ReadyRow(**{**row, "words": tuple(row["words"])}) for label, row in values["rows"].items()}
            return cls(Plan.load(values["plan"]), values["scale"], tuple(values["seeds"]), rows)
        except (KeyError, TypeError, AttributeError, RecursionError, ValueError) as error:
            if isinstance(error, SparringError):
                raise
            raise SparringError(f"{path} is damaged: it is not a study's plan; move it away") from None


def resolve(
    plan: Any,
    scale: str | None = None,
    *,
    seeds: Any = None,
    rows: Iterable[str] | None = None,
    changes: Iterable[str] | Mapping[str, Any] = (),
) -> Study:
    """A plan (see `Plan.load`) at a scale, with every row's recipe loaded.

    seeds, rows: instead of the plan's own. changes: of every row's recipe, on top of all else. Raises SparringError, in one
    line for all rows, for whatever is wrong with them.
    """
    plan = Plan.load(plan)
    chosen = plan.chosen_scale(scale)
    if seeds is not None:
        plan = Plan.load({**plan.to_dict(), "seeds": seeds})
    elif plan.scales[chosen].seeds is not None:
        plan = plan.model_copy(update={"seeds": plan.scales[chosen].seeds})
    changes = parse_overrides(changes if isinstance(changes, Mapping) else list(changes))
    faults: dict[str, str] = {}
    ready: dict[str, ReadyRow] = {}
    for label in plan.chosen_rows(chosen, rows):
        with kept_for(faults, label):
            ready[label] = _ready(plan, chosen, label, changes, ready)
    raise_all(faults)
    if len(ready) == len(plan.rows):
        _check_parts(plan.scales[chosen].changes("gan"), f"scale {chosen} sets", ready)
    _check_parts(changes, "the changes set", ready)
    papers = {label: plan.rows[label].model_copy(update={"paper": row.paper}) for label, row in ready.items()}
    plan = plan.model_copy(update={"rows": {**plan.rows, **papers}})
    study = Study(plan, chosen, plan.seeds, ready)
    for label, row in ready.items():
        with kept_for(faults, label):
            check_words(study, row.words, label)
    raise_all(faults)
    return study


@contextmanager
def kept_for(faults: dict[str, str], label: str) -> Iterator[None]:
    """Within, a SparringError is kept as that row's fault."""
    try:
        yield
    except SparringError as error:
        faults[label] = str(error)


def raise_all(faults: Mapping[str, str]) -> None:
    """Raise SparringError with the faults of all rows in one line, if there are any; equal ones are said once."""
    said: dict[str, list[str]] = {}
    for label, fault in faults.items():
        said.setdefault(fault, []).append(label)
    parts = []
    for fault, labels in said.items():
        more = f" and {len(labels) - 3} more" if len(labels) > 3 else ""
        noun = "row" if len(labels) == 1 else "rows"
        parts.append(f"{noun} {', '.join(repr(label) for label in labels[:3])}{more}: {fault}")
    if parts:
        raise SparringError("; ".join(parts))


def _ready(plan: Plan, scale: str, label: str, changes: Mapping[str, Any], before: Mapping[str, ReadyRow]) -> ReadyRow:
    row = plan.rows[label]
    if row.start is not None and row.start not in before:
        raise SparringError(f"it starts from row '{row.start}', which is wrong itself")
    if row.toy is not None:
        here = plan.scales[scale]
        return _toy_row(row, label, {**here.changes("toy"), **row.set, **here.set_rows.get(label, {}), **changes})
    from sparring.describe import load_recipe

    parent = before[row.start] if row.start is not None else None
    here = plan.scales[scale]
    if isinstance(row.recipe, str) and row.recipe in shipped_recipes():
        written, whole = _read_shipped(row.recipe)
    else:
        written, whole = read_recipe(row.recipe), row.recipe
    if here.steps is not None:
        whole = load_recipe(whole)
        whole = whole.scaled(here.steps / whole.steps)
    kind = "gan" if (kind_of(written) or "GAN") == "GAN" else "classifier"
    sets = {**_of_its_parts(here.changes(kind), row, written), **row.set, **here.set_rows.get(label, {})}
    sets |= _of_its_parts(changes, row, written)
    recipe: Any = load_recipe(whole, parse_overrides(_with_shares(sets, here.steps or written.get("steps"))))
    recipe = recipe.model_copy(update={"threads": recipe.threads or THREADS})
    if parent is not None and {kind, parent.kind} != {"gan"}:
        raise SparringError("only GANs start from other rows, which are GANs, too: leave out from")
    values = recipe.to_dict()
    words = (*_gan_words(recipe), *words_of(plan.diagnose)) if kind == "gan" else _classifier_words(recipe)
    origin = parent.hash if parent is not None else str(values.get("start_from") or "")
    own_file = isinstance(row.recipe, str) and os.path.isfile(row.recipe)
    return ReadyRow(
        label,
        slug(label),
        kind,
        values,
        recipe_hash(values, origin),
        recipe.steps,
        row.start,
        row.paper or papers_numbers(written, words if kind == "classifier" else WORDS),
        beside=os.path.dirname(os.path.abspath(str(row.recipe))) if own_file else None,
        words=words,
    )


@cache
def _read_shipped(recipe: str) -> tuple[dict[str, Any], Any]:
    """A recipe as it is written, and loaded; many rows share it."""
    from sparring.describe import load_recipe

    return read_recipe(recipe), load_recipe(recipe)


def papers_numbers(recipe: Mapping[str, Any], words: Iterable[str]) -> dict[str, float]:
    """What a recipe says that its paper measured, by those of these words. A rate may be a list, a number for each probe."""
    paper, found = recipe.get("paper") or {}, dict[str, Any]()
    for name, value in (paper.get("number") or {}).items():
        rate, _, threshold = str(name).lower().partition(" ")
        probes = zip(paper.get("columns") or (), value, strict=False) if isinstance(value, list) else ()
        if rate == "accuracy":
            value = round(value / 100, 4)  # papers print per cent
        found |= {f"{rate}.{probe}.{threshold}": each for probe, each in probes} if threshold else {rate: value}
    known = {metric_word(word) for word in words}
    is_known = {
        word: metric_word(word) in known or word.rpartition(".")[0].rpartition(".")[0] in known for word in found
    }
    return {word: float(value) for word, value in found.items() if is_known[word] and isinstance(value, int | float)}


def _of_its_parts(sets: Mapping[str, Any], row: Row, written: Mapping[str, Any]) -> dict[str, Any]:
    """Changes of all rows without those of negatives and terms that a row does not have: they would add them."""
    terms = {*(written.get("objective") or {})} | {key.split(".")[1] for key in row.set if key.startswith("objective.")}
    has_negatives = "negatives" in terms or any(key.partition(".")[0] == "negatives" for key in (*written, *row.set))
    kept = {key: sets[key] for key in sets if not re.match(r"objective\.[^.]+\.", key) or key.split(".")[1] in terms}
    return {key: kept[key] for key in kept if has_negatives or key.partition(".")[0] != "negatives"}


def _check_parts(sets: Mapping[str, Any], who: str, ready: Mapping[str, ReadyRow]) -> None:
    """Raise SparringError for a change of negatives or of a term that no row has."""
    terms = {term for row in ready.values() for term in row.recipe.get("objective", {})}
    toy = any(row.kind == "toy" for row in ready.values())  # whose objectives are not written out
    for key in sets:
        first, _, rest = key.partition(".")
        term = rest.partition(".")[0]
        if first == "objective" and "." in rest and term not in terms and not toy:
            raise SparringError(f"{who} {key}, and no row has that term: {nearest(term, terms)}")
        if first == "negatives" and not any(row.recipe.get("negatives") for row in ready.values()):
            raise SparringError(f"{who} {key}, and no row has negatives: leave it out")


def _with_shares(sets: Mapping[str, Any], steps: Any) -> dict[str, Any]:
    """Changes whose "3%" has become that share of the run's steps. steps: of the recipe without changes."""
    found, steps = dict(sets), sets.get("steps", steps)
    for key, value in sets.items():
        if isinstance(value, str) and (share := re.fullmatch(r"(\d{1,3}(?:\.\d+)?)%", value.strip())):
            if not isinstance(steps, int):
                raise SparringError(f"{key}={value} is a share of the run's steps, and the recipe has none")
            found[key] = round(float(share[1]) / 100 * steps)
    return found


def _toy_row(row: Row, label: str, sets: Mapping[str, Any]) -> ReadyRow:
    from sparring.toy.measure import LEVELS
    from sparring.toy.methods import check_words, toy_recipe
    from sparring.toy.worlds import world

    assert row.toy is not None
    steps = sets.get("steps", TOY_STEPS)
    given = {key: value for key, value in _with_shares(sets, steps).items() if key != "steps"}
    method, changes, options = check_words(row.toy.method, parse_overrides(given))
    here = world(row.toy.world, options)
    recipe = toy_recipe(here, method, changes, steps=steps, seed=0)
    words = [word for word in TOY_WORDS if word not in ("modes", "high_quality") or here.modes is not None]
    words = [word for word in words if word != "reached" or here.name in LEVELS]
    toy = {"world": row.toy.world, "options": options, "method": method, "changes": changes, "steps": steps}
    identity = recipe_hash(recipe.to_dict() | {"world": row.toy.world, "options": options})
    return ReadyRow(label, slug(label), "toy", toy, identity, steps, paper=row.paper, words=tuple(words))


def _gan_words(recipe: Any) -> tuple[str, ...]:
    """The words that a recipe's evaluation may have numbers for; which these are exactly, the data say."""
    if recipe.evaluation is None:
        return ()
    metrics = ("fd", "is", "classes") if recipe.evaluation.metrics is None else recipe.evaluation.metrics
    return tuple(word for metric in metrics for word in PRODUCES.get(metric, (metric,)))


def _classifier_words(recipe: Any) -> tuple[str, ...]:
    return (*CLASSIFIER_WORDS, *(f"{key}.{probe}" for key in OF_PROBES for probe in recipe.probes))


def check_words(study: Study, words: tuple[str, ...], label: str) -> None:
    """Raise SparringError for a metric of a claim, of `collapsed` or of the paper that the row cannot have."""
    plan = study.plan
    asked = {claim.metric: "a claim" for claim in plan.claims if claim.metric and label in (claim.row, claim.against)}
    asked |= {word: "collapsed" for word in study.collapsed if word not in asked}
    known = (*WORDS, *TOY_WORDS, *CLASSIFIER_WORDS, *OF_PROBES, *DIAGNOSES)
    for word, where in asked.items():
        short = metric_word(word)
        if not any(each in words for each in (short, word)) and not _within_a_probe(word, words):
            if where == "collapsed" and len({row.toy is None for row in plan.rows.values()}) > 1 and short in known:
                continue  # rows of several kinds
            measured = f"it is measured by {', '.join(words)}" if words else "it is not measured: see its evaluation"
            raise SparringError(f"{where} names the metric '{word}', which the row cannot have: {measured}")
    for word in plan.rows[label].paper:
        if metric_word(word).partition(".")[0] not in known:
            raise SparringError(f"paper names the metric '{word}': {nearest(word, known)}")


def _within_a_probe(word: str, words: tuple[str, ...]) -> bool:
    """ncr.NAME.0.5 is one of the numbers of ncr.NAME."""
    return word.startswith("ncr.") and any(word.startswith(f"{each}.") for each in words)
