"""`sparring evaluate`. Heavy imports stay inside the functions, as in every command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from sparring.cli.options import AllowCode, AsJson, Device, path_option
from sparring.cli.output import is_first_rank, note, print_json, print_lines
from sparring.evaluation.extractors.registry import EXTRACTORS
from sparring.metrics import REGISTRY

METRICS = f"Comma-separated: {', '.join(REGISTRY)}, or package.module:Class. Without --real also accuracies."
EXTRACTOR = f"Feature extractor: {', '.join(EXTRACTORS)}, a classifier's run, or a TorchScript file."


def evaluate(
    images: Annotated[
        str, typer.Argument(help="What to measure: a run, generator file, folder, zip, npz or named data set.")
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE", help="Overrides of a run's evaluation, such as n=10000 split=test. Not with --real."
        ),
    ] = None,
    real: Annotated[
        str | None, typer.Option(help="What to compare with: any of these, or saved statistics (.npz).")
    ] = None,
    metrics: Annotated[str | None, typer.Option(help=METRICS)] = None,
    extractor: Annotated[str | None, typer.Option(help=EXTRACTOR)] = None,
    weights: Annotated[Path | None, typer.Option(help="File with the extractor's weights.")] = None,
    sha256: Annotated[str | None, typer.Option(help="Expected SHA-256 of the weights. Refuse any others.")] = None,
    n: Annotated[int | None, typer.Option("--n", help="Number of images to measure.")] = None,
    n_real: Annotated[int | None, typer.Option(help="Number of real images. Default: all. Only with --real.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed for latents and random subsets.")] = None,
    split: Annotated[str | None, typer.Option(help="Split of the real images, such as test.")] = None,
    images_split: Annotated[
        str | None, typer.Option(help="Split of the measured images, if they are a data set.")
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(help="Classes to generate: data (in the proportions of the real images) or uniform."),
    ] = None,
    is_splits: Annotated[int | None, typer.Option(help="Number of splits of the Inception Score.")] = None,
    size: Annotated[
        int | None, typer.Option(help="Crop and resize images to this many pixels. Only with --real.")
    ] = None,
    channels: Annotated[
        int | None,
        typer.Option(help="Load images in greyscale (1) or colour (3). Only with --real."),
    ] = None,
    skip_unreadable: Annotated[
        bool, typer.Option("--skip-unreadable", help="Skip images that cannot be read. Only with --real.")
    ] = False,
    versus: Annotated[
        str | None, typer.Option(help="Compare with this run class by class. Needs --real and --out.")
    ] = None,
    out: Annotated[
        Path | None, path_option("Folder for the results of --versus: table, scatter plot, samples.")
    ] = None,
    device: Device = None,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> None:
    """Measure a run again as its recipe says: `sparring evaluate runs/mine`; with --real, any images against any others."""
    options: dict[str, Any] = {"extractor": extractor, "weights": weights, "sha256": sha256, "n": n, "seed": seed}
    options |= {"metrics": metrics, "split": split, "labels": labels, "is_splits": is_splits}
    options |= {"device": device, "note": note, "allow_code": allow_code}
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
    if is_first_rank():
        print_json(compared.to_dict()) if as_json else print_lines(compared.table().rstrip(), f"pictures  {out}")


def _measure(images: str, options: dict[str, Any], as_json: bool) -> None:
    from sparring.cli import tables
    from sparring.evaluation import evaluate as evaluation

    records = evaluation.evaluate(images, progress=True, **options)
    if is_first_rank():
        print_json(records) if as_json else tables.print_metrics(records)
