"""How much samples differ from each other, overall and within a class, relative to real images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from sparring.data.packed import to_float
from sparring.metrics.prdc import precision_recall_density_coverage
from sparring.microscope.neighbours import mean_distance
from sparring.microscope.opened import Batch, OpenedRun
from sparring.microscope.sections import Section, one_checkpoint
from sparring.microscope.sections.features import Features
from sparring.report.plots import curves, from_zero, picture_rows

Sides = tuple[Batch, Batch]  # real images, and samples
KINDS = ("overall", "within_class")
SHOWN = 12  # samples of a class in the picture
CLASSES = 3
FEWEST, ENOUGH = 4, 16  # images per class: if n is too small for the first number, fewer classes get the second


def measure(runs: Sequence[OpenedRun], n: int) -> Section:
    """Mean distances between pairs (see `sparring.microscope.neighbours`), where 1 is as diverse as the training images."""
    found = Section("diversity")
    table: list[Sequence[Any]] = []
    course: dict[str, tuple[list[int], list[float]]] = {}
    shown: dict[str, dict[str, Tensor]] = {}
    for run in runs:
        classes, features = _classes(found, run, n), Features(run)
        overall, within = _pairs(run, classes, n, run.last)
        numbers: dict[str, Any] = {"n": len(overall[0]), "step": run.last, "pixels": _ratios(to_float, overall, within)}
        numbers["features"] = _ratios(features, overall, within) | {"of": features.name}
        prdc = precision_recall_density_coverage(features(overall[0].pixels), features(overall[1].pixels))
        numbers |= {name: float(getattr(prdc, name)) for name in ("precision", "recall", "density", "coverage")}
        steps = run.course()
        numbers["over_training"] = {
            "step": steps,
            "pixels": [_ratio(*_pairs(run, classes, n, step)) for step in steps],
        }
        found.numbers[run.name] = numbers
        known = [math.nan if share is None else share for share in numbers["over_training"]["pixels"]]
        course[run.name] = (steps, known)
        if len(steps) == 1:
            found.lack(one_checkpoint(run, "diversity"))
        values = [numbers[s].get(k) for s in ("pixels", "features") for k in KINDS]
        words = ["" if value is None else f"{value:.3f}" for value in values]
        table.append((run.name, run.last, *words, f"{numbers['recall']:.3f}", f"{numbers['coverage']:.3f}"))
        _lack_of_pairs(found, run.name, numbers)
        shown[run.name], title = _samples(run, numbers)
        found.draw(f"samples-{run.name}", picture_rows(shown[run.name], title=title, side=0.6), "Samples, not selected")
    if len(runs) > 1:
        caption = "Samples of all runs, not selected, from the same latents (MHGAN, Figures 8 and 12; AS-GAN, Figure 8)"
        found.draw(
            "samples-beside", picture_rows(_beside(shown), title="samples of the same latents", side=0.5), caption
        )
    columns = ("run", "step", "pixels", "pixels, in a class", "features", "features, in a class", "recall", "coverage")
    found.tables.append((columns, table))
    if any(len(steps) > 1 and not all(map(math.isnan, shares)) for steps, shares in course.values()):
        caption = (
            "Mean distance between samples as a share of real images', within classes where the generator has them"
        )
        figure = curves(course, title="diversity of the samples", ylabel="share of real images'")
        from_zero(figure)
        found.draw("diversity", figure, caption)
    return found


def summary(run: OpenedRun, n: int) -> dict[str, float]:
    """A run's last numbers alone, within classes if it has them: pixels, features, precision, recall and coverage."""
    numbers = measure([run], n).numbers[run.name]
    kind = "within_class" if run.conditional else "overall"
    found = {key: numbers[key][kind] for key in ("pixels", "features")}
    found |= {key: numbers[key] for key in ("precision", "recall", "coverage")}
    return {key: share for key, share in found.items() if share is not None}


def _classes(found: Section, run: OpenedRun, n: int) -> list[int] | None:
    """The classes within which distances are measured: an even selection if n images are too few for all. May be None."""
    if not run.conditional:
        found.lack(f"diversity within classes: the generator of {run.name} takes no classes")
        return None
    count = run.data.real.num_classes
    if n // count >= FEWEST:
        return list(range(count))
    some = _evenly(count, max(1, n // ENOUGH))
    found.lack(
        f"diversity within all {count} classes of {run.name}: {n} images are enough for {len(some)}; use a larger --n"
    )
    return some


def _evenly(count: int, some: int) -> list[int]:
    return [round(i * (count - 1) / max(some - 1, 1)) for i in range(some)]


def _pairs(run: OpenedRun, classes: list[int] | None, n: int, step: int) -> tuple[Sides, Sides | None]:
    """The images to compare overall and within classes, which are the same if all classes are used."""
    overall = run.real(n), run.fake(n, step)
    if classes is None:
        return overall, None
    if len(classes) == run.data.real.num_classes:
        return overall, overall
    return overall, (run.real_of(classes, n), run.fake(n, step, of=classes))


def _ratios(see: Any, overall: Sides, within: Sides | None) -> dict[str, float | None]:
    """The ratios overall and within classes: None if there is no pair, or if all real images are equal."""
    of_real, of_fake = (see(side.pixels) for side in overall)
    found = {"overall": _share(mean_distance(of_fake), mean_distance(of_real))}
    if within is not None:
        real, fake = within
        if within is not overall:
            of_real, of_fake = see(real.pixels), see(fake.pixels)
        found["within_class"] = _share(mean_distance(of_fake, fake.labels), mean_distance(of_real, real.labels))
    return found


def _share(of_fake: float | None, of_real: float | None) -> float | None:
    return of_fake / of_real if of_fake is not None and of_real else None


def _ratio(overall: Sides, within: Sides | None) -> float | None:
    found = _ratios(to_float, overall, within)
    return found.get("within_class", found["overall"])


def _lack_of_pairs(found: Section, name: str, numbers: dict[str, Any]) -> None:
    if any(numbers[space].get(kind, 1) is None for space in ("pixels", "features") for kind in KINDS):
        found.lack(
            f"some ratios of {name}: its real images are all equal, or no class has two images; give more images"
        )


def _samples(run: OpenedRun, numbers: dict[str, Any]) -> tuple[dict[str, Tensor], str]:
    """Rows of samples, one for each of some classes if there are classes, and a title with the numbers."""
    classes = run.data.real.num_classes if run.conditional else 0
    kind, what = ("within_class", "diversity in a class") if classes else ("overall", "diversity")
    shares = {space: numbers[space][kind] for space in ("pixels", "features")}
    said = ", ".join(f"{share:.2f} ({space})" for space, share in shares.items() if share is not None)
    title = f"{run.name}, step {run.last}: {what} {said or 'unknown'}"
    if not classes:
        shown = run.fake(CLASSES * SHOWN).pixels
        return {" " * (i + 1): rows for i, rows in enumerate(shown.split(SHOWN))}, title
    names = run.data.real.class_names or tuple(str(k) for k in range(classes))
    chosen = _evenly(classes, min(CLASSES, classes))
    fake = run.fake(len(chosen) * SHOWN, of=chosen, uniform=True)
    assert fake.labels is not None
    return {names[k]: fake.pixels[fake.labels == k] for k in chosen}, title


def _beside(shown: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The rows of all runs: class by class, or, without classes, run by run."""
    rows = [(run, i, name, images) for run, of_run in shown.items() for i, (name, images) in enumerate(of_run.items())]
    found: dict[str, Tensor] = {}
    for run, i, name, images in sorted(rows, key=lambda row: row[1] if row[2].strip() else 0):
        label = f"{name}, {run}" if name.strip() else run if i == 0 else " " * (len(found) + 1)
        found[label] = images
    return found
