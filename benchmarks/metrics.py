"""Timings of the Frechet distance beside the formulas of torch-fidelity and pytorch-fid, in one process and as ratios.

    python benchmarks/metrics.py [--d 2048] [--classes 1000] [--per-class 500] [--out benchmarks/metrics.json]

One thread; processor time, so that a busy machine changes little. The references are the published formulas written
here: the eigenvalues of the product S_a S_b (torch-fidelity), and scipy's square root of it (pytorch-fid). Memory of
streaming is the process's peak above where it was.
"""

import argparse
import json
import platform
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sparring.metrics import GaussianStats, frechet_distance, intra_class_distances


def features(n: int, d: int, seed: int) -> Tensor:
    """Rows [n, d] like a network's: non-negative, with a decaying spectrum."""
    generator = torch.Generator().manual_seed(seed)
    spectrum = torch.arange(1, d + 1) ** -0.75
    return (torch.randn(n, d, generator=generator) * spectrum + 0.2 * spectrum).relu()


def by_eigenvalues(a: Tensor, b: Tensor) -> float:
    (mu_a, s_a), (mu_b, s_b) = _moments(a), _moments(b)
    root = np.sqrt(np.linalg.eigvals(s_a @ s_b).astype(complex)).real.sum()
    return float(((mu_a - mu_b) ** 2).sum() + s_a.trace() + s_b.trace() - 2 * root)


def by_square_root(a: Tensor, b: Tensor) -> float:
    from scipy.linalg import sqrtm

    (mu_a, s_a), (mu_b, s_b) = _moments(a), _moments(b)
    return float(((mu_a - mu_b) ** 2).sum() + s_a.trace() + s_b.trace() - 2 * np.real(sqrtm(s_a @ s_b)).trace())


def _moments(x: Tensor) -> tuple[np.ndarray, np.ndarray]:
    rows = x.double().numpy()
    return rows.mean(0), np.cov(rows, rowvar=False)


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    found = work()
    return time.process_time() - start, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--d", type=int, default=2048)
    parser.add_argument("--n", type=int, default=4200)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--per-class", type=int, default=500)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/metrics.json"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, Any] = {
        "hardware": f"{platform.machine()}, 1 thread, processor time",
        "date": time.strftime("%Y-%m-%d"),
        "torch": torch.__version__,
        "d": arguments.d,
        "n": arguments.n,
    }
    found["memory"] = memory(arguments.d)
    found["frechet"] = frechet(arguments.n, arguments.d)
    found["intra_class"] = within_classes(arguments.classes, arguments.per_class, arguments.d)
    arguments.out.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))


def frechet(n: int, d: int) -> dict[str, Any]:
    a, b = features(n, d, 0), features(n, d, 1)
    ours, value = seconds(lambda: frechet_distance(a, b))
    rows: dict[str, Any] = {"ours": {"seconds": round(ours, 3), "value": value}}
    for name, formula in (("torch-fidelity", by_eigenvalues), ("pytorch-fid", by_square_root)):
        try:
            taken, theirs = seconds(lambda formula=formula: formula(a, b))  # type: ignore[misc]
        except ImportError:
            continue
        rows[name] = {"seconds": round(taken, 3), "value": theirs, "ratio": round(taken / ours, 1)}
    return rows


def within_classes(classes: int, per_class: int, d: int) -> dict[str, Any]:
    """Class by class, as a caller with features on disk would, so that memory is that of one class."""
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
    """Peak above the start, in MiB, of streaming few and many batches: the same, as it is d^2 and a batch."""
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
