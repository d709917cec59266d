"""`sparring toy`. Heavy imports stay inside the functions, as in every command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from sparring.cli.options import AsJson, path_option
from sparring.cli.output import note, print_json, print_lines

STUDY = "study"  # a world once, which compared methods over seeds


def toy(
    world: Annotated[
        str,
        typer.Argument(
            help="nat-1d, gaussians, nat-2d, ring-8, grid-25, moons, spiral, checkerboard, image FILE, points FILE."
        ),
    ],
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE, METHOD or KEY=VALUE",
            help="A method such as sdp, and overrides such as objective.sdp.k=5 world.std=0.1.",
        ),
    ] = None,
    versus: Annotated[
        str | None,
        typer.Option(help='A second run to compare with, from the same seed: a METHOD or "[METHOD] key=value ...".'),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Number of generator updates. Default: 1000.")] = None,
    seed: Annotated[
        int | None, typer.Option(help="The same seed gives the same result, bit for bit. Default: 0.")
    ] = None,
    level: Annotated[
        float | None,
        typer.Option(help="Also report when the distance to the data first fell to this value."),
    ] = None,
    out: Annotated[
        Path | None,
        path_option("Folder for the pictures. Default: runs/toy/WORLD."),
    ] = None,
    film: Annotated[str | None, typer.Option(help="Film format: auto, mp4, gif, apng or none.")] = None,
    seeds: Annotated[int | None, typer.Option(hidden=True)] = None,
    as_json: AsJson = False,
) -> None:
    """Train on points on a line or in a plane, and film it: `sparring toy nat-1d --versus non_saturating`."""
    from sparring.errors import SparringError

    if world == STUDY or seeds is not None:
        raise SparringError(
            "methods over seeds are a study now: sparring study run toy/ring-8 --seeds 20, or toy/nat-1d, toy/grid-25"
        )
    _run(
        world,
        list(words or []),
        as_json,
        versus=versus,
        steps=steps,
        seed=seed,
        level=level,
        out=out,
        film=film or "auto",
    )


def _run(world: str, words: list[str], as_json: bool, *, steps: int | None, out: Path | None, **options: Any) -> None:
    from sparring.toy.play import run
    from sparring.toy.tables import result_lines
    from sparring.toy.worlds import FILE_WORLDS

    file = words.pop(0) if world in FILE_WORLDS and words and "=" not in words[0] else None
    folder = out or Path("runs/toy") / world
    result = run(world, words, file=file, steps=steps, out=folder, note=note, **options)
    print_json(result.to_dict()) if as_json else print_lines(*result_lines(result))
