"""`sparring diagnose`. Heavy imports stay inside the functions, as in every command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sparring.cli.options import AllowCode, AsJson, path_option
from sparring.cli.output import note, plain_console, print_json, print_lines

if TYPE_CHECKING:
    from sparring.microscope.diagnosis import Diagnosis


def diagnose(
    runs: Annotated[list[str], typer.Argument(metavar="RUN", help="Run folders or checkpoint files.")],
    out: Annotated[Path | None, path_option("Folder for the report. Default: RUN/diagnosis.")] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="Run only this section. May be repeated: gradients, robustness, conditioning, diversity, memorisation, "
            "realistic, curves."
        ),
    ] = None,
    n: Annotated[int, typer.Option("--n", help="Number of images for each measurement.")] = 256,
    device: Annotated[str, typer.Option(help="Device: cpu, cuda, cuda:1, ...")] = "cpu",
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> None:
    """Inspect a trained discriminator: gradients, attacks, spectra, neighbours, curves."""
    from sparring.microscope.diagnosis import diagnose as inspect

    found = inspect(*runs, out=out, only=only or [], n=n, device=device, note=note, allow_code=allow_code)
    if as_json:
        print_json({"report": str(found.report), "sections": found.numbers, "missing": found.missing})
        return
    print_tables(found)
    print_lines(
        f"report     {found.report}", f"numbers    {found.folder / 'numbers.json'}", f"pictures   {found.folder}"
    )


def print_tables(found: Diagnosis) -> None:
    """Print the tables of all sections, and what is missing."""
    from rich.table import Table

    console = plain_console()
    for part in found.sections:
        console.print(f"\n{part.title}", style="bold")
        for columns, rows in part.tables:
            drawn = Table(*columns, box=None, pad_edge=False)
            for row in rows:
                drawn.add_row(*map(str, row))
            console.print(drawn)
        for line in part.missing:
            console.print(f"not shown: {line}", style="dim")
