"""DiffAugment against its definition, image by image and pixel by pixel."""

from __future__ import annotations

import pytest
import torch
from longhand import a_run, outputs
from torch import Tensor

from sparring.errors import SparringError
from sparring.recipe.augment import DiffAugment, colour, cutout, make_augment, translation
from sparring.training.step import train_step

X = torch.randn(5, 3, 8, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


class Draws:
    """Given numbers, one row per image, in the order in which they are asked for."""

    def __init__(self, *numbers: list[float]):
        self.numbers = list(numbers)

    def __call__(self, *shape: int) -> Tensor:
        return torch.tensor(self.numbers.pop(0), dtype=torch.float64).view(shape)


def test_colour() -> None:
    b, s, c = [0.1, 0.9, 0.5, 0.0, 0.3], [0.2, 0.5, 0.7, 0.1, 0.9], [0.5, 0.25, 0.0, 0.99, 0.75]
    expected = torch.empty_like(X)
    for i in range(5):
        bright = X[i] + b[i] - 0.5
        grey = bright.sum(0) / 3
        saturated = torch.stack([grey + 2 * s[i] * (bright[j] - grey) for j in range(3)])
        level = saturated.sum() / saturated.numel()
        expected[i] = level + (0.5 + c[i]) * (saturated - level)
    torch.testing.assert_close(colour(X, Draws(b, s, c)), expected)


def test_translation() -> None:
    # 1/8 of 8 is 1 pixel and of 6 rounds to 1 pixel: u in [0, 1/3) is -1, [1/3, 2/3) is 0, the rest +1
    moved = translation(X, Draws([0.0, 0.4, 0.99, 0.0, 0.5], [0.5, 0.99, 0.0, 0.99, 0.5]), 0.125)
    shifts = [(-1, 0), (0, 1), (1, -1), (-1, 1), (0, 0)]
    for i, (down, right) in enumerate(shifts):
        for h in range(8):
            for w in range(6):
                inside = 0 <= h + down < 8 and 0 <= w + right < 6
                expected = X[i, :, h + down, w + right] if inside else torch.zeros(3, dtype=torch.float64)
                assert torch.equal(moved[i, :, h, w], expected)


def test_cutout() -> None:
    # half of 8 is 4 and of 6 is 3; a centre in 0..8 of the rows (even length), in 0..5 of the columns (odd length)
    rows, columns = [0.0, 0.5, 0.99, 0.2, 0.7], [0.0, 0.99, 0.5, 0.4, 0.2]
    cut = cutout(X, Draws(rows, columns), 0.5)
    for i in range(5):
        top, left = int(rows[i] * 9) - 2, int(columns[i] * 6) - 1
        for h in range(8):
            for w in range(6):
                gone = top <= h < top + 4 and left <= w < left + 3
                assert torch.equal(cut[i, :, h, w], torch.zeros(3, dtype=torch.float64) if gone else X[i, :, h, w])


def test_gradients_pass_through_every_transformation() -> None:
    generator = torch.Generator().manual_seed(1)
    numbers = [torch.rand(5, 1, generator=generator, dtype=torch.float64) for _ in range(7)]

    def augment(x: Tensor) -> Tensor:
        left = list(numbers)
        return DiffAugment()(x, lambda *shape: left.pop(0).view(shape))

    assert torch.autograd.gradcheck(augment, (X.clone().requires_grad_(),))


def test_both_players_judgements_are_augmented_and_shares_make_one_batch() -> None:
    changes = {"augment": {"kind": "diffaugment"}, "generator__network__normalisation": "none"}
    plain = a_run({"hinge": {}}, generator__network__normalisation="none")
    one, four = a_run({"hinge": {}}, **changes), a_run({"hinge": {}}, accumulate=4, **changes)
    for _ in range(3):
        for run in (plain, one, four):
            train_step(run)
    assert (outputs(one) - outputs(plain)).abs().max() > 1e-4
    torch.testing.assert_close(outputs(one), outputs(four), rtol=0, atol=1e-10)


def test_uneven_negatives_are_augmented_alike_in_four_micro_batches() -> None:
    terms = {"non_saturating": {}, "negatives": {"per_batch": 3}}
    changes = {"augment": {"kind": "diffaugment"}, "generator__network__normalisation": "none", "negatives": 20}
    one, four = a_run(terms, **changes), a_run(terms, accumulate=4, **changes)
    for _ in range(3):
        train_step(one)
        train_step(four)
    torch.testing.assert_close(outputs(one), outputs(four), rtol=0, atol=1e-10)


def test_mistakes() -> None:
    with pytest.raises(SparringError, match="did you mean 'diffaugment'"):
        make_augment({"kind": "diffaugmnt"})
    with pytest.raises(SparringError, match=r"augment\.policy"):
        make_augment({"kind": "diffaugment", "policy": ["color"]})
    with pytest.raises(SparringError, match=r"unknown key augment\.polcy: did you mean 'policy'"):
        make_augment({"kind": "diffaugment", "polcy": ["cutout"]})
    with pytest.raises(SparringError, match="kind"):
        make_augment({"policy": ["cutout"]})
