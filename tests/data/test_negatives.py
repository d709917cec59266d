"""Noise as data."""

from __future__ import annotations

import pytest
import torch

from sparring.data import noise_batch, noise_images, to_uint8
from sparring.errors import SparringError
from sparring.randomness import generator_for


def test_noise_is_drawn_as_documented():
    generator = generator_for("noise", "normal", 5, 0)
    assert torch.equal(noise_batch("normal", 3, 2, 4, 5), torch.randn(1024, 2, 4, 4, generator=generator)[:3])
    generator = generator_for("noise", "uniform", 5, 0)
    assert torch.equal(noise_batch("uniform", 3, 2, 4, 5), torch.rand(1024, 2, 4, 4, generator=generator)[:3] * 2 - 1)


def test_the_distributions():
    normal, uniform = (noise_batch(kind, 3000, 1, 8, 0).double() for kind in ("normal", "uniform"))
    assert abs(normal.mean()) < 0.01 and abs(normal.var() - 1) < 0.02 and normal.abs().max() > 3
    assert abs(uniform.mean()) < 0.01 and abs(uniform.var() - 1 / 3) < 0.01 and uniform.abs().max() <= 1


def test_an_image_does_not_depend_on_how_many_there_are():
    many = noise_batch("normal", 2000, 1, 2, "key")
    assert torch.equal(noise_batch("normal", 1025, 1, 2, "key"), many[:1025])
    assert not torch.equal(many[:900], many[1024:1924])  # chunks differ
    assert not torch.equal(noise_batch("normal", 5, 1, 2, "other"), many[:5])
    assert noise_batch("normal", 0, 1, 2).shape == (0, 1, 2, 2)


@pytest.mark.parametrize("kind", ["normal", "uniform"])
def test_noise_as_a_data_set_has_8_bits(kind):
    data = noise_images(kind, 1500, 3, 4, seed=7)
    assert torch.equal(data.images, to_uint8(noise_batch(kind, 1500, 3, 4, 7)))
    assert (data.labels, data.name, data.channels, data.size) == (None, f"noise:{kind}", 3, 4)
    extreme = ((data.images == 0) | (data.images == 255)).double().mean()
    expected = {"normal": 2 * 0.1592, "uniform": 1 / 255}[kind]  # P(|N| > 1 - 1/255); half a level at each end
    assert abs(extreme - expected) < 0.005
    assert noise_images(kind, 1500, 3, 4, seed=8).fingerprint != data.fingerprint


def test_unknown_kinds_of_noise():
    with pytest.raises(SparringError, match=r"there is no noise 'pink': choose one of normal, uniform"):
        noise_batch("pink", 1, 1, 2)
    with pytest.raises(SparringError, match="noise needs at least one image, got 0"):
        noise_images("normal", 0, 1, 2)
