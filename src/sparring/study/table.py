"""A study's table: each row's runs by metric beside the paper's number, differences, verdicts, and notes."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from sparring import statistics as s
from sparring.errors import SparringError
from sparring.limits import DESCRIPTION_BYTES, DESCRIPTION_NODES
from sparring.messages import counted
from sparring.metrics.names import metric_word
from sparring.parsing import read_json
from sparring.study.claims import ORDER, Comparison, Finding, compare, findings
from sparring.study.plan import Plan, shipped_plans
from sparring.study.resolve import PLAN_FILE, Study
from sparring.study.results import RESULTS_FILE, Result, Runs, differing, full_name, lower_is_better, read, rows_of

PLAN_YAML = "plan.yaml"
COLUMNS = ("row", "runs", "failed", "mean ± sd", "95% of the mean, unadjusted", "median", "best", "paper", "each seed")
DIFFERENCE_COLUMNS = ("row - other", "n", "difference [95%, unadjusted]", "in sd [95%, unadjusted]")
UNPLANNED = Plan.model_construct(name="runs", rows={})  # of runs that somebody has already
LISTED = 5  # runs of a group, up to which each is named
MADE = {  # of runs: what a number may depend on, in words
    **{"commit": "Commit", "sparring": "sparring", "torch": "torch", "instructions": "Instruction set"},
    **{"threads": "Threads of a run", "device": "Device"},
}


class Section(NamedTuple):
    """A table of words, for the terminal, Markdown or HTML. remark: on its columns. value: the one that is read first."""

    title: str
    remark: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    value: int


@dataclass(frozen=True)
class Cell:
    """One row by one metric. spread and best are None where no run has a number; best: the mean of each run's best."""

    row: str
    runs: int
    failed: Mapping[int, str]
    seeds: Mapping[int, float]
    spread: s.Spread | None
    best: float | None
    paper: float | None


@dataclass(frozen=True)
class Metric:
    """All rows that were measured by a metric, or failed, and the differences between them."""

    better: str  # lower or higher
    rows: list[Cell]
    differences: list[Comparison]


@dataclass(frozen=True)
class Table:
    """What `tabulate` makes of results. metrics: by their heading; findings: contradictions first.

    folder, facts: of a study's own; the facts are those of its plan.json, none where only results are kept.
    """

    plan: Plan
    rows: Mapping[str, Runs]
    metrics: Mapping[str, Metric]
    findings: list[Finding]
    notes: list[str]
    folder: Path = Path()
    facts: Mapping[str, Any] = field(default_factory=dict)

    def sections(self) -> Iterator[Section]:
        """A table for each metric, each followed by one of its differences."""
        for name, metric in self.metrics.items():
            rows = [_cell_words(cell) for cell in metric.rows]
            used = [i for i in range(len(COLUMNS)) if any(row[i] for row in rows)]
            columns, rows = tuple(COLUMNS[i] for i in used), [tuple(row[i] for i in used) for row in rows]
            yield Section(f"{name}, {metric.better} is better", "", columns, rows, 3)
            if metric.differences:
                how = "paired by seed" if metric.differences[0].paired else "by Welch's t"
                remark = f"95% intervals, {how}, each on its own: not adjusted for how many there are"
                rows = [
                    (f"{each.row} - {each.against}", " and ".join(map(str, dict.fromkeys(each.n))), *each.words())
                    for each in metric.differences
                ]
                yield Section(f"differences in {name}", remark, DIFFERENCE_COLUMNS, rows, 2)

    def results(self) -> list[Result]:
        return [each for row in self.rows.values() for each in row.results]

    def made(self) -> dict[str, list[Any]]:
        """Commits, versions, instruction sets, threads and devices of the runs."""
        found = {key: dict.fromkeys(getattr(each, key) for each in self.results()) for key in MADE}
        return {key: [value for value in values if value not in (None, "")] for key, values in found.items()}

    def cpu_hours(self) -> float:
        return sum(each.cpu_seconds or 0 for each in self.results()) / 3600

    def to_dict(self) -> dict[str, Any]:
        """Plain data for --json."""
        verdicts = [asdict(each) for each in self.findings]
        metrics = {name: asdict(metric) for name, metric in self.metrics.items()}
        about = {"notes": self.notes, **self.made(), "cpu_hours": round(self.cpu_hours(), 3)}
        return {"title": self.plan.name, "verdicts": verdicts, "metrics": metrics, **about}

    def markdown(self) -> str:
        lines = [f"- **{each.verdict}**: {each.says}. {each.why}." for each in self.findings]
        for part in self.sections():
            remark = f" ({part.remark})" if part.remark else ""
            grid = [part.columns, ["---"] * len(part.columns), *part.rows]
            lines += ["", f"**{part.title}**{remark}", ""]
            lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in grid]
        return "\n".join([*lines, "", *(f"- {note}" for note in self.notes)]).strip() + "\n"


def open_study(folder: Path | str) -> Table:
    """The table of a study's folder, with its plan: plan.json where it was run; beside results that are kept a plan.yaml,
    or the plan that ships under the study's name. Nothing here imports torch.

    Raises SparringError for a folder with neither results nor a plan, and for runs that cannot be averaged.
    """
    folder, facts = Path(folder), {}
    plan = UNPLANNED.model_copy(update={"about": folder.name})
    results, beside = read(folder), folder / PLAN_YAML
    if (folder / PLAN_FILE).is_file():
        plan = Study.load(folder).plan
        facts = read_json(folder / PLAN_FILE, most=DESCRIPTION_BYTES, nodes=DESCRIPTION_NODES)
    elif not results:
        raise SparringError(
            f"'{folder}' is neither a study nor a run: it has no {PLAN_FILE}, no {RESULTS_FILE} and no recipe.json"
        )
    elif beside.is_file() or results[0].study in shipped_plans():
        plan = Plan.load(beside if beside.is_file() else results[0].study)
    return replace(tabulate(results, plan), folder=folder, facts=facts)


def tabulate(results: Iterable[Result], plan: Plan = UNPLANNED) -> Table:
    """The table of results; with a plan its rows in order, the paper's numbers, comparisons and verdicts.

    Without a plan every row is compared with the first. Raises SparringError where runs of one row were measured in
    different ways, saying which.
    """
    rows = rows_of(results, plan.rows)
    metrics: dict[str, Metric] = {}
    notes: list[str] = []
    for word in _words(rows, plan):
        measured = {label: row for label, row in rows.items() if row.failed or row.numbers(word)}
        names = {full_name(each.values, word) for row in measured.values() for each in row.results} - {None}
        heading = str(*names) if len(names) == 1 else word
        pairs = [(measured[a], measured[b]) for a, b in _pairs(plan, list(measured)) if a in measured and b in measured]
        compared = (compare(ours, theirs, word, paired=plan.paired) for ours, theirs in pairs)
        cells = [_cell(row, word, plan) for row in measured.values()]
        better = "lower" if lower_is_better(heading) else "higher"
        metrics[heading] = Metric(better, cells, [each for each in compared if each is not None])
        notes += _notes_on(word, measured, cells)
    verdicts = sorted(findings(plan, rows), key=lambda each: ORDER[each.verdict])
    return Table(plan, rows, metrics, verdicts, [*notes, *_notes(rows)])


def _words(rows: Mapping[str, Runs], plan: Plan) -> list[str]:
    """The words of all metrics: the plan's, those of claims and of the paper, and, where it names none, all others.

    Full names where one word has two.
    """
    measured = dict.fromkeys(tuple(each.values) for row in rows.values() for each in row.results)
    by_word: dict[str, dict[str, None]] = {}
    for name in (name for names in measured for name in names):
        by_word.setdefault(metric_word(name), {})[name] = None
    several = {word for names in measured for word, count in Counter(map(metric_word, names)).items() if count > 1}
    papers = [word for row in plan.rows.values() for word in row.paper]
    asked = map(metric_word, [claim.metric for claim in plan.claims if claim.metric] + papers)
    words = [*plan.metrics, *asked, *([] if plan.metrics else by_word)]
    found = dict.fromkeys(each for word in words for each in (by_word[word] if word in several else [word]))
    return [word for word in found if any(row.numbers(word) for row in rows.values())]


def _pairs(plan: Plan, labels: Sequence[str]) -> list[tuple[str, str]]:
    """Rows to be compared: those of claims and with an `against`; where there are none, each row with the first."""
    named = [(claim.row, claim.against) for claim in plan.claims]
    named += [(label, row.against) for label, row in plan.rows.items() if row.against]
    return list(dict.fromkeys(named)) or [(label, labels[0]) for label in labels[1:]]


def _cell(row: Runs, word: str, plan: Plan) -> Cell:
    row.protocol(word)  # which raises where these numbers cannot be averaged
    seeds, best = row.numbers(word), row.best(word)
    spread = s.spread(list(seeds.values())) if seeds else None
    given = plan.rows[row.label].paper if row.label in plan.rows else {}
    paper = next((value for name, value in given.items() if metric_word(name) == metric_word(word)), None)
    mean_best = statistics.fmean(best) if best else None
    return Cell(row.label, len(row.results), row.failed, seeds, spread, mean_best, paper)


def _cell_words(cell: Cell) -> tuple[str, ...]:
    head = (cell.row, str(cell.runs), f"{len(cell.failed)} of {cell.runs}" if cell.failed else "0")
    paper = "" if cell.paper is None else f"{cell.paper:g}"
    if cell.spread is None:
        return (*head, "", "", "", "", paper, "")
    found = cell.spread
    places = f".{s.digits(found.sd or abs(found.mean) / 100)}f"
    mean = f"{found.mean:{places}}" + ("" if found.sd is None else f" ± {found.sd:{places}}")
    interval = "" if found.low is None else f"{found.low:{places}} to {found.high:{places}}"
    if found.two_humped:
        mean, interval, places = f"two groups ({mean})", "", ".4g"
    best = "" if cell.best is None else f"{cell.best:{places}}"
    seeds = " ".join(f"{value:{places}}" for value in cell.seeds.values())
    return (*head, mean, interval, f"{found.median:{places}}", best, paper, seeds)


def _notes_on(word: str, rows: Mapping[str, Runs], cells: Iterable[Cell]) -> Iterator[str]:
    """Which levels are not to be compared, and which means are near no run, with the groups in which these runs end."""
    (first, protocol), *others = ((label, row.protocol(word)) for label, row in rows.items() if row.numbers(word))
    for label, other in others:
        if apart := differing(protocol, other):
            yield f"{word} was measured in different ways for {first} and {label}: {apart}; do not compare them"
    for cell in cells:
        parts = [[f"{value:.4g}" for value in part] for part in s.two_groups(list(cell.seeds.values())) or ()]
        if parts:
            listed = [", ".join(part) if len(part) <= LISTED else f"{part[0]} to {part[-1]}" for part in parts]
            words = " and ".join(f"{len(part)} at {words}" for part, words in zip(parts, listed, strict=True))
            yield f"{word} of {cell.row} ends in two groups, {words}: read the points, not the mean"


def _notes(rows: Mapping[str, Runs]) -> Iterator[str]:
    """What failed and why, which runs are too few or left out, and which machines differ."""
    for label, row in rows.items():
        if row.failed:
            reasons = _listed((why, str(seed)) for seed, why in row.failed.items())
            said = "; ".join(f"{why} (seed {seeds})" for why, seeds in reasons.items())
            yield f"{len(row.failed)} of {counted(len(row.results), 'run')} of {label} failed: {said}"
        if row.earlier:
            yield f"{counted(row.earlier, 'run')} of {label} of an earlier recipe left out"
    if few := [label for label, row in rows.items() if 0 < len(row.results) < s.FEWEST]:
        yield f"fewer than {s.FEWEST} seeds, so no verdict: {'; '.join(few)}"
    for key, what in (("instructions", "instruction sets"), ("threads", "numbers of threads")):
        used = _listed((getattr(each, key), label) for label, row in rows.items() for each in row.results)
        known = [f"{value}: {labels}" for value, labels in used.items() if value not in (None, "")]
        if len(known) > 1:
            yield f"runs on different {what}, which change numbers ({'; '.join(known)})"


def _listed(pairs: Iterable[tuple[Any, str]]) -> dict[Any, str]:
    """The words that each value comes with, in one line."""
    found: dict[Any, dict[str, None]] = {}
    for value, word in pairs:
        found.setdefault(value, {})[word] = None
    return {value: ", ".join(words) for value, words in found.items()}
