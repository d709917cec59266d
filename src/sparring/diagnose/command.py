"""The verb `sparring diagnose`; heavy imports stay inside, as those of all verbs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from sparring.cli_output import note, path_option, print_json, print_lines


def diagnose(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Folders of runs, or checkpoint files.")],
    out: Annotated[Optional[Path], path_option("The folder of the report; RUN/diagnosis by default.")] = None,  # noqa: UP045
    only: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            help="gradients, robustness, conditioning, diversity, memorisation, realistic, curves; again for more."
        ),
    ] = None,
    n: Annotated[int, typer.Option("--n", help="How many images each number is of.")] = 256,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ...")] = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")] = False,
) -> None:
    """A discriminator under the microscope: gradients, attacks, spectra, neighbours, curves."""
    from sparring.diagnose.report import diagnose as look
    from sparring.diagnose.report import print_tables

    found = look(*runs, out=out, only=only or [], n=n, device=device, note=note)
    if as_json:
        print_json({"report": str(found.report), "sections": found.numbers, "missing": found.missing})
        return
    print_tables(found)
    print_lines(
        f"report     {found.report}", f"numbers    {found.folder / 'numbers.json'}", f"pictures   {found.folder}"
    )
