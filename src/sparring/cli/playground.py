"""`sparring playground`. Heavy imports stay inside the functions, as in every command."""

from __future__ import annotations

from typing import Annotated

import typer

from sparring.cli.output import note


def playground(
    port: Annotated[int, typer.Option(help="Where to listen; 0: any free port.")] = 8100,
    host: Annotated[
        str,
        typer.Option(
            help="The address to listen at. Others can reach any but the default; their link carries a token."
        ),
    ] = "127.0.0.1",
    open_browser: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in a browser.")] = True,
) -> None:
    """Watch GANs train in the browser, on points on a line or in a plane, and change them while they do."""
    from sparring.web.playground.app import run

    run(host=host, port=port, open_browser=open_browser, note=note)
