"""Toy runs as lines for the terminal."""

from __future__ import annotations

from sparring.toy.play import ToyResult

WORDS = {
    "wasserstein": "Wasserstein-1",
    "sliced_wasserstein": "sliced Wasserstein-1",
    "modes": "modes covered",
    "high_quality": "high quality",
    "oscillation": "oscillation",
    "reached": "steps to the level",
}


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
