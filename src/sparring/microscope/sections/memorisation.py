"""The nearest training images of samples, in pixels and in features, compared with those of real images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from sparring.data.packed import to_float
from sparring.microscope.neighbours import Nearest, copies, nearest
from sparring.microscope.opened import OpenedRun
from sparring.microscope.sections import Section
from sparring.microscope.sections.features import Features
from sparring.report.plots import curves, picture_rows

SHOWN = 8
MOST = 10_000  # training images to search
CAPTION = (
    "Samples to the left of the real images are nearer to the training images: they are copies, smooth, or collapsed; the "
    "pictures and the diversity tell which"
)


def measure(runs: Sequence[OpenedRun], n: int) -> Section:
    """Distances are defined in `sparring.microscope.neighbours`, and compared with held-out images if there are any."""
    found = Section("memorisation")
    table: list[Sequence[Any]] = []
    for run in runs:
        train, fake = run.real(MOST), run.fake(n)
        held = None if run.held_out is None else run.real(n, run.held_out)
        if held is None:
            found.lack(f"{run.name} has no held-out images: other training images are used instead")
        if len(train) < len(run.data.real):
            found.lack(
                f"copies of all {len(run.data.real)} training images of {run.name}: only {len(train)} of them are searched"
            )
        features = Features(run)
        spaces: dict[str, Callable[[Tensor], Tensor]] = {"pixels": to_float, features.name: features}
        found.numbers[run.name] = {"n_fake": n, "n_train": len(train), "step": run.last, "spaces": {}}
        found.numbers[run.name]["n_real"] = min(n, len(train)) if held is None else len(held)
        rows: dict[str, Tensor] = {"sample": fake.pixels[:SHOWN]}
        for space, see in spaces.items():
            of_train = see(train.pixels)
            samples = nearest(see(fake.pixels), of_train)
            real = _yardstick(of_train, None if held is None else see(held.pixels), n)
            numbers = copies(samples.distance, real.distance)
            found.numbers[run.name]["spaces"][space] = numbers
            short = "pixels" if space == "pixels" else "features"
            rows[f"nearest, {short}"] = train.pixels[samples.index[:SHOWN]]
            keys = ("median_sample", "median_real", "smallest_sample", "share_closer")
            table.append((run.name, space, *(f"{numbers[key]:.4g}" for key in keys)))
            title, name = f"{run.name}: distance to the nearest training image", f"nearest-{short}-{run.name}"
            lines = {
                "samples": _shares(samples.distance),
                "held-out reals" if held else "training images": _shares(real.distance),
            }
            figure = curves(lines, title=title, xlabel=f"distance in {space}", ylabel="share that is nearer")
            found.draw(name, figure, CAPTION)
        picture = picture_rows(rows, title=f"{run.name}: samples and their nearest training images")
        found.draw(
            f"nearest-{run.name}", picture, "The first samples, not selected, and the nearest training image of each"
        )
    columns = ("run", "in", "median, samples", "median, reals", "smallest, samples", "share closer than 99% of reals")
    found.tables.append((columns, table))
    return found


def _yardstick(train: Tensor, held: Tensor | None, n: int) -> Nearest:
    return nearest(train[:n], train, themselves=True) if held is None else nearest(held, train)


def _shares(distances: Tensor) -> tuple[list[float], list[float]]:
    """The distribution function of the distances, at 100 points."""
    ordered = distances.sort().values
    at = [round(i * (len(ordered) - 1) / 99) for i in range(100)]
    return [float(ordered[i]) for i in at], [(i + 1) / len(ordered) for i in at]
