"""`sparring suggest`. Heavy imports stay inside the function, as in every command."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from sparring.cli.options import AsJson, Device, path_option
from sparring.cli.output import note, print_json, print_lines


def suggest(
    source: Annotated[str, typer.Argument(help="A folder or zip of images, or a named data set.")],
    minutes: Annotated[float | None, typer.Option(help="How long the run may take. Default: 10.")] = None,
    hours: Annotated[float | None, typer.Option(help="The same in hours.")] = None,
    out: Annotated[Path, path_option("The recipe to write.")] = Path("mine.yaml"),
    split: Annotated[str | None, typer.Option(help="Split to use. Default: train.")] = None,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Write a recipe for your images that makes the most of a given time: `sparring suggest pictures --minutes 10`."""
    from sparring.messages import about_time, on_command_line, spelling
    from sparring.suggestion import suggest as suggest_recipe

    with spelling(on_command_line()):
        found = suggest_recipe(source, minutes=minutes, hours=hours, out=out, split=split, device=device, note=note)
    choice = found.choice
    if as_json:
        return print_json(
            {
                "out": str(out),
                "seen": found.seen.lines(),
                "recipe": choice.values,
                "why": choice.why,
                "seconds": choice.seconds,
                "cpu_seconds": choice.cpu_seconds,
            }
        )
    print_lines(
        *found.seen.lines(),
        "",
        *(f"{key}: {reason}" for key, reason in choice.why.items()),
        "",
        f"{out}: {choice.values['steps']:,} steps at {choice.values['data']['size']} pixels, "
        f"{about_time(choice.seconds)} and {choice.cpu_seconds:,.0f} CPU seconds on this machine",
        f"train it  sparring train {shlex.quote(str(out))}",
    )
