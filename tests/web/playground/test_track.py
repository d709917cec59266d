"""A track is a session: the same calls give the same bits, and so do rewinding and playing again."""

from __future__ import annotations

from typing import Any

import pytest

from sparring.errors import SparringError
from sparring.toy.methods import toy_recipe
from sparring.toy.session import ToySession
from sparring.toy.worlds import world
from sparring.web.playground import track as tracks
from sparring.web.playground.track import Track
from tiny import same_bits

SMALL: dict[str, Any] = {"batch_size": 8, "generator.network.width": 8, "discriminator.network.width": 8}
FIRST: dict[str, Any] = {"objective.sdp": {"t": 0}, "discriminator.optimizer.lr": 1e-3}
SECOND: dict[str, Any] = {"objective.hinge": {}, "objective.sdp.weight": 0.1, "d_steps": 2}


def parts(method: str = "non_saturating") -> tuple[Any, Any]:
    here = world("ring-8", seed=0)
    return here, toy_recipe(here, method, SMALL, steps=400, seed=0)


def test_200_steps_with_two_changes_are_those_of_a_session() -> None:
    """As the page takes them, in uneven pieces of which some are watched, against three plain calls."""
    track, session = Track(*parts()), ToySession(*parts())
    track.advance(30, watch=True), track.advance(40)
    track.change(FIRST)
    for count in (1, 7, 42):
        track.advance(count, watch=count % 2 == 0)
    track.change(SECOND)
    track.advance(80, watch=True)
    session.step(70), session.change(FIRST), session.step(50), session.change(SECOND), session.step(80)
    assert track.step == 200
    same_bits(track.session.state.state_dict(), session.state.state_dict())
    assert (track.session.look().samples == session.look().samples).all()
    assert track.changed_at == [70, 120]


@pytest.mark.parametrize("back", [0, 33, 60, 61, 90])
def test_rewinding_and_playing_again_repeats_bits_and_changes(back: int) -> None:
    track = Track(*parts())
    track.advance(60)
    track.change({"objective.r1": {"weight": 0.1}})
    track.advance(40)
    end = track.session.snapshot()
    track.rewind(back)
    assert track.step == back and ("r1" in track.session.recipe.objective.terms) == (back > 60)
    track.advance(100 - back)
    same_bits(track.session.snapshot().state, end.state)
    track.rewind(10), track.rewind(100)  # forwards, too
    same_bits(track.session.snapshot().state, end.state)


def test_a_change_after_a_rewind_starts_a_new_course() -> None:
    track = Track(*parts())
    track.advance(50)
    track.change({"d_steps": 2})
    track.advance(50)
    track.rewind(30)
    track.change({"batch_size": 32})
    assert track.latest == 30 and track.log == [(30, {"batch_size": 32})]
    track.advance(40)
    assert track.session.recipe.d_steps == 1 and track.session.recipe.batch_size == 32


def test_a_change_that_does_not_fit_leaves_the_course_alone() -> None:
    track = Track(*parts())
    track.advance(10), track.change({"d_steps": 2}), track.advance(5), track.rewind(3)
    with pytest.raises(SparringError, match="objective"):
        track.change({"objective.sdp.k": -1})
    assert track.log == [(10, {"d_steps": 2})] and track.latest == 15


def test_moments_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracks, "KEPT", 4), monkeypatch.setattr(tracks, "SPACING", 2)
    track = Track(*parts())
    track.advance(70)
    assert len(track._moments) <= 4 and 0 in track._moments
    end = track.session.snapshot()
    track.rewind(37), track.advance(33)
    same_bits(track.session.snapshot().state, end.state)


def test_a_track_that_broke_can_be_rewound() -> None:
    track = Track(*parts())
    track.advance(30)
    track.change({"generator.optimizer": {"kind": "sgd", "lr": 1e30}})
    with pytest.raises(SparringError, match="Rewind to go on"):
        track.advance(20)
    assert track.broken is not None
    with pytest.raises(SparringError, match="Rewind to go on"):
        track.advance(1)
    track.rewind(25)
    assert track.broken is None
    track.change({"d_steps": 2})
    track.advance(10)
    assert track.step == 35
