"""The most realistic fakes, their partners and the gaps between them, at the end and over training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sparring.microscope.opened import OpenedRun
from sparring.microscope.realistic import Features, Pairs, realistic_pairs
from sparring.microscope.sections import Section, one_checkpoint
from sparring.report.plots import curves, picture_rows

DEFAULT_K = 5  # as in SDP, for runs without it
SHOWN = 8


def measure(runs: Sequence[OpenedRun], n: int) -> Section:
    """The numbers are defined in `sparring.microscope.realistic`; k is that of training, or 5."""
    found = Section("realistic")
    lines: dict[str, dict[str, tuple[list[int], list[float]]]] = {"slope": {}, "derivative": {}, "score_gap": {}}
    table: list[Sequence[Any]] = []
    for run in runs:
        steps = run.course()
        over: dict[str, list[Any]] = {"step": steps}
        for step in steps:
            means = _pairs(run, step).means()
            for key, value in means.items():
                over.setdefault(key, []).append(value)
        pairs = _pairs(run, run.last)
        found.numbers[run.name] = {"step": run.last, "k": len(pairs.fake), "over_training": over} | pairs.means()
        _draw_pairs(found, run, pairs)
        _draw_log(found, run)
        for key, series in lines.items():
            series[run.name] = (steps, over[key])
        if len(steps) == 1:
            found.lack(one_checkpoint(run, "score gaps and slopes"))
        keys = ("score_gap", "feature_gap", "distance", "slope", "derivative", "gradient")
        table.append((run.name, len(pairs.fake), *(f"{found.numbers[run.name][key]:.4g}" for key in keys)))
    columns = ("run", "pairs", "score gap", "feature gap", "distance", "slope (Eq. 11)", "derivative", "gradient norm")
    found.tables.append((columns, table))
    names = {
        "slope": "slope between partners (Eq. 11)",
        "derivative": "directional derivative at x'",
        "score_gap": "score gap",
    }
    for key, series in lines.items():
        if any(len(steps) > 1 for steps, _ in series.values()):
            figure = curves(series, title=names[key], ylabel=names[key].partition(" (")[0])
            found.draw(
                f"realistic-{key}", figure, f"Mean {names[key]} over the checkpoints, of the most realistic fakes"
            )
    return found


def _pairs(run: OpenedRun, step: int) -> Pairs:
    """The pairs of one batch, of the size used in training."""
    size = run.recipe.batch_size
    real, fake = run.real(size), run.fake(size, step)
    sides = real.images, real.labels, fake.images, fake.labels
    return realistic_pairs(run.subject(step), *sides, _k(run, step), _features(run, step))


def _k(run: OpenedRun, step: int) -> int:
    """The number of pairs of a term with `k_at` at a step, or the paper's first if there is no such term."""
    counts = [term.k_at(step) for term in run.recipe.objective.terms.values() if hasattr(term, "k_at")]
    return int(counts[0]) if counts else DEFAULT_K


def _features(run: OpenedRun, step: int) -> Features | None:
    """The features of the same term, or None if there is no such term."""
    return next(
        (term.at(step).features for term in run.recipe.objective.terms.values() if hasattr(term, "features")), None
    )


def _draw_pairs(found: Section, run: OpenedRun, pairs: Pairs) -> None:
    size = run.recipe.batch_size
    real, fake = run.real(size).pixels, run.fake(size).pixels
    top, partner = pairs.fake[:SHOWN], pairs.real[:SHOWN]
    rows = {"fake, score": fake[top], "nearest real, score": real[partner]}
    words = {
        "fake, score": [f"{value:.2f}" for value in pairs.fake_score[:SHOWN]],
        "nearest real, score": [f"{value:.2f}" for value in pairs.real_score[:SHOWN]],
    }
    picture = picture_rows(rows, words, title=f"{run.name}: most realistic fakes")
    found.draw(
        f"realistic-{run.name}",
        picture,
        "The highest scores of a batch, each with the nearest real image of the batch",
    )


def _draw_log(found: Section, run: OpenedRun) -> None:
    """Draw what the term logged in training: k, score gap, feature gap."""
    keys = sorted(
        {key for row in run.log for key in row if key.startswith("discriminator/") and key.endswith(("/k", "_gap"))}
    )
    if not keys:
        found.lack(f"k over time: {run.name} has no sdp in its objective")
        return
    for key in keys:
        rows = [(row["step"], row[key]) for row in run.log if key in row]
        steps, values = [step for step, _ in rows], [value for _, value in rows]
        what = key.rpartition("/")[2].replace("_", " ")
        figure = curves({"": (steps, values)}, title=f"{run.name}: {what}", ylabel=what)
        found.draw(
            f"log-{key.rpartition('/')[2]}-{run.name}", figure, f"{what} in the discriminator's updates, from the log"
        )
