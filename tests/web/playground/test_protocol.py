"""What a page may say, and that nothing else gets through."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sparring.errors import SparringError
from sparring.terms import REGISTRY
from sparring.toy.methods import METHODS
from sparring.toy.worlds import FILE_WORLDS, WORLDS
from sparring.web.playground import protocol
from sparring.web.playground.catalogue import catalogue

START: dict[str, Any] = {"do": "start", "world": {"name": "ring-8"}, "sides": [{"method": "hinge"}]}


def start(**changes: Any) -> dict[str, Any]:
    return {**START, "sides": [{"method": "hinge", "changes": changes}]}


@pytest.mark.parametrize(
    "message",
    [
        START,
        {**START, "world": {"name": "ring-8", "options": {"std": 0.1, "modes": 5}}, "seed": 7},
        {**START, "world": {"name": "gaussians", "options": {"means": [[0, 1], [2, 2]], "negatives": {"means": [3]}}}},
        {**START, "world": {"name": "drawn", "points": [[0.1, 0.2]] * 50}},
        start(**{"objective.sdp": {"k": 3}, "objective.sdp.weight": 0.1, "objective.hinge": None, "d_steps": 2}),
        start(**{"generator.network.width": 32, "discriminator.network.spectral_norm": "exact"}),
        {"do": "change", "side": 1, "changes": {"discriminator.optimizer.betas": [0.0, 0.9], "generator.ema.decay": 0.9}},
        {"do": "change", "changes": {"generator.ema": None, "discriminator.clip_weights": None}},
        {"do": "play"}, {"do": "play", "pace": 3}, {"do": "pause"}, {"do": "step", "count": 5}, {"do": "seen", "frame": 3},
        {"do": "rewind", "step": 0}, {"do": "slow", "side": 1}, {"do": "export"},
    ],
)  # fmt: skip
def test_what_the_page_says_is_understood(message: dict[str, Any]) -> None:
    assert protocol.read(json.dumps(message)).do == message["do"]


@pytest.mark.parametrize(
    ("message", "why"),
    [
        ("", "JSON"), ("nonsense", "JSON"), ("[" * 5000, "."), ("[]", "."), ("null", "."), ('{"do": "explode"}', "do"),
        ({"do": "step", "count": 10**9}, "count"), ({"do": "step", "count": True}, "count"),
        ({"do": "step", "count": "1"}, "count"),
        ({"do": "step", "more": 1}, "more"), ({"do": "play", "pace": 1e300}, "pace"), ('{"do": "play", "pace": NaN}', "."),
        ({"do": "rewind", "step": -1}, "step"), ({**START, "seed": 2**80}, "seed"), ({**START, "sides": []}, "sides"),
        ({**START, "sides": START["sides"] * 3}, "sides"),
        ({**START, "world": {"name": "drawn", "points": [[0, 0]] * 2001}}, "points"),
        ({**START, "world": {"name": "drawn", "points": [[0, 1e9]]}}, "points"),
        ({**START, "world": {"name": "x" * 5000}}, "name"),
        (start(**{"objective.x.kind": "os:system"}), "no term 'x'"),
        (start(**{"objective.hinge": {"kind": "os:system"}}), "no field 'kind'"),
        (start(**{"objective.hinge.kind": "os:system"}), "no field 'kind'"),
        (start(**{"objective": {"hinge": None}}), "no setting objective"),
        (start(**{"generator.network.kind": "os:system"}), "no setting"),
        (start(step="os:system"), "no setting step"), (start(augment={"kind": "os:system"}), "no setting augment"),
        (start(**{"data.source": "/etc/passwd"}), "no setting data.source"),
        (start(**{"generator.network.width": 10**6}), "goes from 4 to 128"), (start(d_steps=11), "goes from 1 to 10"),
        (start(batch_size=2.5), "whole number"), (start(batch_size=10**7), "goes from"),
        (start(**{"objective.as_gan.pgd_steps": 100}), "at most 20"), (start(**{"objective.sdp.weight": 1e300}), "at most"),
        (start(**{"objective.sdp": 3}), "fields, or null"),
        (start(**{"discriminator.optimizer.betas": [1, 2]}), "two numbers"),
        (start(**{"discriminator.optimizer.kind": "lion"}), "is one of adam"),
        ({"do": "change", "changes": {"generator.network.width": 8}}, "start anew"),
        ({"do": "change", "changes": {f"objective.sdp.{i}": 1 for i in range(99)}}, "changes"),
    ],
)  # fmt: skip
def test_everything_else_is_refused_in_one_line(message: Any, why: str) -> None:
    with pytest.raises(SparringError, match=why) as refused:
        protocol.read(message if isinstance(message, str) else json.dumps(message))
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 600


def test_the_catalogue_lists_the_library() -> None:
    listed = catalogue()
    assert json.loads(json.dumps(listed))["terms"]
    assert [each["name"] for each in listed["terms"]] == list(REGISTRY)
    assert [each["name"] for each in listed["methods"]] == list(METHODS)
    assert [each["name"] for each in listed["worlds"]] == [name for name in WORLDS if name not in FILE_WORLDS]
    assert {each["dimensions"] for each in listed["worlds"]} == {1, 2}
    hosts = [each["name"] for each in listed["terms"] if each["role"] == "host"]
    assert len(hosts) == 10 and all(each["about"] for each in listed["terms"])


def test_every_default_of_a_slider_lies_on_it() -> None:
    for term in catalogue()["terms"]:
        for field in term["fields"]:
            if field["kind"] in ("number", "whole") and field["default"] is not None:
                assert field["low"] <= field["default"] <= field["high"], (term["name"], field)


def test_only_terms_that_a_toy_world_cannot_have_are_refused() -> None:
    refused = {each["name"]: each["refused"] for each in catalogue()["terms"]}
    assert [name for name, why in refused.items() if why["labelled"]] == ["semi_supervised"]
    plain = {name for name, why in refused.items() if why["plain"]}
    assert plain == {
        "nat_gan",
        "am_gan",
        "cat_gan",
        "k_plus_one",
        "multi_hinge",
        "auxiliary_classifier",
        "semi_supervised",
    }
