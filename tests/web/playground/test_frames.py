"""Packed frames: what is put in comes out, and what is not finite is null."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sparring.web.playground.divergence import jensen_shannon
from sparring.web.playground.frames import pack, unpack


def test_arrays_come_out_as_they_went_in() -> None:
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(3, 2), "none": np.zeros((0, 2), np.float32), "b": np.ones(3)}
    header = {"is": "frame", "words": "β", "bad": float("nan"), "list": [1.5, float("inf")], "of": {"x": -math.inf}}
    message = pack(header, arrays)
    found, back = unpack(message)
    assert found == {"is": "frame", "words": "β", "bad": None, "list": [1.5, None], "of": {"x": None}}
    assert list(back) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(back[name], array.astype(np.float32))
    assert int.from_bytes(message[:4], "little") % 4 == 0  # so that a browser can view the arrays in place


def test_jensen_shannon_by_hand() -> None:
    same, apart = np.array([0.1, 0.6, 0.6, 0.9]), np.array([5.0, 5.0])
    assert jensen_shannon(same, same, (0, 1), 2) == 0
    assert jensen_shannon(same, apart, (0, 6), 6) == pytest.approx(math.log(2))
    p, q = (0.25, 0.75), (0.75, 0.25)  # halves of the unit interval
    m = 0.5
    by_hand = sum((a * math.log(a / m) + b * math.log(b / m)) / 2 for a, b in zip(p, q, strict=True))
    assert jensen_shannon(same, np.array([0.1, 0.2, 0.3, 0.7]), (0, 1), 2) == pytest.approx(by_hand)
    beyond = np.array([-9.0, 9.0])  # what lies beyond the limits counts, on its side
    assert jensen_shannon(beyond, np.array([-9.0, -9.0]), (0, 1), 2) > 0.2
