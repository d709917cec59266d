"""Pictures of a run: grids of samples, and curves."""

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from sparring.errors import SparringError
from sparring.files import write_atomically, write_json
from sparring.limits import DESCRIPTION_BYTES, DESCRIPTION_NODES
from sparring.parsing import read_json
from sparring.report.keys import CLASSES_KEY, SCALE_KEY

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Points = tuple[Sequence[float], Sequence[float]]  # (steps, values)

TARGET_PIXELS = 64  # an image is enlarged to about this size on a screen
GUTTER = 96  # grey between images: separates black and white ones, on light and dark pages
# readable on white and on near-black, and apart for colour-blind eyes
COLOURS = ("#3b7ddd", "#e0823d", "#2f9e77", "#c2498f", "#7a45f5", "#c8283c")
LINES = ("-", "--", ":", "-.")  # each for four curves, so that from the fifth on not only colour tells them apart
INK = "#808488"  # likewise, for axes and text
METADATA = {"png": ("Software",), "svg": ("Date", "Creator", "Format", "Type")}  # that matplotlib would add, by format
BESIDE = 3  # with more curves than this the legend is beside the axes
SMOOTH_ABOVE = 150  # points; longer curves get a running mean over a fiftieth of their length


def image_grid(
    images: Tensor,
    path: Path | str | None = None,
    *,
    columns: int = 8,
    scale: int | None = None,
    cells: Sequence[int] | None = None,
    classes: str = "",
) -> Image.Image:
    """Images in rows of `columns`, each pixel enlarged to a crisp square of `scale` pixels, thin gutters between.

    images   uint8 [N, C, H, W], N >= 1, C 1 or 3
    path     where to write a PNG, atomically; None writes nothing
    scale    None: a whole number that brings images to about 64 pixels
    cells    the image in each place, row by row, -1 for none; None: all of them, in their order
    classes  stored in the PNG: the classes of its columns, as `report.samples` describes them

    Raises SparringError for anything else.
    """
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] not in (1, 3) or not len(images):
        raise SparringError(
            f"a grid takes uint8 images [N, C, H, W] with N >= 1 and C 1 or 3, got {images.dtype} {list(images.shape)}"
        )
    if columns < 1 or (scale is not None and scale < 1):
        raise SparringError(f"columns and scale must be at least 1, got {columns} and {scale}")
    n, channels, height, width = images.shape
    cells = range(n) if cells is None else cells
    columns = min(columns, len(cells))
    rows = -(-len(cells) // columns)
    scale = scale or max(1, round(TARGET_PIXELS / max(height, width)))

    canvas = torch.full((rows * (height + 1) - 1, columns * (width + 1) - 1, channels), GUTTER, dtype=torch.uint8)
    pixels = images.cpu()
    for place, i in enumerate(cells):
        if i >= 0:
            top, left = place // columns * (height + 1), place % columns * (width + 1)
            canvas[top : top + height, left : left + width] = pixels[i].permute(1, 2, 0)
    canvas = canvas.repeat_interleave(scale, 0).repeat_interleave(scale, 1)
    picture = Image.fromarray(canvas.squeeze(2).numpy() if channels == 1 else canvas.numpy())
    if path is not None:
        facts = PngInfo()
        facts.add_text(SCALE_KEY, str(scale))
        if classes:
            facts.add_text(CLASSES_KEY, classes)
        content = io.BytesIO()
        picture.save(content, "PNG", optimize=True, pnginfo=facts)
        write_atomically(path, content.getvalue())
    return picture


def shrunk(png: bytes) -> bytes:
    """A grid's PNG without its enlargement, a fraction of the size; any other picture unchanged."""
    with Image.open(io.BytesIO(png)) as picture:
        scale = int(getattr(picture, "text", {}).get(SCALE_KEY, 1))
        if scale == 1:
            return png
        content = io.BytesIO()
        Image.fromarray(np.asarray(picture)[::scale, ::scale]).save(content, "PNG", optimize=True)
        return content.getvalue()


def curves(
    series: Mapping[str, Points],
    path: Path | str | None = None,
    *,
    title: str = "",
    xlabel: str = "step",
    ylabel: str = "",
    size: tuple[float, float] = (4.2, 2.5),
    logarithmic: str = "",
) -> "Figure":
    """A figure of named curves, each (steps, values), over one pair of labelled axes; transparent, for light and dark.

    series       a curve named "" has no entry in the legend
    path         where to write it, .png or .svg, atomically
    size         in inches; the default is readable on a phone
    logarithmic  "x", "y" or "xy": which axes are

    Curves of many points are drawn faint under their running mean. Values that are not finite leave a gap.
    """
    beside = len(series) > BESIDE
    figure, axes = panel(title=title, xlabel=xlabel, ylabel=ylabel, size=_with_legend(size, series) if beside else size)
    if "x" in logarithmic:
        logarithmic_axis(axes, "x")
    elif xlabel == "step":
        from matplotlib.ticker import MaxNLocator

        axes.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 2.5, 5, 10], integer=True))
    if "y" in logarithmic:
        logarithmic_axis(axes, "y")
    for i, (name, (steps, values)) in enumerate(series.items()):
        colour, line = COLOURS[i % len(COLOURS)], LINES[i // 4 % len(LINES)]
        x, y = np.asarray(steps, float), np.asarray(values, float)
        y = np.where(np.isfinite(y), y, np.nan)
        marker = "o" if len(x) < 3 else None
        if len(x) > SMOOTH_ABOVE:
            axes.plot(x, y, color=colour, linewidth=0.8, alpha=0.3)
            y = _running_mean(y, len(y) // 50)
        axes.plot(x, y, color=colour, linestyle=line, linewidth=1.7, label=name, marker=marker, markersize=4)
    if beside:
        figure.legend(loc="outside right upper", frameon=False, fontsize=8, labelcolor=INK)
    elif any(series):
        axes.legend(frameon=False, fontsize=8, labelcolor=INK)
    if path is not None:
        write_atomically(path, render(figure, Path(path).suffix.lstrip(".") or "png"))
    return figure


def _with_legend(size: tuple[float, float], names: Iterable[str]) -> tuple[float, float]:
    """A figure's size with room for a legend beside the axes."""
    return size[0] + 0.5 + 0.065 * max(map(len, names)), size[1]


def logarithmic_axis(axes: "Axes", which: str) -> None:
    """A logarithmic axis with plain numbers, 60 and not 6 x 10^1, on minor ticks too if there are few major ones."""
    from matplotlib.ticker import LogFormatter, StrMethodFormatter

    class Plain(LogFormatter):
        def __call__(self, x: float, pos: int | None = None) -> str:
            return f"{x:g}" if super().__call__(x, pos) else ""

    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(Plain(minor_thresholds=(1.0, 0.4)))


def panel(
    *, title: str = "", xlabel: str = "", ylabel: str = "", size: tuple[float, float] = (4.2, 2.5)
) -> "tuple[Figure, Axes]":
    """A transparent figure and its labelled axes, for a caller to draw on."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    figure.patch.set_alpha(0)
    axes = figure.add_subplot()
    dress(axes, title=title, xlabel=xlabel, ylabel=ylabel)
    return figure, axes


def dress(axes: "Axes", *, title: str = "", xlabel: str = "", ylabel: str = "") -> None:
    """Style axes for light and dark pages: transparent and labelled, with a faint grid and two spines."""
    axes.patch.set_alpha(0)
    axes.set_title(title, loc="left", fontsize=10, color=INK)
    axes.set_xlabel(xlabel, color=INK, fontsize=9)
    axes.set_ylabel(ylabel, color=INK, fontsize=9)
    axes.tick_params(colors=INK, labelsize=8, which="both")
    axes.grid(color=INK, alpha=0.2, linewidth=0.6)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(INK)


def bars(
    groups: Sequence[str],
    series: Mapping[str, Sequence[float]],
    *,
    title: str = "",
    xlabel: str = "",
    ylabel: str = "",
    size: tuple[float, float] = (4.2, 2.5),
) -> "Figure":
    """A bar chart: for each group, one bar of every series [len(groups)]."""
    named = len(series) > 1
    figure, axes = panel(title=title, xlabel=xlabel, ylabel=ylabel, size=_with_legend(size, series) if named else size)
    width = 0.8 / max(len(series), 1)
    for i, (name, values) in enumerate(series.items()):
        at = np.arange(len(groups)) - 0.4 + width * (i + 0.5)
        axes.bar(at, np.asarray(values, float), width * 0.92, color=COLOURS[i % len(COLOURS)], label=name)
    crowded = max(map(len, groups), default=0) * 0.085 > 0.85 * size[0] / max(len(groups), 1)
    axes.set_xticks(range(len(groups)), groups, fontsize=8)
    if crowded:
        axes.tick_params(axis="x", rotation=40)
        for label in axes.get_xticklabels():
            label.set_horizontalalignment("right")
            label.set_rotation_mode("anchor")
    axes.grid(False, axis="x")
    if named:
        figure.legend(loc="outside right upper", frameon=False, fontsize=8, labelcolor=INK)
    return figure


def from_zero(figure: "Figure") -> "Figure":
    """The figure with its y axis from 0 to a little above the highest value."""
    axes = figure.axes[0]
    axes.set_ylim(0, 1.06 * float(axes.dataLim.ymax))
    return figure


def picture_rows(
    rows: Mapping[str, Tensor],
    captions: Mapping[str, Sequence[str]] | None = None,
    *,
    title: str = "",
    side: float = 0.78,
) -> "Figure":
    """A figure of pictures in named rows: uint8 [N, C, H, W], or [N, H, W] in [0, 1], shown light on dark.

    captions: a text under each picture of a row. side: of a picture, in inches.
    """
    from matplotlib.figure import Figure

    captions = captions or {}
    count = max(len(images) for images in rows.values())
    words = 0.17 if captions else 0.03
    left = 0.3 + 0.062 * max(map(len, rows))
    top = 0.3 if title else 0.05
    width, height = left + count * side + 0.05, top + len(rows) * (side + words) + 0.02
    figure = Figure(figsize=(width, height))
    figure.patch.set_alpha(0)
    figure.text(0.06 / width, 1 - 0.2 / height, title, fontsize=10, color=INK)
    for r, (name, images) in enumerate(rows.items()):
        bottom = 1 - (top + (r + 1) * (side + words) - words) / height
        middle = bottom + side / 2 / height
        figure.text((left - 0.08) / width, middle, name, fontsize=8.5, color=INK, ha="right", va="center")
        for i, image in enumerate(images.cpu()):
            box = ((left + i * side) / width, bottom, (side - 0.04) / width, (side - 0.04) / height)
            axes = figure.add_axes(box)
            axes.set_axis_off()
            pixels = image.numpy() if image.ndim == 2 else image.permute(1, 2, 0).squeeze(2).numpy()
            most = 1 if image.is_floating_point() else 255  # for grey pixels; colours are unchanged
            axes.imshow(pixels, cmap="magma" if image.ndim == 2 else "gray", vmin=0, vmax=most, interpolation="nearest")
            if i < len(captions.get(name, ())):
                centre = (left + i * side + (side - 0.04) / 2) / width
                figure.text(centre, bottom - 0.135 / height, captions[name][i], fontsize=7, color=INK, ha="center")
    return figure


def render(figure: "Figure", kind: str) -> bytes:
    """A figure as the bytes of a "png" or an "svg" (text stays text), the same for the same figure."""
    import matplotlib

    if kind not in METADATA:
        raise SparringError(f"a figure is written as .png or .svg, got '.{kind}'")
    content = io.BytesIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "sparring"}):
        figure.savefig(content, format=kind, dpi=160, metadata=dict.fromkeys(METADATA[kind]))
    return content.getvalue()


def kept_png(path: Path, facts: Mapping[str, Any], draw: Callable[[], "tuple[Figure, Any]"]) -> bytes:
    """The PNG at `path`: a figure drawn once from these facts. A JSON file beside it has the facts and its numbers.

    If the figure cannot be drawn again, the kept one is returned; without one, SparringError is raised.

    draw: returns the figure and its numbers.
    """
    beside = path.with_suffix(".json")
    known = read_json(beside, most=DESCRIPTION_BYTES, nodes=DESCRIPTION_NODES) if path.is_file() else {}
    if not known or not facts.items() <= known.items():
        try:
            figure, numbers = draw()
        except SparringError:
            if not known:
                raise
        else:
            write_json(beside, {**facts, "numbers": numbers})
            write_atomically(path, render(figure, "png"))
    return path.read_bytes()


def _running_mean(y: np.ndarray, reach: int) -> np.ndarray:
    """The mean over up to `reach` points on either side, fewer at the ends; gaps are left out."""
    known = np.isfinite(y)
    total = np.concatenate([[0.0], np.cumsum(np.where(known, y, 0))])
    count = np.concatenate([[0], np.cumsum(known)])
    at = np.arange(len(y))
    start, stop = np.maximum(at - reach, 0), np.minimum(at + reach + 1, len(y))
    share = (count[stop] - count[start]).astype(float)
    share[share == 0] = np.nan
    return (total[stop] - total[start]) / share
