"""Classes by name, number and range."""

from __future__ import annotations

import pytest
import torch

from sparring.data.classes import choose_classes, class_turns, in_order, printable, turns_at
from sparring.errors import SparringError

NAMES = ["cat", "dog", "1", "ox", "2-3"]


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        ("dog", [1]),
        (0, [0]),
        ("4", [4]),
        ("1", [2]),  # a name takes precedence over an identical number
        (1, [2]),  # ... also in Python
        ("2-3", [4]),  # ... and before a range
        ("1-3", [2, 3]),  # whose ends follow the same rule
        ("0-2", [0, 1, 2]),
        ("3-3", [3]),
        ("0:2", [0, 1]),
        ("-2:", [3, 4]),
        (":-3", [0, 1]),
        (":", [0, 1, 2, 3, 4]),
        ("ox, cat,4", [3, 0, 4]),
        (["ox", 0, "1:3"], [3, 0, 1, 2]),
        (("dog",), [1]),
    ],
)
def test_choices(classes, expected):
    assert choose_classes(classes, NAMES, 5, "pets") == expected


def test_without_names_there_are_numbers():
    assert choose_classes("7,2-3,8:", [], 10, "digits") == [7, 2, 3, 8, 9]
    with pytest.raises(SparringError, match="'digits' has no class 'cat': its classes are only numbered, 0 to 9"):
        choose_classes("cat", [], 10, "digits")


def test_a_name_with_a_comma_is_a_name():
    assert choose_classes("ox, tame", ["ox", "ox, tame"], 2, "farm") == [1]


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ("dgo", r"'pets' has no class 'dgo': did you mean 'dog'\?"),
        (5, "'pets' has no class 5: its 5 classes are 0 to 4"),
        (-1, "'pets' has no class -1"),
        ("3-9", "'pets' has no class 9"),
        ("7:9", "classes '7:9' choose none of the 5 classes of 'pets'"),
        ("3-1", "classes '3-1' choose none"),
        ([], "choose none"),
        (["cat", 0], r"classes \['cat', 0\] choose class 'cat' of 'pets' twice: name it once"),
        ([True], "class True is not a name, a number, or a range such as '0-9' or '0:10'"),
        ([1.0], r"class 1\.0 is not a name"),
        ("", "'pets' has no class ''"),
    ],
)
def test_impossible_choices(classes, message):
    with pytest.raises(SparringError, match=message):
        choose_classes(classes, NAMES, 5, "pets")


def test_names_that_are_whole_numbers_are_sorted_numerically():
    assert in_order(["10", "9", "007", "1"]) == ["1", "007", "9", "10"]
    assert in_order(["10", "9", "x"]) == ["10", "9", "x"]
    assert in_order(["-2", "-10", "0"]) == ["-10", "-2", "0"]


def test_names_are_shown_with_unprintable_characters_escaped():
    assert printable("café 猫\u00a0") == "café 猫\u00a0"
    assert printable("caf\udce9") == "caf\\xe9"
    assert printable("a\tb\x1b\u2028") == "a\\tb\\x1b\\u2028"
    assert printable("\ud800") == "\\ud800"


@pytest.mark.parametrize(
    "counts", [[800] + [40] * 9, [3, 0, 1, 7], [1], [5, 5, 5], [1000, 1, 1, 1], [13, 7, 29, 4, 90]]
)
def test_classes_have_their_shares_at_every_point(counts):
    turns = class_turns(counts)
    labels = turns_at(turns, 0, 700)
    seen = torch.nn.functional.one_hot(labels, len(counts)).cumsum(0)
    expected = torch.arange(1, 701)[:, None] * torch.tensor(counts) / sum(counts)
    assert (seen - expected).abs().max() <= 1.5  # counted over the 700 labels
    assert torch.bincount(turns, minlength=len(counts)).tolist() == [c * len(turns) // sum(counts) for c in counts]
    assert torch.equal(turns_at(turns, 123, 77), labels[123:200])


def test_equal_shares_are_the_classes_in_turn():
    assert torch.equal(turns_at(class_turns([800] * 10), 0, 57), torch.arange(57) % 10)
    with pytest.raises(SparringError, match="at least one image"):
        class_turns([0, 0])
