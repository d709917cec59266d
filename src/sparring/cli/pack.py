"""`sparring pack`. Heavy imports stay inside the function, as in every command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from sparring.cli.options import AsJson, path_option
from sparring.cli.output import note, print_json, print_lines
from sparring.messages import on_command_line, spelling


def pack(
    source: Annotated[str, typer.Argument(help="A folder, zip, npz or named data set.")],
    out: Annotated[Path | None, path_option("The .npz file to write. Default: in the current folder.")] = None,
    split: Annotated[str | None, typer.Option(help="Split to use, such as test.")] = None,
    size: Annotated[int | None, typer.Option(help="Crop to a square and resize to this many pixels.")] = None,
    channels: Annotated[int | None, typer.Option(help="1 for greyscale, 3 for colour.")] = None,
    classes: Annotated[
        str | None, typer.Option(help="Keep only these classes: comma-separated names or numbers.")
    ] = None,
    skip_unreadable: Annotated[
        bool, typer.Option("--skip-unreadable", help="Skip images that cannot be read.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Decode images into a single file that loads instantly."""
    from sparring.data.sources import load
    from sparring.data.sources import pack as pack_images

    options: dict[str, Any] = {"split": split, "size": size, "channels": channels, "classes": classes}
    with spelling(on_command_line()):
        path = pack_images(source, out, **options, skip_unreadable=skip_unreadable, note=note)
    packed = load(path)
    if as_json:
        shape = [packed.channels, packed.height, packed.width]
        print_json({"out": str(path), "n": len(packed), "shape": shape, "classes": list(packed.class_names)})
    else:
        print_lines(str(path))
