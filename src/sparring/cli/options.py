"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from sparring.cli.output import is_first_rank, note, print_lines


def _completed(incomplete: str, kind: str | None) -> list[str]:
    """The shipped recipes of this kind, folders and recipe files whose names start with `incomplete`."""
    from sparring.recipe.files import shipped_recipes

    beside = Path(incomplete) if incomplete.endswith("/") else Path(incomplete).parent
    paths = [f"{path}/" if path.is_dir() else str(path) for path in sorted(beside.glob("[!.]*"))]
    names = shipped_recipes(kind)  # type: ignore[arg-type]
    return [each for each in (*names, *filter(_may_be_a_recipe, paths)) if each.startswith(incomplete)]


def _may_be_a_recipe(path: str) -> bool:
    return path.endswith(("/", ".yaml", ".yml", ".json"))


def _recipe(kind: str | None = None) -> Any:
    def complete(incomplete: str) -> list[str]:
        return _completed(incomplete, kind)

    return typer.Argument(help="A shipped recipe's name, a YAML file, or a run folder.", autocompletion=complete)


RecipeArgument = Annotated[str, _recipe("GAN")]
ClassifierArgument = Annotated[str, _recipe("classifier")]
AnyRecipe = Annotated[str, _recipe()]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="KEY=VALUE", help="Overrides, such as steps=500 batch_size=32 objective.r1.weight=5."),
]
ClassifierOverrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="KEY=VALUE", help="Overrides, such as criterion=baseline or negatives.per_batch=32."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
AllowCode = Annotated[
    bool,
    typer.Option(
        "--allow-code",
        help="Let the opened files import code that does not ship with sparring. Only if you trust them: see docs/trust.md.",
    ),
]
Device = Annotated[str | None, typer.Option(help="Device: cpu, cuda, cuda:1, ... Default: a GPU if available.")]


Track = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TRACKER",
        help="Also send numbers and pictures to: tensorboard, wandb or package.module:Class. May be repeated.",
    ),
]
OldTensorBoard = Annotated[bool, typer.Option("--tensorboard", hidden=True)]  # of version 0.1


def trackers_of(track: list[str] | None, tensorboard: bool) -> list[str]:
    """The trackers that a command asks for."""
    if tensorboard and is_first_rank():
        note("--tensorboard is now --track tensorboard")
    return [*dict.fromkeys([*(track or []), *(["tensorboard"] if tensorboard else [])])]


def path_option(help: str) -> Any:
    """An option that takes a path. An empty string is an error: it is often an unset shell variable."""

    def read(text: str) -> Path:
        if not text:
            raise typer.BadParameter("it is empty: give a path, or . for the current folder")
        return Path(text)

    return typer.Option(parser=read, metavar="<path>", help=help)


Seeds = Annotated[
    str | None, typer.Option(metavar="SEEDS", help="The first image of each of these seeds, such as 1-9,42.")
]
Latents = Annotated[
    Path | None, path_option("Your own latents: an .npz with an array `latents`, as `sparring sample` writes it.")
]
Truncation = Annotated[
    float | None,
    typer.Option(help="Redraw latents beyond this threshold, such as 0.7: images more alike, often better."),
]
Labels = Annotated[
    str | None, typer.Option(help="One class for all images, or one for each with commas between, by name or number.")
]
GeneratorArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="A run, a shared folder, or a generator.safetensors.")
]


def group(help: str) -> typer.Typer:
    """A command of several verbs; alone it prints its help."""
    made = typer.Typer(help=help)

    @made.callback(invoke_without_command=True)
    def start(context: typer.Context) -> None:
        if context.invoked_subcommand is None:
            print_lines(context.get_help().rstrip())

    return made
