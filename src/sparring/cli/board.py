"""`sparring board`. Heavy imports stay inside the function, as in every command."""

from __future__ import annotations

from typing import Annotated

import typer

from sparring.cli.options import AllowCode
from sparring.cli.output import note


def board(
    folders: Annotated[
        list[str], typer.Argument(metavar="RUN_OR_FOLDER...", help="Runs, studies, or folders that hold some.")
    ],
    port: Annotated[int, typer.Option(help="Port of this machine; 0 takes any free one.")] = 8200,
    host: Annotated[
        str, typer.Option(help="Address to listen at. Others than this machine's own need the token in the link.")
    ] = "127.0.0.1",
    open_browser: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    allow_code: AllowCode = False,
) -> None:
    """Watch runs and studies in the browser: samples, curves, numbers, warnings. Changes nothing."""
    from sparring.web.board.app import board_app
    from sparring.web.board.board import Board
    from sparring.web.serve import serve

    runs = Board(folders)
    serve(
        lambda address: board_app(runs, address, allow_code=allow_code),
        host=host,
        port=port,
        open_browser=open_browser,
        note=note,
        what="sparring board",
    )
