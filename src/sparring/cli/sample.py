"""`sparring sample`. Heavy imports stay inside the function, as in every command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from sparring.cli.options import AllowCode, AsJson, GeneratorArgument, Latents, Seeds, Truncation, path_option
from sparring.cli.output import note, print_json, print_lines

OUT = "What to write: a picture (.png), a film of all images (.gif, .mp4), a folder of PNG files, or arrays (.npz)."
LABEL = "Only this class, by name or number; several, with commas between, take turns. Default: all in turn."


def sample(
    run: GeneratorArgument,
    out: Annotated[Path, path_option(OUT)],
    n: Annotated[int | None, typer.Option("--n", help="Number of images of one seed. Default: 64.")] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same images. Default: 0.")] = None,
    seeds: Seeds = None,
    latents: Latents = None,
    truncation: Truncation = None,
    label: Annotated[str | None, typer.Option(help=LABEL)] = None,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> None:
    """Draw images from a trained generator: `sparring sample runs/mine --out samples.png`. Needs no data."""
    from sparring.run.sample import sample as draw

    which: dict[str, Any] = {"n": n, "seed": seed, "seeds": seeds, "latents": latents, "truncation": truncation}
    images = draw(run, labels=label, out=out, note=note, allow_code=allow_code, **which)
    if not as_json:
        print_lines(str(out))
        return
    said = {key: str(value) if key == "latents" else value for key, value in which.items() if value is not None}
    if seeds is None and latents is None:
        said.setdefault("seed", 0)
    print_json({"out": str(out), **said, "n": len(images), "shape": list(images.shape[1:])})
