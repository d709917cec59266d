"""`sparring sample`. Heavy imports stay inside the function, as in every command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sparring.cli.options import AllowCode, AsJson, path_option
from sparring.cli.output import print_json, print_lines


def sample(
    run: Annotated[str, typer.Argument(help="A run folder or generator.safetensors.")],
    out: Annotated[Path, path_option("What to write: one .png grid, an .npz file, or a folder of PNG files.")],
    n: Annotated[int, typer.Option("--n", help="Number of images to draw.")] = 64,
    seed: Annotated[int, typer.Option(help="The same seed gives the same images.")] = 0,
    label: Annotated[str | None, typer.Option(help="Only this class, by name or number. Default: all in turn.")] = None,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> None:
    """Draw images from a trained generator. Needs no data."""
    from sparring.run.sample import sample as draw

    images = draw(run, n, seed=seed, labels=label, out=out, allow_code=allow_code)
    if as_json:
        print_json({"out": str(out), "n": len(images), "shape": list(images.shape[1:]), "seed": seed})
    else:
        print_lines(str(out))
