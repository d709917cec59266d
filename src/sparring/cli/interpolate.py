"""`sparring interpolate`. Heavy imports stay inside the function, as in every command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sparring.cli.options import AllowCode, AsJson, GeneratorArgument, Labels, Latents, Seeds, Truncation, path_option
from sparring.cli.output import note, print_json, print_lines


def interpolate(
    run: GeneratorArgument,
    out: Annotated[Path, path_option("What to write: a film (.gif, .mp4), a folder of frames, or one picture (.png).")],
    seeds: Seeds = None,
    latents: Latents = None,
    labels: Labels = None,
    truncation: Truncation = None,
    frames: Annotated[int | None, typer.Option(help="Frames of the film. Default: 60 between two images.")] = None,
    loop: Annotated[bool, typer.Option("--loop", help="Return to the first image.")] = False,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> None:
    """Film the way between images of a trained generator: `sparring interpolate runs/mine --seeds 1,5,9 --out film.gif`."""
    from sparring.studio.interpolate import interpolate as film

    images = film(
        run,
        seeds=seeds,
        latents=latents,
        labels=labels,
        truncation=truncation,
        frames=frames,
        loop=loop,
        out=out,
        note=note,
        allow_code=allow_code,
    )
    said = {"out": str(out), "frames": len(images), "shape": list(images.shape[1:])}
    print_json(said) if as_json else print_lines(str(out))
