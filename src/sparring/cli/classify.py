"""`sparring classify`. Heavy imports stay inside the function, as in every command."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from sparring.cli.options import (
    AllowCode,
    AsJson,
    ClassifierArgument,
    ClassifierOverrides,
    Device,
    OldTensorBoard,
    Track,
    path_option,
    trackers_of,
)
from sparring.cli.output import note, print_json, print_lines
from sparring.version import command_line


def classify(
    recipe: ClassifierArgument,
    overrides: ClassifierOverrides = None,
    out: Annotated[Path | None, path_option("Run folder. Default: runs/NAME.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in that folder.")] = False,
    resume_from: Annotated[
        int | None, typer.Option(help="Continue the main classifier from its checkpoint at this step.")
    ] = None,
    beside: Annotated[
        list[str] | None,
        typer.Option(help="Compare with a classifier trained earlier: NAME=RUN. May be repeated."),
    ] = None,
    device: Device = None,
    track: Track = None,
    tensorboard: OldTensorBoard = False,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> None:
    """Train a classifier that can answer "unknown": `sparring classify nat/demo`."""
    from sparring.classify.networks import NETWORKS, TORCHVISION
    from sparring.classify.report import ncr_rows_of, positive_rows_of
    from sparring.classify.run import named_classifiers, train_classifier
    from sparring.cli.classify_tables import print_table
    from sparring.plugins import ships
    from sparring.run.progress import RichProgress

    run = train_classifier(
        recipe,
        overrides or [],
        out=out,
        resume=resume,
        resume_from=resume_from,
        beside=named_classifiers(beside or []),
        device=device,
        trackers=trackers_of(track, tensorboard),
        progress=RichProgress,
        note=note,
        command=command_line("sparring"),
        allow_code=allow_code,
    )
    if as_json:
        found = {"run": str(run.folder), "classifiers": run.results, "verdict": run.verdict, "warnings": run.warnings}
        print_json(found)
        return
    print_table(*positive_rows_of(run.results))
    columns, rows = ncr_rows_of(run.results)
    if rows:
        print_table(columns, rows)
    network = run.recipe.network.kind
    shipped = network.startswith(TORCHVISION) or ships(network, NETWORKS, "network")
    print_lines(
        f"verdict    {run.verdict}",
        f"run        {run.folder}",
        f"report     {run.folder / 'report.html'}",
        f"use it     sparring predict {shlex.quote(str(run.folder))} IMAGES...{'' if shipped else ' --allow-code'}",
    )
