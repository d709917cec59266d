"""Finding shipped recipes by words or by data set."""

from __future__ import annotations

import pytest

from sparring.errors import SparringError
from sparring.recipe.files import shipped_recipes
from sparring.recipe.listing import recipes

GROUPS = ", ".join(sorted({name.partition("/")[0] for name in shipped_recipes() if "/" in name}))


def names(*words: str, data: str | None = None) -> set[str]:
    return {entry["name"] for entry in recipes(words, data=data)}


def test_every_recipe_says_how_it_is_trained_and_on_what() -> None:
    found = {entry["name"]: entry for entry in recipes()}
    assert found["quickstart"]["command"] == "train" and found["quickstart"]["data"] == "fashion-mnist-10k"
    assert found["nat/demo"]["command"] == "classify" and found["nat/nat-svhn"]["data"] == "torchvision:SVHN"


def test_a_groups_name_selects_that_group_and_other_words_are_searched() -> None:
    assert {name.split("/")[0] for name in names("nat")} == {"nat"}  # not nat-gan
    assert names("AutoGAN", "cifar100") == {"sdp/autogan-cifar100", "sdp/autogan-sdp-cifar100"}
    assert names("embedded garments") == {"quickstart"}  # in its description


def test_a_full_data_set_name_takes_precedence_over_a_prefix() -> None:
    assert names("sdp", data="cifar10") == {name for name in names("sdp", data="CIFAR") if "cifar100" not in name}
    assert names(data="torchvision:CIFAR100") == names(data="cifar-100") != set()
    assert {name.split("/")[0] for name in names(data="imagenet")} == {"mhgan"}
    assert len(names(data="tiny-imagenet")) == 20


@pytest.mark.parametrize(
    "words, data, expected",
    [
        (("sdpp",), None, "no recipe matches 'sdpp': did you mean 'sdp'?"),
        (("xyzzy",), None, f"no recipe matches 'xyzzy': the groups are {GROUPS}"),
        ((), "mnist", "no recipe is on 'mnist': the data sets are celeba, cifar10, cifar100, fashion-mnist-10k"),
        ((), "", "no recipe is on ''"),
    ],
)
def test_the_error_for_no_match_lists_what_exists(words: tuple[str, ...], data: str | None, expected: str) -> None:
    with pytest.raises(SparringError) as error:
        recipes(words, data=data)
    assert expected in str(error.value)
