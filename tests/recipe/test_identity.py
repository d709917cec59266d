"""What runs have in common, and names of groups of them, by what tells their recipes apart."""

from __future__ import annotations

from sparring.recipe.gan import Recipe
from sparring.recipe.identity import ADDED_LATER, labels_of, recipe_hash

NETWORKS = {"generator": {"optimizer": {"lr": 1}}, "discriminator": {"optimizer": {"lr": 1}}}


def named(*recipes):
    return list(labels_of({str(i): {"name": "mine", "seed": i, **recipe} for i, recipe in enumerate(recipes)}).values())


def test_what_is_the_same_is_not_said():
    assert named({"steps": 5, "about": "a"}) == ["mine"]
    assert labels_of({"a": {"name": "one", "steps": 5}, "b": {"name": "two", "steps": 9}}) == {"a": "one", "b": "two"}


def test_keys_are_short_as_long_as_they_mean_one_setting():
    two = [{"steps": n, "objective": {"hinge": {}, "sdp": {"k": k, "weight": 1}}} for n, k in ((5, 1), (9, 25))]
    assert named(*two) == ["mine, steps=5, sdp.k=1", "mine, steps=9, sdp.k=25"]
    other = {**NETWORKS, "generator": {"optimizer": {"lr": 2}}}
    assert named(NETWORKS, other) == ["mine, generator.optimizer.lr=1", "mine, generator.optimizer.lr=2"]


def test_a_term_that_only_some_have_is_one_word():
    plain, sdp, strong = (
        {"objective": {"hinge": {}, **more}} for more in ({}, {"sdp": {"k": 1, "t": 2}}, {"sdp": {"k": 5, "t": 2}})
    )
    assert named(plain, sdp) == ["mine, objective.sdp=None", "mine, objective.sdp"]
    assert named(plain, sdp, strong) == ["mine, objective.sdp=None", "mine, sdp.k=1", "mine, sdp.k=5"]


def test_of_another_kind_of_network_the_kind_is_enough():
    wide, narrow = ({"network": {"kind": "dcgan", "width": width}} for width in (64, 8))
    deep = {"network": {"kind": "resnet", "depth": 3, "skip": True}}
    assert named(wide, deep) == ["mine, network.kind=dcgan", "mine, network.kind=resnet"]
    assert named(wide, narrow, deep) == [
        "mine, network.kind=dcgan, network.width=64",
        "mine, network.kind=dcgan, network.width=8",
        "mine, network.kind=resnet",
    ]


def test_keys_that_were_added_later_count_only_if_they_are_used():
    """So that studies of an earlier version, whose recipes lack them, can be resumed and compared."""
    now = Recipe.load("quickstart").to_dict()
    before = {key: value for key, value in now.items() if key not in ADDED_LATER}
    assert recipe_hash(now) == recipe_hash(before) and len(before) < len(now)
    assert recipe_hash(now | {"deterministic": True}) != recipe_hash(before)
    assert labels_of({"a": now, "b": before | {"batch_size": 2}})["a"] == "quickstart, batch_size=32"
