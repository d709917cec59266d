"""Time the Frechet distance against the formulas of torch-fidelity and pytorch-fid, as ratios in one process.

    python benchmarks/metrics.py [--d 2048] [--n 2000 4200] [--threads 1] [--classes 1000] [--per-class 500] [--out FILE]

The references implement the published formulas: the eigenvalues of the product S_a S_b (torch-fidelity), and its matrix
square root from scipy (pytorch-fid). The memory of streaming is the increase in the process's peak memory.
"""

import argparse
import json
import platform
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from sparring.metrics import GaussianStats, frechet_distance, frechet_distance_of, intra_class_distances
from sparring.metrics.moments import congruence, fit
from sparring.version import commit


def features(n: int, d: int, seed: int) -> Tensor:
    """Features [n, d] like those of a network: non-negative, with a decaying spectrum."""
    generator = torch.Generator().manual_seed(seed)
    spectrum = torch.arange(1, d + 1) ** -0.75
    return (torch.randn(n, d, generator=generator) * spectrum + 0.2 * spectrum).relu()


Moments = tuple[np.ndarray, np.ndarray]


def by_eigenvalues(a: Moments, b: Moments) -> float:
    (mu_a, s_a), (mu_b, s_b) = a, b
    root = np.sqrt(np.linalg.eigvals(s_a @ s_b).astype(complex)).real.sum()
    return float(((mu_a - mu_b) ** 2).sum() + s_a.trace() + s_b.trace() - 2 * root)


def by_square_root(a: Moments, b: Moments) -> float:
    from scipy.linalg import sqrtm

    (mu_a, s_a), (mu_b, s_b) = a, b
    return float(((mu_a - mu_b) ** 2).sum() + s_a.trace() + s_b.trace() - 2 * np.real(sqrtm(s_a @ s_b)).trace())


def _moments(x: Tensor) -> Moments:
    rows = x.double().numpy()
    return rows.mean(0), np.cov(rows, rowvar=False)


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU time on one thread, which other programs hardly affect; wall-clock time on several."""
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    start = clock()
    found = work()
    return clock() - start, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--d", type=int, default=2048)
    parser.add_argument("--n", type=int, nargs="+", default=[2000, 4200], help="numbers of features per set")
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--per-class", type=int, default=500)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/metrics.json"))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    threads = "1 thread, CPU time" if arguments.threads == 1 else f"{arguments.threads} threads, wall-clock time"
    found: dict[str, Any] = {
        "hardware": f"{platform.machine()}, {threads}",
        "commit": commit(),
        "date": time.strftime("%Y-%m-%d"),
        "torch": torch.__version__,
        "d": arguments.d,
    }
    found["memory"] = memory(arguments.d)
    with threadpool_limits(arguments.threads):
        found["frechet"] = {f"n = {n}": frechet(n, arguments.d, arguments.pairs) for n in arguments.n}
        found["parts"] = {f"n = {n}": parts(n, arguments.d, arguments.pairs) for n in arguments.n if n > arguments.d}
    found["intra_class"] = within_classes(arguments.classes, arguments.per_class, arguments.d)
    arguments.out.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))


def frechet(n: int, d: int, pairs: int) -> dict[str, Any]:
    """Times from features (with covariances) and from streamed statistics (only the formula): interleaved, medians."""
    a, b = features(n, d, 0), features(n, d, 1)
    stats = [GaussianStats(d), GaussianStats(d)]
    for one, rows in zip(stats, (a, b), strict=True):
        one.update(rows)
    known = [(one.mean.numpy(), one.covariance.numpy()) for one in stats]
    work: dict[str, dict[str, Callable[[], float]]] = {
        "from features": {
            "ours": lambda: frechet_distance(a, b),
            "torch-fidelity": lambda: by_eigenvalues(_moments(a), _moments(b)),
            "pytorch-fid": lambda: by_square_root(_moments(a), _moments(b)),
        },
        "from statistics": {
            "ours": lambda: frechet_distance_of(*stats),
            "torch-fidelity": lambda: by_eigenvalues(*known),
            "pytorch-fid": lambda: by_square_root(*known),
        },
    }
    return {given: beside(ways, pairs) for given, ways in work.items()}


def beside(ways: dict[str, Callable[[], float]], pairs: int) -> dict[str, Any]:
    """Median seconds of each implementation, and the median ratio to ours in the same round."""
    found = [{name: seconds(way) for name, way in ways.items()} for _ in range(pairs)]
    return {
        name: {
            "seconds": round(statistics.median(row[name][0] for row in found), 3),
            "ratio": round(statistics.median(row[name][0] / row["ours"][0] for row in found), 2),
            "value": found[0][name][1],
        }
        for name in ways
    }


def parts(n: int, d: int, rounds: int) -> dict[str, float]:
    """Median seconds of the parts of our implementation, for n > d features."""
    a, b = (features(n, d, seed).double() for seed in (0, 1))
    one, other = fit(a).covariance, fit(b).covariance
    assert one is not None and other is not None
    lower = torch.linalg.cholesky(one)
    product = congruence(lower, other)
    work: dict[str, Callable[[], Any]] = {
        "two covariances": lambda: (fit(a), fit(b)),
        "Cholesky": lambda: torch.linalg.cholesky_ex(one),
        "symmetric product": lambda: congruence(lower, other),
        "eigenvalues": lambda: torch.linalg.eigvalsh(product),
    }
    return {name: round(statistics.median(seconds(way)[0] for _ in range(rounds + 1)), 3) for name, way in work.items()}


def within_classes(classes: int, per_class: int, d: int) -> dict[str, Any]:
    """Compute the distances class by class, as with features on disk, so that memory holds one class."""
    total, distance = 0.0, 0.0
    labels = torch.zeros(per_class, dtype=torch.int64)
    for k in range(classes):
        a, b = features(per_class, d, 2 * k), features(per_class, d, 2 * k + 1)
        taken, result = seconds(lambda a=a, b=b: intra_class_distances(a, labels, b, labels).mean)  # type: ignore[misc]
        total, distance = total + taken, distance + result
    return {
        "classes": classes,
        "per_class": per_class,
        "mean": distance / classes,
        "seconds": round(total, 1),
        "minutes_for_1000": round(total / classes * 1000 / 60, 2),
    }


def memory(d: int, batch: int = 500) -> dict[str, Any]:
    """Increase of the peak in MiB when streaming few and many batches. Both need d^2 numbers and a batch."""
    first = features(batch, d, 0)
    stats = GaussianStats(d)
    peaks = []
    start = _peak()
    for number in range(20):
        stats.update(first + number)
        if number in (3, 19):
            peaks.append(round(_peak() - start, 1))
    return {"d^2 MiB": d * d * 8 / 2**20, "peak MiB after 4 batches": peaks[0], "after 20": peaks[1]}


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
