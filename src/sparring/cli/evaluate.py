"""The verb `sparring evaluate`. Heavy imports stay inside, as in all verbs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from sparring.cli.options import AllowCode, AsJson, Device, path_option
from sparring.cli.output import note, print_json, print_lines


def evaluate(
    images: Annotated[
        str, typer.Argument(help="What to measure: a run, generator file, folder, zip, npz or named data set.")
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE", help="Changes to a run's evaluation, such as n=10000 split=test; without --real."
        ),
    ] = None,
    real: Annotated[str | None, typer.Option(help="What to compare with: the same kinds, or statistics.npz.")] = None,
    metrics: Annotated[
        str | None,
        typer.Option(
            help="Separated by commas: fd, fd-infinity, kd, kd-subsets, is, am, prdc, intra, classes; without --real "
            "also accuracies."
        ),
    ] = None,
    extractor: Annotated[
        str | None,
        typer.Option(
            help="Whose features are compared: inception, efficientnet-lite0, fashion, a classifier's run, or a "
            "TorchScript file."
        ),
    ] = None,
    weights: Annotated[Path | None, typer.Option(help="A file with the extractor's weights.")] = None,
    sha256: Annotated[str | None, typer.Option(help="Refuse weights with another hash.")] = None,
    n: Annotated[int | None, typer.Option("--n", help="How many images to measure.")] = None,
    n_real: Annotated[int | None, typer.Option(help="How many real images. Default: all. With --real.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of latents and random subsets.")] = None,
    split: Annotated[str | None, typer.Option(help="Split of the real images, such as test.")] = None,
    images_split: Annotated[str | None, typer.Option(help="Split of the measured images, if they are data.")] = None,
    labels: Annotated[
        str | None,
        typer.Option(help="Classes that a generator is asked for: data (the real images' shares) or uniform."),
    ] = None,
    is_splits: Annotated[int | None, typer.Option(help="Number of groups of the Inception Score.")] = None,
    size: Annotated[int | None, typer.Option(help="Crop and resize data to this many pixels. With --real.")] = None,
    channels: Annotated[
        int | None,
        typer.Option(help="Load data in grey (1) or in colour (3). With --real."),
    ] = None,
    skip_unreadable: Annotated[
        bool, typer.Option("--skip-unreadable", help="Leave out images of data that cannot be read. With --real.")
    ] = False,
    versus: Annotated[
        str | None, typer.Option(help="Compare with this run class by class. With --real and --out.")
    ] = None,
    out: Annotated[Path | None, path_option("Folder for what --versus finds: table, scatter, samples.")] = None,
    device: Device = None,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> None:
    """Measure how good a generator is: a run by its recipe's protocol; with --real any images against any others."""
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
    from sparring.evaluation.compare import compare_runs
    from sparring.run.progress import measuring

    with measuring() as progress:
        compared = compare_runs(images, versus, real, out, progress=progress, **options)
    if _is_first():
        print_json(compared.to_dict()) if as_json else print_lines(compared.table().rstrip(), f"pictures  {out}")


def _measure(images: str, options: dict[str, Any], as_json: bool) -> None:
    from sparring.cli import tables
    from sparring.evaluation.evaluate import evaluate as measure
    from sparring.run.progress import measuring

    with measuring() as progress:
        records = measure(images, progress=progress, **options)
    if _is_first():
        print_json(records) if as_json else tables.print_metrics(records)


def _is_first() -> bool:
    """Whether this process is the one that prints, where torchrun started several."""
    return os.environ.get("RANK", "0") == "0"
