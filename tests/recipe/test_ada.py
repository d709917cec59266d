"""ADA's transformations and their gradients against the paper's, matrix by matrix and pixel by pixel."""

from __future__ import annotations

from collections.abc import Callable
from math import cos, pi, sin, sqrt

import numpy as np
import pytest
import torch
from torch import Tensor

from sparring.errors import SparringError
from sparring.recipe.ada import ADA, BLIT, COLOUR, DRAWS, GEOMETRIC, blit_matrix, colour_matrix, geometric_matrix
from sparring.recipe.augment import make_augment
from sparring.recipe.resampling import CENTRE, SYM6, moved, resampled

X = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
U = torch.rand(4, DRAWS, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
ONE = torch.ones((), dtype=torch.float64)


def drawn(u: Tensor) -> Callable[..., Tensor]:
    return lambda *shape: u.reshape(shape)


def gates_open(u: Tensor, *gates: int) -> Tensor:
    """The draws with these gates open at p = 0.5 and all others shut."""
    u = u.clone()
    u[:, [0, 2, 4, 7, 9, 11, 13, 15, 18, 20, 22, 24, 26]] = 0.9
    u[:, list(gates)] = 0.1
    return u


def normal(u: float) -> float:
    return sqrt(2) * torch.erfinv(torch.tensor(2 * u - 1, dtype=torch.float64)).item()


def around(values: list[list[float]]) -> np.ndarray:
    return np.array(values, dtype=np.float64)


def scale(x: float, y: float) -> np.ndarray:
    return around([[x, 0, 0], [0, y, 0], [0, 0, 1]])


def turn(angle: float) -> np.ndarray:
    return around([[cos(angle), -sin(angle), 0], [sin(angle), cos(angle), 0], [0, 0, 1]])


def shift(x: float, y: float) -> np.ndarray:
    return around([[1, 0, x], [0, 1, y], [0, 0, 1]])


def test_geometric_matrix_is_the_product_of_its_steps() -> None:
    matrix, changed = geometric_matrix(U[:, GEOMETRIC], ONE, 20, 32)
    assert changed.all()
    for u, found in zip(U[:, GEOMETRIC].tolist(), matrix, strict=True):
        s, a = 2 ** (0.2 * normal(u[1])), 2 ** (0.2 * normal(u[5]))
        steps = [scale(s, s), turn(-(2 * u[3] - 1) * pi), scale(a, 1 / a), turn(-(2 * u[7] - 1) * pi)]
        steps.append(shift(0.125 * 32 * normal(u[9]), 0.125 * 20 * normal(u[10])))
        expected = np.eye(3)
        for step in steps:  # the map from a place in the result to one in the source is the product of inverses
            expected = expected @ np.linalg.inv(step)
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_colour_matrix_is_the_product_of_its_steps() -> None:
    matrix, changed = colour_matrix(U[:, COLOUR], ONE)
    assert changed.all()
    v = np.array([1, 1, 1, 0]) / sqrt(3)
    luma, eye = np.outer(v, v), np.eye(4)
    a = 1 / sqrt(3)
    axis = around([[0, -a, a, 0], [a, 0, -a, 0], [-a, a, 0, 0], [0, 0, 0, 0]])
    for u, found in zip(U[:, COLOUR].tolist(), matrix, strict=True):
        brightness, contrast, flip = eye.copy(), eye.copy(), eye - 2 * luma * int(2 * u[5])
        brightness[:3, 3] = 0.2 * normal(u[1])
        contrast[[0, 1, 2], [0, 1, 2]] = 2 ** (0.5 * normal(u[3]))
        angle = (2 * u[7] - 1) * pi
        hue = cos(angle) * eye + sin(angle) * axis + (1 - cos(angle)) * luma  # Rodrigues' formula
        hue[3, 3] = 1
        saturation = luma + (eye - luma) * 2 ** normal(u[9])
        saturation[3, 3] = 1
        np.testing.assert_allclose(found, (saturation @ hue @ flip @ contrast @ brightness)[:3], atol=1e-12)


def test_colours_of_grey_images() -> None:
    grey, u = X[:, :1], gates_open(U, 18, 20, 22, 24, 26)
    matrix, _ = colour_matrix(u[:, COLOUR], ONE / 2)
    found = ADA(transforms=("colour",), p=0.5)(grey, drawn(u))
    full = torch.cat([grey, grey, grey], 1)
    for i in range(4):
        pixels = matrix[i, :, :3] @ full[i].flatten(1) + matrix[i, :, 3:]
        torch.testing.assert_close(found[i, 0].flatten(), pixels.mean(0))
    alone = ADA(transforms=("colour",), p=0.5)(grey, drawn(gates_open(U, 24, 26)))
    torch.testing.assert_close(alone, grey)  # a grey pixel has neither hue nor saturation


@pytest.mark.parametrize(
    ("gate", "value", "number", "expected"),
    [
        (0, 1, 0.7, lambda x: x.flip(2)),
        (0, 1, 0.2, lambda x: x),
        (2, 3, 0.3, lambda x: x.rot90(1, (1, 2))),
        (2, 3, 0.6, lambda x: x.rot90(2, (1, 2))),
        (2, 3, 0.9, lambda x: x.rot90(3, (1, 2))),
    ],
)
def test_flips_and_quarter_turns_copy_pixels(
    gate: int, value: int, number: float, expected: Callable[[Tensor], Tensor]
) -> None:
    u = gates_open(U, gate)
    u[:, value] = number
    for images in (X, X.float()):
        found = ADA(p=0.5)(images, drawn(u.to(images)))
        assert all(torch.equal(found[i], expected(images[i])) for i in range(4))


def test_shifts_by_whole_pixels_copy_pixels_and_go_on_mirrored() -> None:
    u = gates_open(U, 4)
    u[:, 5], u[:, 6] = 0.999, 0.001  # an eighth of 8 pixels each, to the right in x and up in y
    found = ADA(p=0.5)(X, drawn(u))
    for row in range(8):
        for column in range(8):
            source = abs(row - 1), column + 1 if column < 7 else 6
            assert torch.equal(found[:, :, row, column], X[:, :, source[0], source[1]])


def test_p_0_changes_no_bit_and_p_1_every_image() -> None:
    for images in (X, X.float(), X[:, :1]):
        assert torch.equal(ADA(p=0)(images, drawn(U.to(images))), images)
        changed = ADA(p=1)(images, drawn(U.to(images)))
        assert all((a - b).abs().max() > 0.1 for a, b in zip(changed, images, strict=True))
    alone = gates_open(U, 20)  # contrast: its images are not resampled
    matrix, _ = colour_matrix(alone[:, COLOUR], ONE / 2)
    torch.testing.assert_close(ADA(p=0.5)(X, drawn(alone)), X * matrix[:, 0, 0].view(-1, 1, 1, 1), rtol=0, atol=1e-14)


def test_each_transformation_has_its_probability() -> None:
    u = torch.rand(20_000, DRAWS, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    p = torch.tensor(0.3, dtype=torch.float64)
    for gate, chance in ((7, 0.3), (9, 1 - sqrt(0.7)), (11, 0.3), (13, 1 - sqrt(0.7)), (15, 0.3)):
        alone = u.clone()
        alone[:, [g for g in (7, 9, 11, 13, 15) if g != gate]] = 1.0
        _, changed = geometric_matrix(alone[:, GEOMETRIC], p, 8, 8)
        assert changed.double().mean().item() == pytest.approx(chance, abs=0.01), gate
    blits = blit_matrix(u[:, BLIT], p, 8, 8)
    assert blits[:, 0, 0].abs().ne(blits[:, 1, 1].abs()).sum() == 0
    assert (blits.diagonal(dim1=1, dim2=2).prod(1) == 0).double().mean().item() == pytest.approx(0.3 / 2, abs=0.01)
    assert torch.equal(blits, blits.round())


def longhand(x: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """`resampled` for one channel by sums over the filter: doubled, read between four neighbours, halved."""
    n = len(x)

    def pixel(row: int, column: int) -> float:
        row, column = (i % (2 * n - 2) for i in (row, column))
        return x[min(row, 2 * n - 2 - row), min(column, 2 * n - 2 - column)]

    def doubled(row: int, column: int) -> float:
        total = 0.0
        for k, f in enumerate(SYM6):
            for j, g in enumerate(SYM6):
                if (row + 5 - k) % 2 == 0 and (column + 5 - j) % 2 == 0:
                    total += 2 * f * g * pixel((row + 5 - k) // 2, (column + 5 - j) // 2)
        return total

    def read(row: int, column: int) -> float:
        """The fine picture at a place that the map takes from a fine place of the result."""
        middle = (n - 1) / 2
        place = matrix @ [(column - CENTRE) / 2 - middle, (row - CENTRE) / 2 - middle, 1]
        x, y = ((value + middle) % (2 * n - 2) for value in place[:2])
        x, y = (2 * min(value, 2 * n - 2 - value) + CENTRE for value in (x, y))
        left, top = min(int(x), 2 * n - 2), min(int(y), 2 * n - 2)
        across, down = x - left, y - top
        upper = (1 - across) * doubled(top, left) + across * doubled(top, left + 1)
        lower = (1 - across) * doubled(top + 1, left) + across * doubled(top + 1, left + 1)
        return (1 - down) * upper + down * lower

    fine = {(r, c): read(r, c) for r in range(-5, 2 * n + 5) for c in range(-5, 2 * n + 5)}
    return around(
        [
            [
                sum(
                    f * g / 2 * fine[2 * row + k - 5, 2 * column + j - 5]
                    for k, f in enumerate(SYM6)
                    for j, g in enumerate(SYM6)
                )
                for column in range(n)
            ]
            for row in range(n)
        ]
    )


def test_resampling_is_the_sum_over_the_filter() -> None:
    x = X[:1, :1, :4, :4]
    matrix = around([[0.9, -0.5, 0.3], [0.4, 1.2, -2.6], [0, 0, 1]])
    found = resampled(x, torch.tensor(matrix)[None])
    np.testing.assert_allclose(found[0, 0], longhand(x[0, 0].numpy(), matrix), atol=1e-12)


def test_resampling_by_whole_pixels_copies_the_inside() -> None:
    assert abs(CENTRE - 0.1) < 0.01
    x = torch.randn(1, 2, 24, 24, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    for matrix in (np.eye(3), shift(2, -1)):
        G = torch.tensor(matrix)[None]
        torch.testing.assert_close(resampled(x, G)[..., 8:-8, 8:-8], moved(x, G)[..., 8:-8, 8:-8], rtol=0, atol=1e-9)
    smooth = torch.cos(torch.arange(24.0, dtype=torch.float64) * 2 * pi / 24)
    half = resampled((smooth[:, None] * smooth)[None, None], torch.tensor(shift(0.5, 0))[None])
    expected = smooth[:, None] * torch.cos((torch.arange(24.0, dtype=torch.float64) + 0.5) * 2 * pi / 24)
    assert (half[0, 0, 6:-6, 6:-6] - expected[6:-6, 6:-6]).abs().max() < 0.01


def test_gradients_once_and_twice() -> None:
    x = X[:1, :, :4, :4].clone().requires_grad_()
    u = U[:1].clone()
    assert torch.autograd.gradcheck(lambda x: ADA(p=1)(x, drawn(u)), (x,))
    assert torch.autograd.gradgradcheck(lambda x: ADA(p=1)(x, drawn(u)).sin(), (x,))


def test_mistakes() -> None:
    with pytest.raises(SparringError, match=r"augment\.transforms\.0 takes one of 'blit', 'geometric' or 'colour'"):
        make_augment({"kind": "ada", "transforms": ["bgc"]})
    with pytest.raises(SparringError, match=r"augment\.p"):
        make_augment({"kind": "ada", "p": 1.5})
    with pytest.raises(SparringError, match="give it p"):
        ADA()(X, drawn(U))
    with pytest.raises(SparringError, match="at least 2x2 pixels"):
        ADA(p=0.5)(torch.zeros(3, 2), drawn(U))
