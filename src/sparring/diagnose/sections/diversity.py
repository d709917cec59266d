"""How much samples differ from one another, overall and within a class, as a share of what real images do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from sparring.data.packed import to_float
from sparring.diagnose.neighbours import mean_distance
from sparring.diagnose.opened import Batch, OpenedRun
from sparring.diagnose.sections import Section, one_checkpoint
from sparring.diagnose.sections.features import Features
from sparring.metrics.prdc import precision_recall_density_coverage
from sparring.report.plots import curves, from_zero, picture_rows

SHOWN = 12  # samples of a class in the picture
CLASSES = 3


def measure(runs: Sequence[OpenedRun], n: int) -> Section:
    """Mean distances between pairs (see `sparring.diagnose.neighbours`); 1 is as diverse as the training images."""
    found = Section("diversity")
    table: list[Sequence[Any]] = []
    course: dict[str, tuple[list[int], list[float]]] = {}
    for run in runs:
        real, fake, conditional = run.real(n), run.fake(n), run.conditional
        if not conditional:
            found.lack(f"diversity within classes: the generator of {run.name} is not asked for classes")
        numbers: dict[str, Any] = {"n": n, "step": run.last, "pixels": _ratios(to_float, real, fake, conditional)}
        features = Features(run)
        numbers["features"] = _ratios(features, real, fake, conditional) | {"of": features.name}
        prdc = precision_recall_density_coverage(features(real.pixels), features(fake.pixels))
        numbers |= {name: float(getattr(prdc, name)) for name in ("precision", "recall", "density", "coverage")}
        steps = run.course()
        numbers["over_training"] = {
            "step": steps,
            "pixels": [_ratio(real, run.fake(n, step), conditional) for step in steps],
        }
        found.numbers[run.name] = numbers
        course[run.name] = (steps, numbers["over_training"]["pixels"])
        if len(steps) == 1:
            found.lack(one_checkpoint(run, "diversity"))
        values = [numbers[s].get(k) for s in ("pixels", "features") for k in ("overall", "within_class")]
        shown = ["" if value is None else f"{value:.3f}" for value in values]
        table.append((run.name, run.last, *shown, f"{numbers['recall']:.3f}", f"{numbers['coverage']:.3f}"))
        rows, title = _samples(run, numbers)
        found.draw(f"samples-{run.name}", picture_rows(rows, title=title, side=0.6), "Samples, not chosen")
    columns = ("run", "step", "pixels", "pixels, in a class", "features", "features, in a class", "recall", "coverage")
    found.tables.append((columns, table))
    if any(len(steps) > 1 for steps, _ in course.values()):
        caption = (
            "Mean distance between samples as a share of real images', within classes where the generator has them"
        )
        figure = curves(course, title="diversity of the samples", ylabel="share of real images'")
        from_zero(figure)
        found.draw("diversity", figure, caption)
    return found


def _ratios(see: Any, real: Batch, fake: Batch, conditional: bool) -> dict[str, float]:
    of_real, of_fake = see(real.pixels), see(fake.pixels)
    found = {"overall": mean_distance(of_fake) / mean_distance(of_real)}
    if conditional:
        found["within_class"] = mean_distance(of_fake, fake.labels) / mean_distance(of_real, real.labels)
    return found


def _ratio(real: Batch, fake: Batch, conditional: bool) -> float:
    found = _ratios(to_float, real, fake, conditional)
    return found.get("within_class", found["overall"])


def _samples(run: OpenedRun, numbers: dict[str, Any]) -> tuple[dict[str, Tensor], str]:
    """Rows of samples, of some classes where there are any, and a title with the numbers beside them."""
    classes = run.data.real.num_classes if run.conditional else 0
    kind, what = ("within_class", "diversity in a class") if classes else ("overall", "diversity")
    pixels, features = numbers["pixels"][kind], numbers["features"][kind]
    title = f"{run.name}, step {run.last}: {what} {pixels:.2f} (pixels), {features:.2f} (features)"
    if not classes:
        shown = run.fake(CLASSES * SHOWN).pixels
        return {" " * (i + 1): rows for i, rows in enumerate(shown.split(SHOWN))}, title
    fake = run.fake(classes * SHOWN)
    assert fake.labels is not None
    names = run.data.real.class_names or tuple(str(k) for k in range(classes))
    count = min(CLASSES, classes)
    chosen = [round(i * (classes - 1) / max(count - 1, 1)) for i in range(count)]
    return {names[k]: fake.pixels[fake.labels == k] for k in chosen}, title
