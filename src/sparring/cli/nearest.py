"""`sparring nearest`. Heavy imports stay inside the function, as in every command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sparring.cli.options import AllowCode, AsJson, Labels, Latents, Seeds, Truncation, path_option
from sparring.cli.output import note, print_json, print_lines


def nearest(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's folder. Its training images are needed.")],
    out: Annotated[Path, path_option("Picture (.png) of the samples and, below each, its nearest training images.")],
    seeds: Seeds = None,
    latents: Latents = None,
    labels: Labels = None,
    truncation: Truncation = None,
    extractor: Annotated[str | None, typer.Option(help="Feature extractor. Default: the recipe's, or none.")] = None,
    data: Annotated[str | None, typer.Option(help="The training images, if they have moved.")] = None,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> None:
    """Show the training images that samples resemble most."""
    from sparring.studio.nearest import nearest as find

    found = find(
        run,
        seeds=seeds,
        latents=latents,
        labels=labels,
        truncation=truncation,
        extractor=extractor,
        data=data,
        out=out,
        note=note,
        allow_code=allow_code,
    )
    if as_json:
        print_json({"out": str(out), **found})
        return
    for space in found["spaces"]:
        for name, index, distance in zip(found["samples"], space["index"], space["distance"], strict=True):
            print_lines(f"{name}: training image {index}, {distance:.3g} away in {space['space']}")
        if space["typical"] is not None:
            print_lines(f"held-out real images: {space['typical']:.3g} away in {space['space']} (median)")
    print_lines(str(out))
