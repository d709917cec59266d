"""Pictures of toy runs, one panel for each run: the generator's samples, and the discriminator's answers.

Colours are safe for colour-blind readers and mean the same everywhere: blue is data and what D accepts as real, orange is
samples and what D rejects, magenta is negatives.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from sparring.report.plots import COLOURS, INK
from sparring.toy.session import MESH, PLANE, Look
from sparring.toy.worlds import World

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DATA, SAMPLES, MESH_COLOUR, NEGATIVES = COLOURS[0], COLOURS[1], COLOURS[2], COLOURS[3]
WORDS = "#404448"  # on white
SHADES = ("#f6d9bd", "#ffffff", "#bcd6f2")  # of the plane: fake, undecided, real
DPI = 100
SHOWN_DATA, SHOWN_SAMPLES = 500, 400
LONGEST_ARROW = 0.09  # of the view
BINS = 100


@dataclass(frozen=True)
class Panel:
    """A run in a picture: its title, its world, the negatives [N, D] that it saw, if any.

    sigmoid: whether D's answer is shown as a probability; mesh: whether the looks have the generator's grid.
    """

    title: str
    world: World
    negatives: np.ndarray | None
    sigmoid: bool
    mesh: bool = False


class Scene:
    """A figure whose panels are redrawn for each look: `scene.draw([look, ...])`."""

    def __init__(self, panels: list[Panel]):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self.panels = panels
        line = panels[0].world.dimensions == 1
        width = {1: (6.4, 5.0), 2: (9.6, 5.0)} if line else {1: (5.6, 6.0), 2: (9.8, 5.7)}
        self.figure: Figure = Figure(figsize=width[len(panels)], dpi=DPI, facecolor="white")
        self.canvas = FigureCanvasAgg(self.figure)
        rows = 2 if line else 1
        self.axes: Any = self.figure.subplots(
            rows, len(panels), squeeze=False, sharex="col" if line else False, sharey="row" if line else False
        )
        sides = {"left": 0.11 if len(panels) == 1 else 0.075, "right": 0.98, "wspace": 0.12 if line else 0.16}
        self.figure.subplots_adjust(top=0.83 if line else 0.845, bottom=0.105, hspace=0.12, **sides)
        draw = self._prepare_line if line else self._prepare_plane
        self.artists = [draw(panel, self.axes[:, i], first=i == 0) for i, panel in enumerate(panels)]
        self._legend()

    def draw(self, looks: list[Look]) -> Image.Image:
        """The picture of one look for each panel."""
        for panel, look, artists, axes in zip(self.panels, looks, self.artists, self.axes.T, strict=True):
            fill = _fill_line if panel.world.dimensions == 1 else _fill_plane
            fill(panel, look, artists, axes)
            axes[0].set_title(f"{panel.title}\n{_numbers(panel.world, look)}", fontsize=10, color=WORDS, loc="left")
        self.canvas.draw()
        return Image.fromarray(np.asarray(self.canvas.buffer_rgba())[..., :3].copy())

    def _legend(self) -> None:
        from matplotlib.collections import PathCollection

        handles: dict[str, Any] = {}
        for axes in self.axes.flat:
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
                handles.setdefault(label, handle)
        legend = self.figure.legend(
            handles.values(),
            handles.keys(),
            loc="upper center",
            bbox_to_anchor=(0.5, 0.99),
            ncols=len(handles),
            frameon=False,
            fontsize=9,
            labelcolor=WORDS,
            columnspacing=1.0,
            handlelength=1.3,
            handletextpad=0.5,
        )
        for handle in legend.legend_handles:
            if handle is not None:
                handle.set_alpha(1)
            if isinstance(handle, PathCollection):
                handle.set_sizes([40])

    def _prepare_line(self, panel: Panel, axes: Any, *, first: bool) -> dict[str, Any]:
        """Densities above, D(x) below."""
        above, below = axes
        world, (x0, x1) = panel.world, panel.world.view[0]
        edges = np.linspace(x0, x1, BINS + 1)
        x = np.linspace(x0, x1, 600)
        data = _density(world.mixture, world.data.points.numpy(), x, edges)
        above.fill_between(*data, color=DATA, alpha=0.35, linewidth=0, label="data")
        top = data[1].max() * 2
        if panel.negatives is not None:
            negative = _density(world.negative_mixture, panel.negatives, x, edges)
            above.fill_between(*negative, color=NEGATIVES, alpha=0.35, linewidth=0, label="negatives", hatch="///")
            top = max(top, negative[1].max() * 1.2)
        (samples,) = above.plot([], [], color=SAMPLES, linewidth=2, drawstyle="steps-mid", label="samples")
        above.set_ylim(0, top)
        (curve,) = below.plot([], [], color=WORDS, linewidth=1.8, label="D(x)")
        boundary = below.axhline(0, color=INK, linewidth=1, linestyle=":", label="boundary")
        below.set_xlim(x0, x1)
        if panel.sigmoid:
            below.set_ylim(-0.05, 1.05)
        below.set_xlabel("x", color=WORDS)
        if first:
            above.set_ylabel("density", color=WORDS)
            below.set_ylabel("D(x), probability of real" if panel.sigmoid else "D(x), realness", color=WORDS)
        for each in axes:
            _quiet(each)
        return {"samples": samples, "curve": curve, "boundary": boundary, "edges": edges}

    def _prepare_plane(self, panel: Panel, axes: Any, *, first: bool) -> dict[str, Any]:
        """D's answers as shades, the boundary, and points, arrows and the generator's grid over them."""
        from matplotlib.collections import LineCollection
        from matplotlib.colors import LinearSegmentedColormap

        (plane,) = axes
        (x0, x1), (y0, y1) = panel.world.view
        shades = LinearSegmentedColormap.from_list("fight", SHADES)
        surface = plane.imshow(
            np.zeros((PLANE, PLANE)), extent=(x0, x1, y0, y1), origin="lower", cmap=shades, vmin=-1, vmax=1
        )
        surface.set_interpolation("bilinear")
        mesh = LineCollection([], colors=MESH_COLOUR, linewidths=0.7, alpha=0.75)
        mesh.set_label("G's grid" if panel.mesh else "_no grid")
        plane.add_collection(mesh)
        if panel.negatives is not None:
            shown = panel.negatives[:: max(1, len(panel.negatives) // SHOWN_DATA)].T  # from all parts of them
            plane.scatter(*shown, s=9, marker="x", linewidths=0.7, color=NEGATIVES, alpha=0.6, label="negatives")
        data = panel.world.data.points[:SHOWN_DATA].numpy().T
        plane.scatter(*data, s=6, color=DATA, linewidths=0, alpha=0.7, label="data")
        if panel.world.modes is not None:
            centres = panel.world.modes.numpy().T
            plane.scatter(*centres, s=110, facecolors="none", edgecolors=DATA, linewidths=1.1, zorder=4, label="modes")
        samples = plane.scatter([], [], s=9, color=SAMPLES, linewidths=0.3, edgecolors="#7a3b0c", label="samples")
        plane.plot([], [], color=WORDS, linewidth=1, linestyle=":", label="boundary")
        plane.scatter([], [], s=40, marker=r"$\rightarrow$", color=WORDS, label="D's gradient")
        plane.set_xlim(x0, x1)
        plane.set_ylim(y0, y1)
        plane.set_aspect("equal")
        plane.set_xlabel("$x_1$", color=WORDS)
        if first:
            plane.set_ylabel("$x_2$", color=WORDS)
        _quiet(plane, grid=False)
        return {"surface": surface, "mesh": mesh, "samples": samples, "boundary": None, "arrows": None}


def _fill_line(panel: Panel, look: Look, artists: dict[str, Any], axes: Any) -> None:
    edges = artists["edges"]
    artists["samples"].set_data(*_histogram(look.samples, edges))
    middle = (look.of_data + look.of_samples) / 2
    values = look.realness
    if panel.sigmoid:
        values, middle = _sigmoid(values), float(_sigmoid(np.array(middle)))
    artists["curve"].set_data(look.places[:, 0], values)
    artists["boundary"].set_ydata([middle, middle])
    if not panel.sigmoid:
        low, high = float(values.min()), float(values.max())
        margin = 0.08 * max(high - low, 1e-3)
        axes[1].set_ylim(low - margin, high + margin)


def _fill_plane(panel: Panel, look: Look, artists: dict[str, Any], axes: Any) -> None:
    plane = axes[0]
    (x0, x1), (y0, y1) = panel.world.view
    centred = look.realness.reshape(PLANE, PLANE) - (look.of_data + look.of_samples) / 2
    artists["surface"].set_data(_shades(centred))
    for name in ("boundary", "arrows"):
        if artists[name] is not None:
            artists[name].remove()
            artists[name] = None
    if centred.min() < 0 < centred.max():
        x, y = np.linspace(x0, x1, PLANE), np.linspace(y0, y1, PLANE)
        artists["boundary"] = plane.contour(x, y, centred, [0.0], colors=[WORDS], linewidths=1, linestyles=":")
    if look.mesh is not None:
        lines = [look.mesh[i] for i in range(MESH)] + [look.mesh[:, i] for i in range(MESH)]
        artists["mesh"].set_segments(lines)
    artists["samples"].set_offsets(look.samples[:SHOWN_SAMPLES])
    at, gradient = look.arrows
    longest = float(np.linalg.norm(gradient, axis=1).max()) if len(at) else 0.0
    if longest > 0:
        pull = gradient / longest * LONGEST_ARROW * (x1 - x0)
        artists["arrows"] = plane.quiver(
            *at.T, *pull.T, angles="xy", scale_units="xy", scale=1, width=0.0042, color=WORDS, zorder=5
        )


def _shades(centred: np.ndarray) -> np.ndarray:
    """D's answers relative to the boundary, in [-1, 1]; each side has its own scale, as one is often far steeper."""
    shades = np.zeros_like(centred)
    for side in (centred > 0, centred < 0):
        if side.any():
            shades[side] = np.tanh(centred[side] / max(float(np.quantile(np.abs(centred[side]), 0.8)), 1e-6))
    return shades


def _numbers(world: World, look: Look) -> str:
    """The yardsticks under a panel's title."""
    parts = [f"step {look.step}"]
    for name, word in (("wasserstein", "W1"), ("sliced_wasserstein", "sliced W1")):
        if name in look.numbers:
            parts.append(f"{word} {look.numbers[name]:.2f}")
    if world.modes is not None and len(world.modes) > 1:
        parts.append(f"modes {look.numbers['modes']:.0f} of {len(world.modes)}")
        parts.append(f"high quality {look.numbers['high_quality']:.0%}")
    return ", ".join(parts)


def _density(mixture: Any, points: np.ndarray, x: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(x, density): the mixture's own, or a histogram of points."""
    import torch

    if mixture is not None:
        return x, mixture.density(torch.from_numpy(x)[:, None]).numpy()
    return _histogram(points, edges)


def _histogram(points: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(middles, density); points beyond the edges count but are not shown."""
    count, _ = np.histogram(points[:, 0], edges)
    return (edges[1:] + edges[:-1]) / 2, count / (len(points) * np.diff(edges))


def _sigmoid(values: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(0.5 * values))


def _quiet(axes: Axes, *, grid: bool = True) -> None:
    axes.tick_params(colors=WORDS, labelsize=8)
    if grid:
        axes.grid(color=INK, alpha=0.2, linewidth=0.6)
        axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_color(INK)


def png_bytes(picture: Image.Image) -> bytes:
    content = io.BytesIO()
    picture.save(content, "PNG", optimize=True)
    return content.getvalue()
