"""What is said of a study beside its tables, by its page and by the board. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterator

from sparring.messages import counted
from sparring.study.table import MADE, Table

TESTED = (
    "One test a claim, adjusted for all claims of the plan by Holm's method; intervals are not adjusted. "
    "Cannot tell is no evidence of equality."
)
NUMBERS = (
    "A run's number is the mean of its last three measurements; its best one stands beside it, untested. The paper's "
    "numbers come from other networks, lengths and extractors: compare differences, not levels."
)


def planned(table: Table) -> int:
    """How many runs the study has in all."""
    return len(table.facts["rows"]) * len(table.facts["seeds"]) if table.facts else len(table.results())


def about(table: Table) -> Iterator[str]:
    """The paper, the scale and how many runs are done, a line each."""
    plan, scale = table.plan, str(table.facts.get("scale", ""))
    if plan.paper:
        yield ", ".join(str(value) for value in plan.paper.values())
    if scale in plan.scales:
        yield f"Scale {scale}. {plan.scales[scale].note}".strip()
    failed = sum(len(row.failed) for row in table.rows.values())
    said = f", {failed} of them failed" if failed else ""
    yield f"{len(table.results())} of {counted(planned(table), 'run')} done{said}"


def made(table: Table) -> Iterator[str]:
    """Command, commits, machine and time, a line each."""
    if facts := table.facts:
        usual = f"sparring study run {facts['study']} --scale {facts['scale']}"
        yield f"Command: {facts.get('command') or usual}"
        yield f"Plan {facts['hash']}"
    yield from (f"{MADE[key]}: {', '.join(map(str, values))}" for key, values in table.made().items() if values)
    if hours := table.cpu_hours():
        said = f"{hours:.1f} hours" if hours >= 1 else f"{60 * hours:.0f} minutes"
        yield f"CPU time of all runs: {said}"
    yield "Each run is a line of results.jsonl."
