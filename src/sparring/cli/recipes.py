"""`sparring recipes` and `sparring show`. Heavy imports stay inside the functions, as in every command."""

from __future__ import annotations

from typing import Annotated

import typer

from sparring.cli.options import AllowCode, AnyRecipe, AsJson, Overrides
from sparring.cli.output import note, print_json


def recipes(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="WORD", help="A group such as as-gan, or text in a name or description."),
    ] = None,
    data: Annotated[str | None, typer.Option(help="Only recipes on this data set, such as cifar10.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="List every recipe, and results the papers quote.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the shipped recipes: an overview, or those that match."""
    from sparring.cli import recipe_tables as tables
    from sparring.recipe.files import quoted_rows
    from sparring.recipe.listing import recipes as find

    found = find(words or [], data=data)
    if as_json:
        print_json(found)
    elif words or data is not None:
        quoted = [row for row in quoted_rows() if row["paper"] in (words or [])] if data is None else []
        tables.print_recipes(found, quoted)
    elif everything:
        tables.print_recipes(found, quoted_rows())
    else:
        tables.print_overview(found)


def show(
    recipe: AnyRecipe,
    overrides: Overrides = None,
    diff: Annotated[str | None, typer.Option(help="Print only what differs from this other recipe.")] = None,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> None:
    """Show what a run would do, without training: the full recipe, parameters, terms, cost per step."""
    from sparring.cli import tables

    if diff is not None:
        from sparring.describe import compare

        changed = compare(recipe, diff, overrides or [], allow_code=allow_code)
        print_json(changed) if as_json else tables.print_differences(recipe, diff, changed)
        return
    from sparring.cli.classify_tables import print_classifier
    from sparring.describe import show as describe

    description = describe(recipe, overrides or [], allow_code=allow_code, note=note)
    if as_json:
        print_json(description)
    else:
        (tables.print_description if "per_step" in description else print_classifier)(description)
