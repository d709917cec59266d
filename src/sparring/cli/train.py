"""The verb `sparring train`. Heavy imports stay inside, as in all verbs."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

from sparring.cli.options import AllowCode, AsJson, Device, Overrides, RecipeArgument, path_option
from sparring.cli.output import note, print_json, print_lines


def train(
    recipe: RecipeArgument,
    overrides: Overrides = None,
    out: Annotated[Optional[Path], path_option("The run's folder; runs/NAME by default.")] = None,  # noqa: UP045
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in that folder.")] = False,
    resume_from: Annotated[Optional[int], typer.Option(help="Continue from this step's checkpoint.")] = None,  # noqa: UP045
    start_from: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--from", help="Start with the networks of another run, where they fit."),
    ] = None,
    skip_unreadable: Annotated[bool, typer.Option("--skip-unreadable", help="Count bad images and go on.")] = False,
    device: Device = None,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Also log for TensorBoard.")] = False,
    allow_code: AllowCode = False,
    change_world_size: Annotated[
        bool,
        typer.Option("--change-world-size", help="Resume on another number of processes even if training changes."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Train a GAN: `sparring train quickstart steps=500`."""
    from sparring.cli import tables
    from sparring.networks import GENERATORS
    from sparring.plugins import ships
    from sparring.training.progress import RichProgress
    from sparring.training.run import train as train_run

    run = train_run(
        recipe,
        [*(overrides or []), *(["data.skip_unreadable=true"] if skip_unreadable else [])],
        out=out,
        start_from=start_from,
        resume=resume,
        resume_from=resume_from,
        device=device,
        tensorboard=tensorboard,
        change_world_size=change_world_size,
        progress=RichProgress,
        note=note,
        command="sparring " + " ".join(sys.argv[1:]),
        allow_code=allow_code,
    )
    if os.environ.get("RANK", "0") != "0":
        return
    rows = run.metrics
    measured = [record for record in rows if record["step"] == rows[-1]["step"]]
    if as_json:
        print_json({"run": str(run.folder), "steps": run.recipe.steps, "metrics": measured})
        return
    tables.print_metrics(measured)
    asked = "" if ships(run.recipe.generator.network.kind, GENERATORS, "generator") else " --allow-code"
    print_lines(
        f"run        {run.folder}  ({run.recipe.steps} steps)",
        f"pictures   {run.folder / 'samples'}",
        f"report     {run.folder / 'report.html'}",
        f"sample it  sparring sample {run.folder} --n 64 --out samples.png{asked}",
    )
