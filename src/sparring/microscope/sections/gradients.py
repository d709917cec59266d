"""The discriminator's gradient on real images: maps, a histogram, and its L1 norm over training."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from sparring.microscope.gradients import common_reach, histogram, maps, summary
from sparring.microscope.opened import OpenedRun
from sparring.microscope.sections import Section, count_of, one_checkpoint
from sparring.report.plots import curves, picture_rows

SHOWN = 8


def measure(runs: Sequence[OpenedRun], n: int) -> Section:
    """The numbers are defined in `sparring.microscope.gradients`."""
    found = Section("gradients")
    rows: dict[str, Tensor] = {}
    course: dict[str, dict[str, tuple[list[int], list[float]]]] = {}
    entries: dict[str, Tensor] = {}
    for run in runs:
        real = run.real(n)
        gradients = run.subject().gradients(real.images, real.labels)
        shown = real.pixels[:SHOWN]
        if not any(other.shape == shown.shape and bool((other == shown).all()) for other in rows.values()):
            rows["real" if len(rows) == 0 else f"real, {run.name}"] = shown
        rows[run.name] = maps(gradients[:SHOWN])
        entries[run.name] = gradients
        steps = run.course()
        found.numbers[run.name] = summary(gradients) | {
            "n": len(real),
            "step": run.last,
            "over_training": {"step": steps},
        }
        if len(steps) == 1:
            found.lack(one_checkpoint(run, "gradients"))
        some = real.take(max(1, n // 2))
        for step in steps:
            for key, value in summary(run.subject(step).gradients(some.images, some.labels)).items():
                found.numbers[run.name]["over_training"].setdefault(key, []).append(value)
        for key, values in found.numbers[run.name]["over_training"].items():
            if key != "step":
                course.setdefault(key, {})[run.name] = (steps, values)
    found.tables.append(
        (
            ("run", "step", "L1 norm", "L2 norm", "sparsity", "structure"),
            [(name, f["step"], *(f"{f[k]:.4g}" if k in f else "" for k in ("l1", "l2", "sparsity", "structure")))
             for name, f in found.numbers.items()],
        )
    )  # fmt: skip
    found.draw(
        "gradient-maps",
        picture_rows(rows, title="real images, and the |gradient| of their scores"),
        "Gradients clipped to 3 standard deviations, the mean of their absolute values over the channels (AS-GAN, Figure 2)",
    )
    reach = common_reach(entries.values())
    shares = {name: histogram(gradients, reach=reach) for name, gradients in entries.items()}
    found.draw(
        "gradient-histogram",
        curves(shares, title="histogram of the gradient's entries", xlabel="gradient", ylabel="share", logarithmic="y"),
        f"Entries of the gradient at {count_of(f['n'] for f in found.numbers.values())} real images (AS-GAN, Figure 9a)",
    )
    names = {"l1": "L1 norm", "sparsity": "sparsity"}
    for key, name in names.items():
        if any(len(steps) > 1 for steps, _ in course[key].values()):
            caption = f"Mean {name} of the gradient over the checkpoints (AS-GAN, Figure 9b)"
            found.draw(f"gradient-{key}", curves(course[key], title=f"{name} of the gradient", ylabel=name), caption)
    return found
