"""Toy runs and studies as text: lines for the terminal, Markdown for docs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from sparring.toy.measure import LEVELS
from sparring.toy.play import ToyResult
from sparring.toy.study import COLUMNS, Estimate
from sparring.toy.worlds import world

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WORDS = {
    "wasserstein": "Wasserstein-1",
    "sliced_wasserstein": "sliced Wasserstein-1",
    "modes": "modes covered",
    "high_quality": "high quality",
    "oscillation": "oscillation",
    "reached": "steps to the level",
}
FEWEST = 5  # seeds, below which a bootstrap interval is far too narrow to show
DIGITS = {"distance": 3, "modes": 1, "high_quality": 3, "reached": 0, "oscillation": 3}


def result_lines(result: ToyResult) -> list[str]:
    """The yardsticks of one run, or of two side by side, and the paths of the pictures."""
    names = [name for name in result.numbers if name in WORDS]
    width = max(len(run.title) for run in result.runs) + 2
    lines = [" " * 22 + "".join(f"{run.title:>{max(width, 12)}}" for run in result.runs)]
    for name in names:
        values = "".join(f"{_short(run.numbers[name]):>{max(width, 12)}}" for run in result.runs)
        lines.append(f"{WORDS[name]:<22}{values}")
    if result.folder is not None:
        lines += [f"still      {result.still}"] + ([f"film       {result.film}"] if result.film else [])
    return lines


def _short(value: float | None) -> str:
    return "never" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)


def study_markdown(summary: Iterable[Mapping[str, Any]]) -> str:
    """A table for each world: mean ± standard deviation and median over seeds, and differences with their intervals.

    The distance also has its least and largest value, and how many runs ended far away.
    """
    worlds: dict[str, list[Mapping[str, Any]]] = {}
    for entry in summary:
        worlds.setdefault(entry["world"], []).append(entry)
    return "\n\n".join(_world_table(name, entries) for name, entries in worlds.items())


def _world_table(name: str, entries: list[Mapping[str, Any]]) -> str:
    columns = [column for column in COLUMNS if not (column in ("modes", "high_quality") and _one_mode(name))]
    heads = []
    for column in columns:
        word, better = COLUMNS[column]
        word = f"sliced {word}" if column == "distance" and not _one_mode(name) else word
        heads.append(f"{word} ({better} is better)")
    lines = [f"**{name}**: the level is {LEVELS[name]}." if name in LEVELS else f"**{name}**", ""]
    lines += ["| method | seeds | " + " | ".join(heads) + " |", "|---" * (len(heads) + 2) + "|"]
    for entry in entries:
        cells = [_cell(entry, column) for column in columns]
        failed = f", {entry['failed']} failed" if entry["failed"] else ""
        lines.append(f"| {entry['method']} | {entry['seeds']}{failed} | " + " | ".join(cells) + " |")
    lines += ["", "| difference to the baseline | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    for entry in entries:
        if entry["baseline"]:
            cells = [_difference(entry[f"{column}_difference"], DIGITS[column]) for column in columns]
            if entry["away"]:  # runs end in two groups: the interval of their mean decides nothing
                cells[0] = f"{cells[0].strip('*')}; nearer in {entry['nearer']}"
            lines.append(f"| {entry['method']} - {entry['baseline']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _one_mode(name: str) -> bool:
    modes = world(name).modes
    return modes is None or len(modes) < 2


def _cell(entry: Mapping[str, Any], column: str) -> str:
    estimate: Estimate | None = entry[column]
    if estimate is None:
        return ""
    digits = DIGITS[column]
    text = f"{estimate.mean:.{digits}f} ± {estimate.std:.{digits}f}"
    if estimate.n > 1:
        text += f", median {entry[f'{column}_median']:.{digits}f}"
    if column == "distance" and estimate.n > 1:
        least, most = entry["distance_values"][0], entry["distance_values"][-1]
        text += f", {least:.{digits}f} to {most:.{digits}f}"
        text += f", {entry['away']} of {estimate.n} ran away" if entry["away"] else ""
    return f"{text} ({entry['reached_share']:.0%} did)" if column == "reached" else text


def _difference(estimate: Estimate | None, digits: int) -> str:
    """Bold if the interval excludes 0; for fewer than 5 seeds only the mean."""
    if estimate is None:
        return ""
    if estimate.n < FEWEST:
        return f"{estimate.mean:+.{digits}f}"
    text = f"{estimate.mean:+.{digits}f} [{estimate.low:+.{digits}f}, {estimate.high:+.{digits}f}]"
    return f"**{text}**" if estimate.low > 0 or estimate.high < 0 else text


def study_picture(summary: Iterable[Mapping[str, Any]]) -> Figure:
    """Every run of a study as a dot, by world and method: its distance to the data at its end; a line at the median."""
    from matplotlib.figure import Figure

    from sparring.report.plots import COLOURS, INK, dress, logarithmic_axis

    worlds: dict[str, list[Mapping[str, Any]]] = {}
    for entry in summary:
        worlds.setdefault(entry["world"], []).append(entry)
    heights = [len(entries) for entries in worlds.values()]
    figure = Figure(figsize=(7.2, 0.26 * sum(heights) + 0.85 * len(heights)), layout="constrained")
    figure.patch.set_alpha(0)
    panels = figure.subplots(len(worlds), 1, squeeze=False, height_ratios=[h + 1 for h in heights])[:, 0]
    for axes, (name, entries) in zip(panels, worlds.items(), strict=True):
        dress(axes, title=f"{name}: distance to the data at the end, a dot for each run", xlabel="Wasserstein-1")
        logarithmic_axis(axes, "x")
        for place, entry in enumerate(entries):
            values, colour = entry["distance_values"], COLOURS[place % len(COLOURS)]
            shifts = [0.22 * ((i * 7) % 5 - 2) / 2 for i in range(len(values))]  # so that equal ones are seen apart
            axes.plot(values, [place + shift for shift in shifts], "o", color=colour, markersize=4, alpha=0.7)
            if values:
                axes.plot([entry["distance_median"]] * 2, [place - 0.38, place + 0.38], color=INK, linewidth=1.5)
        axes.set_yticks(range(len(entries)), [entry["method"] for entry in entries], fontsize=8)
        axes.set_ylim(len(entries) - 0.4, -0.6)
    return figure
