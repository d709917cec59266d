"""Worlds on a line or in a plane: points to learn, negatives, and what is known of both.

A world is a source of batches for the same training step that images use. Its points are drawn once, from its seed:
`world("ring-8", seed=0)`.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sparring.errors import SparringError, nearest
from sparring.randomness import generator_for
from sparring.toy.gaussians import Mixture

COUNT = 10_000  # points in a world, and in its negatives
SMALLEST, LARGEST = 1e-3, 1e3  # deviations and lengths of a world: networks learn points of about 1
FILE_WORLDS = ("image", "points")  # worlds that are made from the user's file
Limits = tuple[float, float]


@dataclass(frozen=True)
class Points:
    """Points [N, D] float32 as a source of batches; labels [N] int64 below num_classes, or None."""

    points: Tensor
    labels: Tensor | None = None
    num_classes: int = 0

    @property
    def channels(self) -> int:
        """The coordinates of a point: what the networks are told."""
        return self.points.shape[1]

    def __len__(self) -> int:
        return len(self.points)

    def batch(self, index: Tensor, device: torch.device | None = None) -> tuple[Tensor, Tensor | None]:
        labels = None if self.labels is None else self.labels[index].to(device)
        return self.points[index].to(device), labels


@dataclass(frozen=True)
class World:
    """What is to be learnt, and what is known about it.

    data        the points, with labels where the world has classes
    negatives   points that do not belong to the data, or None
    mixture     the distribution of the data, if it is a mixture of Gaussians: densities, quantiles, modes
    modes       centres [M, D] of the clusters to cover, with their standard deviations [M]; or None
    view        the limits of each coordinate, for pictures
    """

    name: str
    data: Points
    negatives: Points | None
    mixture: Mixture | None
    negative_mixture: Mixture | None
    modes: Tensor | None
    mode_std: Tensor | None
    view: tuple[Limits, ...]
    about: str = ""

    @property
    def dimensions(self) -> int:
        return self.data.channels

    @property
    def scale(self) -> float:
        """The root mean square distance of a coordinate from its mean: what lengths are compared with."""
        return float(self.data.points.double().var(0, correction=0).mean().sqrt())


def world(
    name: str, options: Mapping[str, Any] | None = None, *, file: Path | str | None = None, seed: int = 0
) -> World:
    """A world by name. options: what its function takes, such as {"std": 0.1}; file: for `image` and `points`.

    Raises SparringError for an unknown name or option, with the nearest, and for a file that the world cannot read.
    """
    if not isinstance(name, str) or name not in WORLDS:
        raise SparringError(f"unknown world {name!r}: {nearest(str(name), WORLDS)}")
    make = WORLDS[name]
    known = [p for p in inspect.signature(make).parameters if p not in ("seed", "file")]
    for option in options or {}:
        if option not in known:
            allowed = nearest(option, known) if known else "it has none"
            raise SparringError(f"the world '{name}' has no option '{option}': {allowed}")
    if name not in FILE_WORLDS:
        if file is not None:
            raise SparringError(f"the world '{name}' takes no file, got {str(file)!r}: try {' or '.join(FILE_WORLDS)}")
        return make(seed=seed, **(options or {}))
    if not isinstance(file, str | PathLike):
        got = "" if file is None else f", got {file!r}"
        raise SparringError(f"the world '{name}' is made from a file{got}: sparring toy {name} FILE")
    return make(file=Path(file), seed=seed, **(options or {}))


# --- on a line ---


def nat_1d(*, seed: int = 0) -> World:
    """NAT's example: data N(4, 0.5), negatives N(13, 1) and N(-6, 2); the second numbers are standard deviations."""
    return _of_mixture(
        "nat-1d",
        Mixture.of([4.0], 0.5),
        seed,
        negatives=Mixture.of([13.0, -6.0], [1.0, 2.0]),
        view=((-12.0, 17.0),),
        labelled=False,
        about="data N(4, 0.5), negatives N(13, 1) and N(-6, 2)",
    )


def gaussians(
    *, means: Any = (-3.0, 0.0, 3.0), stds: Any = 0.4, weights: Any = None, negatives: Any = None, seed: int = 0
) -> World:
    """Any Gaussians, on a line or in a plane. negatives: a mapping with its own `means`, `stds` and `weights`."""
    mixture = Mixture.of(means, stds, weights)
    other = None
    if negatives is not None:
        if (
            not isinstance(negatives, Mapping)
            or "means" not in negatives
            or set(negatives) - {"means", "stds", "weights"}
        ):
            raise SparringError(f"negatives is a mapping {{means: ..., stds: ..., weights: ...}}, got {negatives!r}")
        other = Mixture.of(negatives["means"], negatives.get("stds", 1.0), negatives.get("weights"))
        if other.dimensions != mixture.dimensions:
            raise SparringError(
                f"data have {mixture.dimensions} coordinates and negatives {other.dimensions}: give both the same"
            )
    return _of_mixture("gaussians", mixture, seed, negatives=other, about=f"{len(mixture.means)} Gaussians")


# --- in a plane ---


def nat_2d(*, seed: int = 0) -> World:
    """NAT's circles: data of radius 4, negatives of radius 8 outside and, blurred, of radius 0.7 inside.

    The authors scale noisy unit circles: 4 (c + 0.08 n), 8 (c + 0.08 n) and 0.7 (c + 0.5 n), n ~ N(0, I).
    """
    outside = _circle(COUNT // 2, 8.0, 0.64, seed, "outside")
    inside = _circle(COUNT - len(outside), 0.7, 0.35, seed, "inside")
    return World(
        name="nat-2d",
        data=Points(_circle(COUNT, 4.0, 0.32, seed, "data")),
        negatives=Points(torch.cat([outside, inside])),
        mixture=None,
        negative_mixture=None,
        modes=None,
        mode_std=None,
        view=((-10.5, 10.5), (-10.5, 10.5)),
        about="a circle between two circles of negatives",
    )


def ring_8(*, radius: float = 2.0, std: float = 0.02, modes: int = 8, seed: int = 0) -> World:
    """Gaussians on a circle; by default Metz et al.'s, Unrolled GANs, 2017: 8 of standard deviation 0.02 at radius 2."""
    count = _whole(modes, "modes", 1, COUNT)
    angle = torch.arange(count, dtype=torch.float64) * 2 * math.pi / count
    means = _positive(radius, "radius") * torch.stack([angle.cos(), angle.sin()], 1)
    return _of_mixture("ring-8", Mixture.of(means, _positive(std, "std")), seed, about=f"{count} Gaussians on a circle")


def grid_25(*, side: int = 5, spacing: float = 2.0, std: float = 0.05, seed: int = 0) -> World:
    """Gaussians on a square grid; by default those of VEEGAN and PacGAN: 5x5 of standard deviation 0.05, 2 apart."""
    side = _whole(side, "side", 1, math.isqrt(COUNT))
    line = (torch.arange(side, dtype=torch.float64) - (side - 1) / 2) * _positive(spacing, "spacing")
    means = torch.cartesian_prod(line, line)
    return _of_mixture("grid-25", Mixture.of(means, _positive(std, "std")), seed, about=f"{side}x{side} Gaussians")


def moons(*, noise: float = 0.05, seed: int = 0) -> World:
    """Two interleaving half circles of radius 1, each a class."""
    g = generator_for(seed, "world", "moons")
    labels = torch.arange(COUNT) % 2
    angle = torch.rand(COUNT, generator=g) * math.pi
    x = torch.where(labels == 0, angle.cos(), 1 - angle.cos()) - 0.5
    y = torch.where(labels == 0, angle.sin(), 0.5 - angle.sin()) - 0.25
    points = torch.stack([x, y], 1) + _positive(noise, "noise") * torch.randn(COUNT, 2, generator=g)
    return _plain("moons", points, labels, about="two half circles")


def spiral(*, noise: float = 0.03, turns: float = 1.25, seed: int = 0) -> World:
    """Two arms that wind around each other, each a class."""
    g = generator_for(seed, "world", "spiral")
    labels = torch.arange(COUNT) % 2
    along = torch.rand(COUNT, generator=g).sqrt()  # even along the arm, whose turns grow with the radius
    angle = 2 * math.pi * _positive(turns, "turns") * along + math.pi * labels
    points = 2 * along[:, None] * torch.stack([angle.cos(), angle.sin()], 1)
    points = points + _positive(noise, "noise") * torch.randn(COUNT, 2, generator=g)
    return _plain("spiral", points, labels, about="two arms")


def checkerboard(*, side: int = 4, seed: int = 0) -> World:
    """Every other square of a board from -2 to 2, evenly filled."""
    side = _whole(side, "side", 2, math.isqrt(COUNT))
    g = generator_for(seed, "world", "checkerboard")
    cells = torch.tensor([(i, j) for i in range(side) for j in range(side) if (i + j) % 2 == 0])
    chosen = cells[torch.randint(len(cells), (COUNT,), generator=g)]
    points = (chosen + torch.rand(COUNT, 2, generator=g)) * (4 / side) - 2
    return _plain("checkerboard", points, about="every other square")


def image(*, file: Path, seed: int = 0) -> World:
    """The dark pixels of an image as a density in the plane."""
    from sparring.toy.files import points_of_image

    return _plain("image", points_of_image(file, COUNT, seed), about=f"the dark of {file.name}")


def points(*, file: Path, seed: int = 0) -> World:
    """Points of a .csv or .npy file, [N, 1] or [N, 2], standardised: mean 0, root mean square 1.

    Their order is drawn from the seed, as yardsticks and pictures use a world's first points and a file may be sorted.
    """
    from sparring.toy.files import read_points, standardised

    found = standardised(read_points(file), file)
    order = torch.randperm(len(found), generator=generator_for(seed, "world", "points"))
    return _plain("points", found[order], about=f"{file.name}, standardised")


WORLDS: dict[str, Callable[..., World]] = {
    "nat-1d": nat_1d,
    "gaussians": gaussians,
    "nat-2d": nat_2d,
    "ring-8": ring_8,
    "grid-25": grid_25,
    "moons": moons,
    "spiral": spiral,
    "checkerboard": checkerboard,
    "image": image,
    "points": points,
}


# --- helpers ---


def _of_mixture(
    name: str,
    mixture: Mixture,
    seed: int,
    *,
    negatives: Mixture | None = None,
    view: tuple[Limits, ...] | None = None,
    labelled: bool = True,
    about: str = "",
) -> World:
    """A world of Gaussians, each of which is a mode and, if there are several, a class."""
    for each in (mixture, negatives):
        if each is not None:
            _check_size(each)
    drawn, component = mixture.sample(COUNT, seed, "world", name, "data")
    labelled = labelled and len(mixture.means) > 1
    data = Points(drawn, component, len(mixture.means)) if labelled else Points(drawn)
    other = None if negatives is None else Points(negatives.sample(COUNT, seed, "world", name, "negatives")[0])
    everything = drawn if other is None else torch.cat([drawn, other.points])
    return World(
        name=name,
        data=data,
        negatives=other,
        mixture=mixture,
        negative_mixture=negatives,
        modes=mixture.means.float(),
        mode_std=mixture.stds,
        view=view or _view_of(everything),
        about=about,
    )


def _check_size(mixture: Mixture) -> None:
    """Raise SparringError for Gaussians too large or small for float32, the networks and the pictures."""
    low, high, far = float(mixture.stds.min()), float(mixture.stds.max()), float(mixture.means.abs().max())
    if low < SMALLEST or max(high, far) > LARGEST:
        raise SparringError(
            f"a world's means lie within {LARGEST:g} of 0, and its stds from {SMALLEST:g} to {LARGEST:g}; got means up to "
            f"{far:g} and stds from {low:g} to {high:g}: scale them"
        )


def _plain(name: str, drawn: Tensor, labels: Tensor | None = None, *, about: str) -> World:
    """A world of points with no modes to count."""
    data = Points(drawn.float(), labels, 0 if labels is None else int(labels.max()) + 1)
    return World(name, data, None, None, None, None, None, _view_of(data.points), about)


def _circle(count: int, radius: float, noise: float, seed: int, part: str) -> Tensor:
    g = generator_for(seed, "world", "circles", part)
    angle = torch.rand(count, generator=g) * 2 * math.pi
    return radius * torch.stack([angle.cos(), angle.sin()], 1) + noise * torch.randn(count, 2, generator=g)


def _view_of(drawn: Tensor) -> tuple[Limits, ...]:
    """The points' limits with a margin of a quarter of their extent; square in a plane."""
    low, high = drawn.amin(0), drawn.amax(0)
    centre, reach = (low + high) / 2, float((high - low).max()) * 0.75
    return tuple((float(c) - reach, float(c) + reach) for c in centre)


def _positive(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= LARGEST:
        raise SparringError(f"world.{name} takes a number above 0 and up to {LARGEST:g}, got {value!r}")
    return float(value)


def _whole(value: Any, name: str, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise SparringError(f"world.{name} takes a whole number from {least} to {most}, got {value!r}")
    return value
