"""A study's table: each row's runs by metric beside the paper's number, differences, verdicts, and notes.

The same sections become text for the terminal, Markdown and HTML.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from sparring.messages import counted
from sparring.study.claims import ORDER, Comparison, Finding, compare, findings
from sparring.study.plan import Plan
from sparring.study.results import Result, lower_is_better, metric_word
from sparring.study.rows import Runs, differing, full_name, rows_of
from sparring.study.statistics import FEWEST, Spread, groups, spread
from sparring.study.statistics import digits as count_digits

if TYPE_CHECKING:
    from rich.console import Console

YES_OR_NO = "did_"  # how metrics begin whose mean is a share
NOISY = 0.3  # deviation over mean, from which every one of a few runs is shown
MADE = ("commit", "sparring", "torch", "instructions", "threads", "device")  # of runs: what a number may depend on


class Section(NamedTuple):
    """A table of words. remark: what its columns need to be read. value: the column that is read first."""

    title: str
    remark: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    value: int


@dataclass(frozen=True)
class Cell:
    """One row by one metric. spread and best are None where no run has a number; best: means of each run's best."""

    row: str
    seeds: Mapping[int, float]
    failed: Mapping[int, str]
    runs: int
    spread: Spread | None
    best: float | None
    paper: float | None


@dataclass(frozen=True)
class Table:
    """What `tabulate` makes of results. metrics: by their heading, cells of all rows that were measured so."""

    title: str
    rows: Mapping[str, Runs]
    metrics: Mapping[str, list[Cell]]
    differences: Mapping[str, list[Comparison]]
    findings: list[Finding]
    notes: list[str]

    def sections(self) -> list[Section]:
        """A table for each metric, then one of its differences."""
        found = []
        for metric, cells in self.metrics.items():
            better = f"{'lower' if lower_is_better(metric) else 'higher'} is better"
            rows = [_cell_words(cell) for cell in cells]
            used = [i for i in range(len(COLUMNS)) if any(row[i] for row in rows)]
            columns, rows = tuple(COLUMNS[i] for i in used), [tuple(row[i] for i in used) for row in rows]
            found.append(Section(f"{metric}, {better}", "", columns, rows, 3))
            if compared := self.differences.get(metric):
                how = "paired by seed" if compared[0].paired else "by Welch's t"
                remark = f"95% intervals, {how}, each on its own: not adjusted for how many there are"
                rows = [_difference_words(each) for each in compared]
                found.append(Section(f"differences in {metric}", remark, DIFFERENCE_COLUMNS, rows, 2))
        return found

    def compact(self, names: Mapping[str, str] | None = None) -> list[Section]:
        """All metrics side by side, and all differences. names: what columns are called, by metric."""
        heads = tuple((names or {}).get(metric, metric) for metric in self.metrics)
        labels = dict.fromkeys(cell.row for cells in self.metrics.values() for cell in cells)
        by_row = {(cell.row, metric): cell for metric, cells in self.metrics.items() for cell in cells}
        rows = []
        for label in labels:
            cells = {metric: by_row.get((label, metric)) for metric in self.metrics}
            failed = f", {len(self.rows[label].failed)} failed" if self.rows[label].failed else ""
            runs = f"{len(self.rows[label].results)}{failed}"
            rows.append(
                (label, runs, *("" if cell is None else _in_one_cell(metric, cell) for metric, cell in cells.items()))
            )
        found = [Section("mean ± sd", "", ("row", "runs", *heads), rows, 2)]
        by_pair: dict[str, dict[str, str]] = {}
        for metric, compared in self.differences.items():
            for each in compared:
                by_pair.setdefault(f"{each.row} - {each.against}", {})[metric] = each.in_metric
        pairs = [(pair, *(cells.get(metric, "") for metric in self.metrics)) for pair, cells in by_pair.items()]
        return [*found, Section("differences [95%]", "", ("row - other", *heads), pairs, 1)] if pairs else found

    def heading(self, metric: str) -> str | None:
        """Under which heading a metric stands, by its name or word."""
        exact = (name for name in self.metrics if name == metric)
        return next(exact, next((name for name in self.metrics if metric_word(name) == metric_word(metric)), None))

    def verdicts(self) -> list[Finding]:
        """Contradictions first."""
        return sorted(self.findings, key=lambda each: ORDER[each.verdict])

    def made(self) -> dict[str, list[Any]]:
        """Commits, versions, instruction sets, threads and devices of the runs."""
        runs = [each for row in self.rows.values() for each in row.results]
        return {
            key: list(dict.fromkeys(v for each in runs if (v := getattr(each, key)) not in (None, ""))) for key in MADE
        }

    def cpu_hours(self) -> float:
        return sum(each.cpu_seconds or 0 for row in self.rows.values() for each in row.results) / 3600

    def to_dict(self) -> dict[str, Any]:
        """Plain data for --json."""
        return {
            "title": self.title,
            "verdicts": [each.to_dict() for each in self.verdicts()],
            "metrics": {
                metric: {
                    "better": "lower" if lower_is_better(metric) else "higher",
                    "rows": [asdict(cell) for cell in cells],
                    "differences": [asdict(each) for each in self.differences.get(metric, [])],
                }
                for metric, cells in self.metrics.items()
            },
            "notes": self.notes,
            **self.made(),
            "cpu_hours": round(self.cpu_hours(), 3),
        }

    def markdown(self) -> str:
        lines = [f"- **{each.verdict}**: {each.says}. {each.why}." for each in self.verdicts()]
        for part in self.sections():
            remark = f" ({part.remark})" if part.remark else ""
            lines += ["", f"**{part.title}**{remark}", "", *in_markdown(part)]
        lines += ["", *(f"- {note}" for note in self.notes)]
        return "\n".join(lines).strip() + "\n"

    def show(self, console: Console) -> None:
        """Print it for people."""
        from rich.table import Table as Grid

        for each in self.verdicts():
            console.print(f"{each.verdict}: {each.says}", style="bold")
            console.print(f"    {each.why}")
        for part in self.sections():
            console.print(f"\n{part.title}", style="bold")
            grid = Grid(*part.columns, box=None, pad_edge=False)
            for column in grid.columns:
                column.overflow = "fold"
            for row in part.rows:
                grid.add_row(*row)
            console.print(grid)
            if part.remark:
                console.print(part.remark, style="dim")
        for note in self.notes:
            console.print(f"note: {note}", style="dim")


COLUMNS = ("row", "runs", "failed", "mean ± sd", "95% of the mean", "median", "best", "paper", "each seed")
DIFFERENCE_COLUMNS = ("row - other", "n", "difference [95%]", "in sd [95%]")


def tabulate(results: Iterable[Result], plan: Plan | None = None, metrics: Sequence[str] = ()) -> Table:
    """The table of results; with a plan its rows in order, the paper's numbers, comparisons and verdicts.

    metrics: instead of the plan's, or of all that were measured. Without a plan every row is compared with the first.
    Raises SparringError where runs of one row were measured in different ways, saying which.
    """
    rows = rows_of(results, plan.rows if plan else ())
    tabled: dict[str, list[Cell]] = {}
    differences: dict[str, list[Comparison]] = {}
    notes: list[str] = []
    for word in _columns(rows, plan, metrics):
        measured = {label: row for label, row in rows.items() if row.failed or row.numbers(word)}
        names = list(dict.fromkeys(name for row in measured.values() if (name := _name(row, word)) is not None))
        heading = names[0] if len(names) == 1 else word
        paper = {label: _paper(plan, label, word) for label in measured}
        tabled[heading] = [_cell(row, word, paper[label]) for label, row in measured.items()]
        paired = bool(plan and plan.paired)
        pairs = [(measured[a], measured[b]) for a, b in _pairs(plan, list(measured)) if a in measured and b in measured]
        compared = [compare(ours, theirs, word, paired=paired) for ours, theirs in pairs]
        differences[heading] = [each for each in compared if each is not None]
        notes += _measured_apart(measured, word) + _in_two_ways(tabled[heading], heading)
    found = findings(plan, rows) if plan else []
    return Table(plan.name if plan else "runs", rows, tabled, differences, found, notes + _notes(rows))


def _columns(rows: Mapping[str, Runs], plan: Plan | None, wanted: Sequence[str]) -> list[str]:
    """The words of all metrics: the plan's, or those of claims, of the paper, then of what was measured.

    Full names where one word has two.
    """
    measured = dict.fromkeys(name for row in rows.values() for each in row.results for name in each.values)
    by_word: dict[str, list[str]] = {}
    for name in measured:
        by_word.setdefault(metric_word(name), []).append(name)
    asked = [claim.metric for claim in plan.claims if claim.metric] if plan else []
    asked += [word for row in plan.rows.values() for word in row.paper] if plan else []
    several = {word for word, names in by_word.items() if _any_has_two(rows, names)}
    if not wanted and plan and plan.metrics:
        wanted = [*plan.metrics, *asked]
    words = wanted or [*map(metric_word, asked), *by_word]
    found = [each for word in words for each in (by_word[word] if word in several else [word])]
    return [word for word in dict.fromkeys(found) if any(row.numbers(word) for row in rows.values())]


def _any_has_two(rows: Mapping[str, Runs], names: Sequence[str]) -> bool:
    return any(len(set(names) & set(each.values)) > 1 for row in rows.values() for each in row.results)


def _name(row: Runs, word: str) -> str | None:
    return next((name for each in row.results if (name := full_name(each.values, word)) is not None), None)


def _paper(plan: Plan | None, label: str, word: str) -> float | None:
    given = plan.rows[label].paper if plan and label in plan.rows else {}
    return next((value for name, value in given.items() if metric_word(name) == metric_word(word)), None)


def _pairs(plan: Plan | None, labels: Sequence[str]) -> list[tuple[str, str]]:
    """Rows to be compared: those of claims and with an `against`; where there are none, each row with the first."""
    named = [(claim.row, claim.against) for claim in plan.claims] if plan else []
    named += [(label, row.against) for label, row in plan.rows.items() if row.against] if plan else []
    return list(dict.fromkeys(named)) or [(label, labels[0]) for label in labels[1:]]


def _cell(row: Runs, word: str, paper: float | None) -> Cell:
    row.protocol(word)  # which raises where these numbers cannot be averaged
    seeds, best = row.numbers(word), list(row.best(word).values())
    mean_best = statistics.fmean(best) if best else None
    return Cell(
        row.label,
        seeds,
        row.failed,
        len(row.results),
        spread(list(seeds.values())) if seeds else None,
        mean_best,
        paper,
    )


def _cell_words(cell: Cell) -> tuple[str, ...]:
    head = (cell.row, str(cell.runs), f"{len(cell.failed)} of {cell.runs}" if cell.failed else "0")
    paper = "" if cell.paper is None else f"{cell.paper:g}"
    if cell.spread is None:
        return (*head, "", "", "", "", paper, "")
    found = cell.spread
    places = f".{count_digits(found.sd or abs(found.mean) / 100)}f"
    mean = f"{found.mean:{places}}" + ("" if found.sd is None else f" ± {found.sd:{places}}")
    interval = "" if found.low is None else f"{found.low:{places}} to {found.high:{places}}"
    if found.two_humped:
        mean, interval, places = f"two groups ({mean})", "", ".4g"
    best = "" if cell.best is None else f"{cell.best:{places}}"
    seeds = " ".join(f"{value:{places}}" for value in cell.seeds.values())
    return (*head, mean, interval, f"{found.median:{places}}", best, paper, seeds)


def _in_one_cell(metric: str, cell: Cell) -> str:
    """Mean, deviation and median; every run where these say little; of yes and no the share."""
    found, values = cell.spread, list(cell.seeds.values())
    if found is None:
        return ""
    if metric.startswith(YES_OR_NO):
        return f"{found.mean:.0%}"
    _, _, _, mean, _, median, _, _, seeds = _cell_words(cell)
    words = f"{mean}, median {median}" if found.n > 2 else mean
    if found.two_humped:
        return f"{words}: {_ways(values)}"
    return f"{words}: {seeds}" if found.n <= FEWEST and (found.sd or 0) > NOISY * abs(found.mean) else words


def _ways(values: Sequence[float]) -> str:
    """The two groups in which runs end, with every run of a small one."""
    parts = [[f"{value:.4g}" for value in part] for part in groups(values)]
    listed = [", ".join(part) if len(part) <= FEWEST else f"{part[0]} to {part[-1]}" for part in parts]
    return " and ".join(f"{len(part)} at {words}" for part, words in zip(parts, listed, strict=True))


def _difference_words(found: Comparison) -> tuple[str, ...]:
    n = str(found.n[0]) if len(set(found.n)) == 1 else f"{found.n[0]} and {found.n[1]}"
    return (f"{found.row} - {found.against}", n, found.in_metric, found.in_sds)


def _measured_apart(rows: Mapping[str, Runs], word: str) -> list[str]:
    """That rows were measured in different ways, so that their levels are not to be compared."""
    measured = [(label, row.protocol(word)) for label, row in rows.items() if row.numbers(word)]
    first, protocol = measured[0]
    return [
        f"{word} was measured in different ways for {first} and {label}: {apart}; do not compare them"
        for label, other in measured[1:]
        if (apart := differing(protocol, other))
    ]


def _in_two_ways(cells: Iterable[Cell], metric: str) -> list[str]:
    found = []
    for cell in cells:
        if cell.spread is not None and cell.spread.two_humped:
            words = _ways(list(cell.seeds.values()))
            found.append(f"{metric} of {cell.row} ends in two groups, {words}: read the points, not the mean")
    return found


def _notes(rows: Mapping[str, Runs]) -> list[str]:
    found = []
    for label, row in rows.items():
        reasons: dict[str, list[str]] = {}
        for seed, why in row.failed.items():
            reasons.setdefault(why, []).append(str(seed))
        said = "; ".join(f"{why} (seed {', '.join(seeds)})" for why, seeds in reasons.items())
        if said:
            found.append(f"{len(row.failed)} of {counted(len(row.results), 'run')} of {label} failed: {said}")
        if row.earlier:
            found.append(f"{counted(row.earlier, 'run')} of {label} of an earlier recipe left out")
    few = [label for label, row in rows.items() if 0 < len(row.results) < FEWEST]
    if few:
        found.append(f"fewer than {FEWEST} seeds, so no verdict: {'; '.join(few)}")
    for key, what in (("instructions", "instruction sets"), ("threads", "numbers of threads")):
        by: dict[Any, list[str]] = {}
        for label, row in rows.items():
            for value in dict.fromkeys(getattr(each, key) for each in row.results):
                if value not in (None, ""):
                    by.setdefault(value, []).append(label)
        if len(by) > 1:
            words = "; ".join(f"{value}: {', '.join(dict.fromkeys(labels))}" for value, labels in by.items())
            found.append(f"runs on different {what}, which change numbers ({words})")
    return found


def in_markdown(part: Section) -> list[str]:
    """A section's table, a line each."""
    rows = [part.columns, ["---"] * len(part.columns), *part.rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
