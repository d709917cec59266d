"""The tables of `sparring recipes`."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from sparring.cli.output import plain_console, print_lines
from sparring.recipe.listing import data_name, group_of

STARTERS = ("quickstart", "nat/demo")  # no download, and minutes on a CPU


def print_overview(found: list[dict[str, Any]]) -> None:
    """Print recipes to start with, the groups with their counts, and how to list more."""
    console = plain_console()
    console.print("Start with one of these. Each takes minutes on a CPU and downloads nothing.", style="bold")
    starters = Table("recipe", "run in full", "description", box=None, pad_edge=False)
    for recipe in sorted((r for r in found if r["name"] in STARTERS), key=lambda r: STARTERS.index(r["name"])):
        starters.add_row(recipe["name"], _run_in_full(recipe), recipe["about"])
    console.print(starters)
    console.print("\nGroups", style="bold")
    table = Table("group", "trains", "recipes", "run in full", "data", "paper", box=None, pad_edge=False)
    for group, recipes in _by_group(found).items():
        if group:
            ran = sum(recipe["run_in_full"] for recipe in recipes)
            what = "a GAN" if recipes[0]["command"] == "train" else "a classifier"
            data = ", ".join(dict.fromkeys(data_name(recipe) for recipe in recipes))
            table.add_row(group, what, str(len(recipes)), str(ran or "none"), data, _title(recipes))
    console.print(table)
    print_lines(
        "",
        "sparring recipes as-gan          list a group; any other word searches names and descriptions",
        "sparring recipes --data cifar10  list the recipes for a data set",
        "sparring recipes --all           list every recipe, and results that the papers quote from other work",
        "sparring show quickstart         see what a recipe would do, without training",
        "sparring train quickstart        train a GAN; `sparring classify nat/demo` trains a classifier",
    )


def print_recipes(found: list[dict[str, Any]], quoted: list[dict[str, Any]]) -> None:
    """Print recipes by group, then the results that the papers quote from other work."""
    console = plain_console()
    for recipes in _by_group(found).values():
        table = Table("recipe", "run in full", "paper's number", "description", box=None, pad_edge=False)
        table.columns[0].no_wrap = True
        if title := _title(recipes):
            console.print(f"\n{title}", style="bold")
        for recipe in recipes:
            number = _number((recipe["paper"] or {}).get("number"))
            table.add_row(recipe["name"], _run_in_full(recipe), number, recipe["about"])
        console.print(table)
    if not quoted:
        return
    rows = Table("row", "data", "paper's number", "where", box=None, pad_edge=False)
    for row in quoted:
        where = f"{row['paper']}, " + (f"table {row['table']}" if "table" in row else f"section {row['section']}")
        rows.add_row(row["row"], row["data"], _number(row["number"]), where)
    console.print("\nResults that the papers quote from other work (not run here)", style="bold")
    console.print(rows)


def _by_group(found: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for recipe in sorted(found, key=lambda r: "/" in r["name"]):
        groups.setdefault(group_of(recipe), []).append(recipe)
    return groups


def _title(recipes: list[dict[str, Any]]) -> str:
    return next((recipe["paper"]["title"] for recipe in recipes if (recipe["paper"] or {}).get("title")), "")


def _run_in_full(recipe: dict[str, Any]) -> str:
    return "yes" if recipe["run_in_full"] else "never"


def _number(number: Any) -> str:
    """A number of a paper's table: {FID: 24.5} as `FID 24.5`, {NCR 0.4: [0.01, 0.08]} as `NCR 0.4 0.01 / 0.08`."""
    if isinstance(number, dict):
        return ", ".join(f"{metric} {_number(value)}" for metric, value in number.items())
    if isinstance(number, list):
        return " / ".join(map(_number, number))
    if isinstance(number, float):
        return f"{number:g}"
    return "" if number is None else str(number)
