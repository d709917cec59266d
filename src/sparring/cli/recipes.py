"""The verbs `sparring recipes` and `sparring show`. Heavy imports stay inside, as in all verbs."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from sparring.cli.options import AsJson, Overrides, RecipeArgument
from sparring.cli.output import note, print_json


def recipes(as_json: AsJson = False) -> None:
    """List the recipes that ship with the package."""
    from sparring.api import recipes as list_recipes
    from sparring.cli import tables
    from sparring.recipe_files import quoted_rows

    found = list_recipes()
    if as_json:
        print_json(found)
    else:
        tables.print_recipes(found, quoted_rows())


def show(
    recipe: RecipeArgument,
    overrides: Overrides = None,
    diff: Annotated[Optional[str], typer.Option(help="Another recipe: print only what differs.")] = None,  # noqa: UP045
    as_json: AsJson = False,
) -> None:
    """A dry run: the resolved recipe, parameters, terms, and passes through D and G per step."""
    from sparring.cli import tables

    if diff is not None:
        from sparring.api import compare

        changed = compare(recipe, diff, overrides or [])
        print_json(changed) if as_json else tables.print_differences(recipe, diff, changed)
        return
    from sparring.api import show as describe
    from sparring.cli.classify_tables import print_classifier

    description = describe(recipe, overrides or [], note=note)
    if as_json:
        print_json(description)
    else:
        (tables.print_description if "per_step" in description else print_classifier)(description)
