"""`sparring train`. Heavy imports stay inside the function, as in every command."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from sparring.cli.options import (
    AllowCode,
    AsJson,
    Device,
    OldTensorBoard,
    Overrides,
    RecipeArgument,
    Track,
    path_option,
    trackers_of,
)
from sparring.cli.output import is_first_rank, note, print_json, print_lines
from sparring.messages import counted
from sparring.version import command_line


def train(
    recipe: RecipeArgument,
    overrides: Overrides = None,
    out: Annotated[Path | None, path_option("Run folder. Default: runs/NAME.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in that folder.")] = False,
    resume_from: Annotated[int | None, typer.Option(help="Continue from the checkpoint at this step.")] = None,
    start_from: Annotated[
        Path | None,
        typer.Option("--from", help="Start from another run's networks, where they fit."),
    ] = None,
    skip_unreadable: Annotated[
        bool, typer.Option("--skip-unreadable", help="Skip images that cannot be read.")
    ] = False,
    device: Device = None,
    track: Track = None,
    tensorboard: OldTensorBoard = False,
    allow_code: AllowCode = False,
    change_world_size: Annotated[
        bool,
        typer.Option(
            "--change-world-size", help="Resume on another number of processes, even if that changes training."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Train a GAN, with samples, metrics and a report: `sparring train quickstart steps=500`."""
    from sparring.cli.tables import print_metrics
    from sparring.networks import GENERATORS
    from sparring.plugins import ships
    from sparring.run.progress import RichProgress
    from sparring.training.run import train as train_run

    run = train_run(
        recipe,
        [*(overrides or []), *(["data.skip_unreadable=true"] if skip_unreadable else [])],
        out=out,
        start_from=start_from,
        resume=resume,
        resume_from=resume_from,
        device=device,
        trackers=trackers_of(track, tensorboard),
        change_world_size=change_world_size,
        progress=RichProgress,
        note=note,
        command=command_line("sparring"),
        allow_code=allow_code,
    )
    if not is_first_rank():
        return
    records = run.metrics
    last = [record for record in records if record["step"] == records[-1]["step"]]
    if as_json:
        return print_json({"run": str(run.folder), "steps": run.recipe.steps, "metrics": last})
    print_metrics(last)
    consent = "" if ships(run.recipe.generator.network.kind, GENERATORS, "generator") else " --allow-code"
    print_lines(
        f"run        {run.folder}  ({counted(run.recipe.steps, 'step')})",
        f"pictures   {run.folder / 'samples'}",
        f"report     {run.folder / 'report.html'}",
        f"sample it  sparring sample {shlex.quote(str(run.folder))} --n 64 --out samples.png{consent}",
    )
