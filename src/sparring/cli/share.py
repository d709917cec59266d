"""`sparring share`. Heavy imports stay inside the function, as in every command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sparring.cli.options import AllowCode, GeneratorArgument
from sparring.cli.output import note, print_lines


def share(
    run: GeneratorArgument,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new or empty folder.")],
    allow_code: AllowCode = False,
) -> None:
    """Make a folder to hand on: `sparring share runs/mine goldfinches`.

    It holds weights, recipe, numbers, a picture and a model card, whose fields for the licence and the data you fill in.
    """
    from sparring.studio.share import CARD
    from sparring.studio.share import share as make

    made = make(run, folder, note=note, allow_code=allow_code)
    print_lines(f"{made}", f"fill in the licence and the data: {made / CARD}")
