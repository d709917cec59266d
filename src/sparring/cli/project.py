"""`sparring project`. Heavy imports stay inside the function, as in every command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sparring.cli.options import AllowCode, AsJson, GeneratorArgument, path_option
from sparring.cli.output import print_json, print_lines


def project(
    run: GeneratorArgument,
    image: Annotated[str, typer.Argument(metavar="IMAGE", help="An image file.")],
    out: Annotated[Path, path_option("Folder for the pictures side by side, the latent and the numbers.")],
    label: Annotated[str | None, typer.Option(help="The class, by name or number. Default: searched.")] = None,
    starts: Annotated[int, typer.Option(help="Number of latents to start from.")] = 500,
    seed: Annotated[int, typer.Option(help="The seed of these latents.")] = 0,
    extractor: Annotated[
        str | None,
        typer.Option(help="Extractor, to choose starts by features as well. Default: fashion for garments."),
    ] = None,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> None:
    """Find the latent whose image is nearest to a real one."""
    from sparring.studio.project import ARRAYS, PICTURE
    from sparring.studio.project import project as find

    found = find(run, image, label=label, starts=starts, seed=seed, extractor=extractor, out=out, allow_code=allow_code)
    if as_json:
        print_json({"out": str(out), **found.numbers()})
        return
    of_class = "" if found.class_name is None else f", class '{found.class_name}'"
    print_lines(f"{found.pixel_error:.2f} of 255 grey levels apart on average{of_class}")
    print_lines(f"pictures  {out / PICTURE}", f"latent    {out / ARRAYS}  (for sparring sample --latents)")
