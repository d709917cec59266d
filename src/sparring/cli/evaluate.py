"""The verb `sparring evaluate`. Heavy imports stay inside, as in all verbs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from sparring.cli.options import AllowCode, AsJson, Device, path_option
from sparring.cli.output import note, print_json, print_lines


def evaluate(
    images: Annotated[str, typer.Argument(help="A run, generator file, folder, zip, npz or named data set.")],
    overrides: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Argument(
            metavar="[KEY=VALUE]...", help="Changes to a run's evaluation, such as n=10000 split=test; without --real."
        ),
    ] = None,
    real: Annotated[Optional[str], typer.Option(help="What to compare with: as the first, or statistics.npz.")] = None,  # noqa: UP045
    metrics: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            help="By commas: fd, fd-infinity, kd, kd-subsets, is, am, prdc, intra, classes; accuracies without --real."
        ),
    ] = None,
    extractor: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="inception, efficientnet-lite0, fashion, a classifier's run, or a TorchScript file."),
    ] = None,
    weights: Annotated[Optional[Path], typer.Option(help="The extractor's weights, in a file.")] = None,  # noqa: UP045
    sha256: Annotated[Optional[str], typer.Option(help="The hash that the weights must have.")] = None,  # noqa: UP045
    n: Annotated[Optional[int], typer.Option("--n", help="How many images are measured.")] = None,  # noqa: UP045
    n_real: Annotated[Optional[int], typer.Option(help="How many real images; all by default. With --real.")] = None,  # noqa: UP045
    seed: Annotated[Optional[int], typer.Option(help="Of latents and draws.")] = None,  # noqa: UP045
    split: Annotated[Optional[str], typer.Option(help="Of the real images.")] = None,  # noqa: UP045
    images_split: Annotated[Optional[str], typer.Option(help="Of the measured images, where they are data.")] = None,  # noqa: UP045
    labels: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Classes that a generator is asked for: data (the real images' shares) or uniform."),
    ] = None,
    is_splits: Annotated[Optional[int], typer.Option(help="Groups of the Inception Score.")] = None,  # noqa: UP045
    size: Annotated[Optional[int], typer.Option(help="Load data with this side in pixels. With --real.")] = None,  # noqa: UP045
    channels: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="Load data as grayscale (1) or in colour (3). With --real."),
    ] = None,
    skip_unreadable: Annotated[
        bool, typer.Option("--skip-unreadable", help="Count bad images of data and go on. With --real.")
    ] = False,
    versus: Annotated[Optional[str], typer.Option(help="A second run, class by class; with --real and --out.")] = None,  # noqa: UP045
    out: Annotated[Optional[Path], path_option("The folder for --versus: a table, a scatter, samples.")] = None,  # noqa: UP045
    device: Device = None,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> None:
    """Measure a run by its recipe's protocol, or any images against any with --real."""
    options: dict[str, Any] = {
        "extractor": extractor,
        "weights": weights,
        "sha256": sha256,
        "n": n,
        "seed": seed,
        "metrics": metrics,
    }
    options |= {"split": split, "labels": labels, "is_splits": is_splits, "device": device, "note": note}
    options["allow_code"] = allow_code
    given = {"n_real": n_real, "images_split": images_split, "size": size, "channels": channels}
    given["skip_unreadable"] = skip_unreadable or None
    options |= {key: value for key, value in given.items() if value is not None}
    if versus is not None or out is not None:
        _compare(images, versus, real, out, options | {"overrides": overrides or None}, as_json)
    else:
        _measure(images, options | {"real": real, "overrides": overrides or []}, as_json)


def _compare(
    images: str, versus: str | None, real: str | None, out: Path | None, options: dict[str, Any], as_json: bool
) -> None:
    from sparring.metrics.compare import compare_runs
    from sparring.training.progress import measuring

    with measuring() as progress:
        compared = compare_runs(images, versus, real, out, progress=progress, **options)
    if _is_first():
        print_json(compared.to_dict()) if as_json else print_lines(compared.table().rstrip(), f"pictures  {out}")


def _measure(images: str, options: dict[str, Any], as_json: bool) -> None:
    from sparring.api import evaluate as measure
    from sparring.cli import tables
    from sparring.training.progress import measuring

    with measuring() as progress:
        records = measure(images, progress=progress, **options)
    if _is_first():
        print_json(records) if as_json else tables.print_metrics(records)


def _is_first() -> bool:
    """Whether this process is the one that prints, where torchrun started several."""
    return os.environ.get("RANK", "0") == "0"
