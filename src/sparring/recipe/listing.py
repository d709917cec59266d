"""Lists the shipped recipes and finds them by words or data set. Only reads YAML, so it is quick."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sparring.errors import SparringError, nearest
from sparring.recipe.files import COMMANDS, kind_of, read_recipe, shipped_recipes


def recipes(words: str | Iterable[str] = (), *, data: str | None = None) -> list[dict[str, Any]]:
    """List the shipped recipes: what each is, its data, its row in a paper, and whether it has been run in full.

    words: keep the recipes that match all of these: a group such as "as-gan", or text found in a name or description.
    data: keep the recipes on this data set, such as "cifar10".

    Each entry has `name`, `command` ("train" or "classify"), `about`, `data` (the source), `paper` and `run_in_full`.
    Raises SparringError if nothing matches.
    """
    words = [words] if isinstance(words, str) else list(words)
    listed = _all()
    found = [entry for entry in listed if all(_matches(entry, word, listed) for word in words)]
    if words and not found:
        choices = {group_of(entry) for entry in listed} - {""} | {entry["name"] for entry in listed}
        raise SparringError(
            f"no recipe matches '{' '.join(words)}': {nearest(words[0], choices, otherwise=_groups(listed))}"
        )
    return found if data is None else _on(data, found, words)


def group_of(entry: Mapping[str, Any]) -> str:
    """The first part of a recipe's name, "as-gan" of "as-gan/dcgan-cifar10"; "" if it has no group."""
    return str(entry["name"]).rpartition("/")[0]


def data_name(entry: Mapping[str, Any]) -> str:
    """A recipe's data set as people say it: "cifar10" of "torchvision:CIFAR10"."""
    return str(entry["data"]).rpartition(":")[2].lower()


def _all() -> list[dict[str, Any]]:
    entries = []
    for name in shipped_recipes():
        recipe = read_recipe(name)
        images = recipe["data"]
        entries.append(
            {
                "name": name,
                "command": COMMANDS[kind_of(recipe) or "GAN"],
                "about": recipe.get("about", ""),
                "data": images["source"] if isinstance(images, Mapping) else images,
                "paper": recipe.get("paper"),
                "run_in_full": recipe.get("run_in_full", False),
            }
        )
    return sorted(entries, key=lambda entry: entry["command"] == "classify")  # GANs first


def _matches(entry: Mapping[str, Any], word: str, listed: list[dict[str, Any]]) -> bool:
    if word in {group_of(each) for each in listed} - {""}:
        return group_of(entry) == word
    return word.lower() in f"{entry['name']} {entry['about']}".lower()


def _on(data: str, found: list[dict[str, Any]], words: list[str]) -> list[dict[str, Any]]:
    """The recipes on the data set of this name or, if there are none, on those whose names begin with it."""
    wanted = _letters(data)
    exact = [entry for entry in found if wanted in (_letters(data_name(entry)), _letters(str(entry["data"])))]
    close = exact or [entry for entry in found if wanted and _letters(data_name(entry)).startswith(wanted)]
    if not close:
        choices = ", ".join(sorted({data_name(entry) for entry in found}))
        among = f" among those matching '{' '.join(words)}'" if words else ""
        raise SparringError(f"no recipe{among} is on '{data}': the data sets are {choices}")
    return close


def _letters(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def _groups(listed: list[dict[str, Any]]) -> str:
    groups = sorted({group_of(entry) for entry in listed} - {""})
    return f"the groups are {', '.join(groups)}, and `sparring recipes --all` lists every recipe."
