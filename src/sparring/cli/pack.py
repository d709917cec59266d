"""The verb `sparring pack`. Heavy imports stay inside, as in all verbs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from sparring.cli.options import AsJson, path_option
from sparring.cli.output import note, print_json, print_lines


def pack(
    source: Annotated[str, typer.Argument(help="A folder, zip, npz or named data set.")],
    out: Annotated[Optional[Path], path_option("The packed .npz; in this folder by default.")] = None,  # noqa: UP045
    split: Annotated[Optional[str], typer.Option(help="Which split of a source that has some.")] = None,  # noqa: UP045
    size: Annotated[Optional[int], typer.Option(help="Crop to a square and resize to this many pixels.")] = None,  # noqa: UP045
    channels: Annotated[Optional[int], typer.Option(help="1 for grayscale, 3 for colour.")] = None,  # noqa: UP045
    classes: Annotated[Optional[str], typer.Option(help="Some classes: names or numbers, by commas.")] = None,  # noqa: UP045
    skip_unreadable: Annotated[bool, typer.Option("--skip-unreadable", help="Count bad images and go on.")] = False,
    as_json: AsJson = False,
) -> None:
    """Decode images once into one file that loads at once."""
    from sparring.data.sources import load
    from sparring.data.sources import pack as pack_images

    path = pack_images(
        source,
        out,
        split=split,
        size=size,
        channels=channels,
        classes=classes,
        skip_unreadable=skip_unreadable,
        note=note,
    )
    packed = load(path)
    if as_json:
        shape = [packed.channels, packed.height, packed.width]
        print_json({"out": str(path), "n": len(packed), "shape": shape, "classes": list(packed.class_names)})
    else:
        print_lines(str(path))
