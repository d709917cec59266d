"""Some moments of runs on a line: data, negatives, samples and D's output, as in Figure 3 of NAT's paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from sparring.errors import SparringError
from sparring.report.plots import COLOURS, INK, dress
from sparring.toy.methods import toy_recipe
from sparring.toy.play import SIGMOID_HOSTS
from sparring.toy.session import Look, ToySession, distance_of
from sparring.toy.worlds import world

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOMENTS = (0.04, 0.15, 0.4, 1.0)  # of a run's steps


def picture(name: str, runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> tuple[Figure, dict[str, Any]]:
    """Moments of some runs, a row for each, and their distances to the data then. The runs are trained for it, in seconds.

    runs: by what the figure calls them: world, options, method, changes, steps and seed, of which the first is shown. Raises
    SparringError for a world that is not a line with a density, and for a loss without a sigmoid.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.1 * len(MOMENTS), 0.5 + 1.9 * len(runs)), layout="constrained")
    figure.patch.set_alpha(0)
    parts = figure.subplots(len(runs), len(MOMENTS), sharex=True, sharey=True, squeeze=False)
    numbers: dict[str, dict[int, float]] = {}
    for row, (label, some) in zip(parts, runs.items(), strict=True):
        toy = some[0]
        here = world(toy["world"], toy["options"], seed=toy["seed"])
        recipe = toy_recipe(here, toy["method"], toy["changes"], steps=toy["steps"], seed=toy["seed"])
        session, numbers[label] = ToySession(here, recipe), {}
        if (
            here.dimensions > 1
            or here.mixture is None
            or type(session.state.objective.host(0)).__name__ not in SIGMOID_HOSTS
        ):
            raise SparringError(f"'{label}' has no moments: they are drawn on a line, for a D that gives probabilities")
        for axes, share in zip(row, MOMENTS, strict=True):
            session.step(max(1, round(share * recipe.steps)) - session.state.step)
            look = session.look(pictures=False)
            distance = numbers[label][look.step] = look.numbers[distance_of(here)]
            words = {"xlabel": "x" if row is parts[-1] else "", "ylabel": f"{label}: density" if axes is row[0] else ""}
            dress(axes, title=f"step {look.step}, W1 {distance:.2f}", **words)
            _draw(axes, session, look)
    handles, labels = max((axes.get_legend_handles_labels() for axes in parts[:, 0]), key=lambda found: len(found[0]))
    figure.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False, fontsize=9, labelcolor=INK)
    return figure, numbers


def _draw(axes: Any, session: ToySession, look: Look) -> None:
    here = session.world
    x = torch.linspace(*here.view[0], 400, dtype=torch.float64)
    assert here.mixture is not None
    axes.fill_between(x, here.mixture.density(x[:, None]), color=COLOURS[0], alpha=0.35, linewidth=0, label="data")
    if session.negatives is not None and here.negative_mixture is not None:
        density = here.negative_mixture.density(x[:, None])
        axes.fill_between(x, density, color=COLOURS[3], alpha=0.35, linewidth=0, hatch="///", label="negatives")
    axes.hist(
        look.samples[:, 0], bins=x[::4], density=True, histtype="step", color=COLOURS[1], linewidth=1.5, label="samples"
    )
    believed = torch.from_numpy(look.realness).double().sigmoid()
    axes.plot(look.places[:, 0], believed, color=INK, linewidth=1.8, label="D(x), probability of real")
    axes.set(xlim=here.view[0], ylim=(0, 1.7))
