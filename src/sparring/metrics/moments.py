"""Mean and covariance of features: streaming, saving, loading, and the factors that a Frechet distance needs."""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from sparring.archives import open_npz
from sparring.errors import SparringError
from sparring.files import write_atomically
from sparring.metrics.features import check_same_dimensions, check_whole, checked
from sparring.parsing import parse_json

EPS = torch.finfo(torch.float64).eps
SETTINGS = ("extractor", "weights_sha256", "resize", "dtype", "size", "channels")  # must agree if both are known
ROUNDING = 1e-5  # allowed asymmetry of a saved covariance, relative to its largest variance: some programs save float32


def check_same_settings(a: Mapping[str, object], b: Mapping[str, object]) -> None:
    """Raise SparringError, naming the differences, if two statistics were measured differently."""
    both = [(key, a.get(key), b.get(key)) for key in SETTINGS]
    differences = [f"{key} {x!r} against {y!r}" for key, x, y in both if None not in (x, y) and x != y]
    if differences:
        raise SparringError(f"statistics measured differently cannot be compared: {'; '.join(differences)}")


class GaussianStats:
    """Mean and covariance of features, streamed in float64. Memory is d^2 and one batch, for any N.

    Batches are centred before they are squared, and merged by Chan's formula, so a mean far above the standard deviation
    loses no digits. `n` is None for statistics from a file that does not say how many samples they come from. Raises
    SparringError unless `dimensions` is a whole number of at least 1.
    """

    def __init__(self, dimensions: int) -> None:
        check_whole(dimensions, "the dimensions of statistics", 1)
        self.n: int | None = 0
        self.mean = torch.zeros(dimensions, dtype=torch.float64)
        self.scatter = torch.zeros(dimensions, dimensions, dtype=torch.float64)  # sum of (x - mean)(x - mean)^T
        self.provenance: dict[str, object] = {}
        self.origin: dict[str, object] = {}  # the file they came from, for records

    @property
    def dimensions(self) -> int:
        return len(self.mean)

    @property
    def covariance(self) -> Tensor:
        """[d, d] float64, divided by n - 1. Raises SparringError if n < 2."""
        if self.n is None:
            return self.scatter
        if self.n < 2:
            raise SparringError(f"a covariance needs at least 2 samples, got {self.n}")
        return self.scatter / (self.n - 1)

    def update(self, features: Tensor) -> None:
        """Add a batch of features [B, d] of any float type, on any device. They are summed on the CPU."""
        features = checked(features).cpu()
        check_same_dimensions(self.dimensions, features.shape[1])
        if len(features):
            mean = features.mean(0)
            self._add(len(features), mean, gram(features - mean))

    def merge(self, other: "GaussianStats") -> None:
        """Add the samples of other statistics to these."""
        check_same_dimensions(self.dimensions, other.dimensions)
        if other.n is None:
            raise SparringError("statistics of an unknown number of samples cannot be merged")
        if other.n:
            self._add(other.n, other.mean, other.scatter)

    def _add(self, n: int, mean: Tensor, scatter: Tensor) -> None:
        """Chan, Golub and LeVeque 1983: the scatter of a union is both scatters plus the one between the means."""
        if self.n is None:
            raise SparringError("nothing can be added to statistics of an unknown number of samples")
        total = self.n + n
        between = mean - self.mean
        self.mean = self.mean + between * (n / total)
        self.scatter.add_(scatter).addr_(between, between, alpha=self.n * n / total)
        self.n = total

    def to_sums(self, shift: Tensor) -> Tensor:
        """n, sum of (x - shift) and sum of (x - shift)(x - shift)^T in one flat float64 tensor [1 + d + d^2].

        One all-reduce adds them up over ranks. No digits are lost if all ranks use the same `shift` [d] near the mean.
        """
        assert self.n is not None
        away = self.mean - shift
        second = self.scatter + self.n * torch.outer(away, away)
        return torch.cat([torch.tensor([self.n], dtype=torch.float64), self.n * away, second.flatten()])

    @classmethod
    def from_sums(cls, sums: Tensor, shift: Tensor) -> "GaussianStats":
        """The inverse of `to_sums`, for sums that were added up, with the same shift."""
        d = len(shift)
        stats = cls(d)
        stats.n = round(sums[0].item())
        if stats.n:
            away = sums[1 : 1 + d] / stats.n
            stats.mean = shift + away
            stats.scatter = sums[1 + d :].view(d, d) - stats.n * torch.outer(away, away)
        return stats

    def all_reduce(self) -> None:
        """Add up the statistics of all ranks of the default process group, on every rank.

        Sums are taken about the mean of rank 0's samples, which is broadcast first, so that no digits cancel.
        """
        shift = self.mean.clone()
        dist.broadcast(shift, src=0)
        sums = self.to_sums(shift)
        dist.all_reduce(sums)
        total = GaussianStats.from_sums(sums, shift)
        self.n, self.mean, self.scatter = total.n, total.mean, total.scatter

    def save(self, path: Path | str, **provenance: object) -> None:
        """Write an .npz with `mu` and `sigma` (as pytorch-fid reads them), `n`, and the provenance as JSON.

        Raises SparringError if it cannot be written.
        """
        content = io.BytesIO()
        np.savez(
            content,
            mu=self.mean.numpy(),
            sigma=self.covariance.numpy(),
            n=np.int64(-1 if self.n is None else self.n),
            provenance=np.str_(json.dumps({**self.provenance, **provenance})),
        )
        try:
            write_atomically(path, content.getvalue())
        except OSError as error:
            raise SparringError(
                f"cannot write statistics to '{path}': {error.strerror or error}; give another path"
            ) from error

    @classmethod
    def load(cls, path: Path | str) -> "GaussianStats":
        """Read a file of `save`, or any .npz with `mu` and `sigma`. Nothing is unpickled.

        Raises SparringError if the file is not such an .npz, or if `sigma` is not a covariance: not finite, not symmetric up
        to rounding, or with a negative variance.
        """
        path = Path(path)
        if not path.is_file():
            raise SparringError(f"there is no file of statistics at {path}: check the path")
        before = f"{path} is not an .npz with arrays 'mu' and 'sigma': "
        with open_npz(path, before) as file:
            for key in ("mu", "sigma"):
                if key not in file or file.header(key)[1].kind not in "fiu":
                    raise SparringError(f"{before}{key} is {'not an array of numbers' if key in file else 'missing'}")
            mean, covariance = (torch.from_numpy(np.asarray(file[key], np.float64)) for key in ("mu", "sigma"))
            n = int(file["n"]) if "n" in file else -1
            provenance = parse_json(str(file["provenance"]), f"provenance of {path}") if "provenance" in file else {}
        if not isinstance(provenance, dict):
            raise SparringError(f"{path} is damaged: its provenance is not a mapping")
        _check_moments(path, mean, covariance)
        stats = cls(len(mean))
        stats.n, stats.mean, stats.provenance = (None if n < 0 else n), mean, provenance
        stats.scatter = covariance if stats.n is None else covariance * max(stats.n - 1, 0)
        return stats

    def fitted(self) -> "Fitted":
        rank = self.dimensions if self.n is None else min(self.dimensions, self.n - 1)
        covariance = self.covariance
        return Fitted(self.mean, covariance.trace(), rank, covariance=covariance)


def _check_moments(path: Path | str, mean: Tensor, covariance: Tensor) -> None:
    """Raise SparringError unless these are a mean and a covariance."""
    if mean.ndim != 1 or not len(mean) or covariance.shape != (len(mean), len(mean)):
        raise SparringError(
            f"{path}: 'mu' must be [d] and 'sigma' [d, d], d >= 1, got {list(mean.shape)} and {list(covariance.shape)}"
        )
    variances = covariance.diagonal()
    allowed = ROUNDING * variances.abs().max()
    if not (mean.isfinite().all() and covariance.isfinite().all()):
        wrong = "'mu' or 'sigma' contains NaN or infinity"
    elif (covariance - covariance.T).abs().max() > allowed:
        wrong = "'sigma' is not symmetric"
    elif variances.min() < -allowed:
        wrong = "'sigma' has a negative variance"
    else:
        return
    raise SparringError(f"{path} does not hold statistics of features: {wrong}; compute them again from the images")


class Fitted(NamedTuple):
    """A Gaussian, given by its covariance, or by fewer than d rows that are a factor of it."""

    mean: Tensor  # [d]
    trace: Tensor  # of the covariance
    rank: int  # an upper bound
    covariance: Tensor | None = None  # [d, d]
    rows: Tensor | None = None  # [n, d], covariance = rows^T rows

    def times(self, vector: Tensor) -> Tensor:
        """Covariance @ vector."""
        if self.rows is not None:
            return self.rows.T @ (self.rows @ vector)
        return self.covariance @ vector  # type: ignore[operator]

    def between(self, factor: Tensor, triangular: bool) -> Tensor:
        """The lower triangle of factor @ covariance @ factor^T."""
        if self.rows is not None:
            return gram(self.rows @ factor.T)
        assert self.covariance is not None
        return congruence(factor.T, self.covariance) if triangular else factor @ (self.covariance @ factor.T)

    def largest(self) -> Tensor:
        """A lower bound of the largest eigenvalue, close to it, by a few power iterations."""
        diagonal = self.rows.square().sum(0) if self.rows is not None else self.covariance.diagonal()  # type: ignore[union-attr]
        vector = torch.zeros_like(self.mean)
        vector[diagonal.argmax()] = 1
        for _ in range(4):
            image = self.times(vector)
            vector = image / image.norm().clamp(min=torch.finfo(image.dtype).tiny)
        return image.norm()

    def factor(self) -> tuple[Tensor, bool]:
        """F [r, d] with F^T F = covariance up to rounding, and whether F is upper triangular."""
        if self.rows is not None:
            return self.rows, False
        assert self.covariance is not None
        lower, failed = torch.linalg.cholesky_ex(self.covariance)
        pivots = lower.diagonal().square()
        negligible = len(self.mean) * EPS
        if not failed and pivots.min() > negligible * pivots.max():
            return lower.T, True
        values, vectors = torch.linalg.eigh(self.covariance)
        kept = values > negligible * values[-1].clamp(min=0)
        return values[kept].sqrt()[:, None] * vectors[:, kept].T, False


def fit(features: Tensor) -> Fitted:
    n, d = features.shape
    mean = features.mean(0)
    rows = features - mean
    rank = min(n - 1, d)
    if n <= d:
        rows /= (n - 1) ** 0.5
        return Fitted(mean, rows.square().sum(), rank, rows=rows)
    covariance = gram(rows).div_(n - 1)
    return Fitted(mean, covariance.trace(), rank, covariance=covariance)


def _blocks(d: int, least: int = 512) -> list[slice]:
    """At most four equal parts of 0 to d. Only the last may be shorter than `least`, since short blocks multiply slowly."""
    step = max(least, -(-d // 4))
    return [slice(start, min(start + step, d)) for start in range(0, d, step)]


def gram(rows: Tensor) -> Tensor:
    """rows^T rows [d, d] of rows [n, d]. Blocks on and above the diagonal are computed, and mirrored."""
    found = rows.new_empty(rows.shape[1], rows.shape[1])
    for part in _blocks(len(found)):
        product = rows[:, part].T @ rows[:, part.start :]
        found[part, part.start :] = product
        found[part.start :, part] = product.T
    return found


def congruence(lower: Tensor, symmetric: Tensor) -> Tensor:
    """The lower triangle of lower^T symmetric lower, by blocks, at a quarter of the cost. The rest is undefined."""
    found = torch.zeros_like(symmetric)
    for right in _blocks(len(lower)):
        tail = symmetric[right.start :, right.start :] @ lower[right.start :, right]
        for left in _blocks(len(lower)):
            if left.start >= right.start:
                found[left, right] = lower[left.start :, left].T @ tail[left.start - right.start :]
    return found
