"""Seeds, truncation and files of latents."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sparring.errors import SparringError
from sparring.randomness import generator_for
from sparring.run.latents import as_latents, latent, read_latents, read_seeds


def test_seeds_are_numbers_and_ranges() -> None:
    assert read_seeds("1-3,42") == [1, 2, 3, 42] and read_seeds(" 7 , 0-1") == [7, 0, 1]
    assert read_seeds([5, 3]) == read_seeds("5,3") == [5, 3] and read_seeds(9) == read_seeds("9-9") == [9]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("", "got ''"),
        ("1-", "got '1-'"),
        ("-1", "got '-1'"),
        ("1.5", "got '1.5'"),
        ("\u0661", "got '"),
        ("9" * 19, "got 999"),
        ([], "got none"),
        ([True], "got True"),
        ([-1], "got -1"),
        ([1, 2, 1], "seed 1 is given twice"),
        ("4-2", "write 2-4"),
        ("0-20000000", "20,000,001 seeds are too many"),
    ],
)
def test_other_seeds_are_one_line(given: Any, said: str) -> None:
    with pytest.raises(SparringError, match=re.escape(said)):
        read_seeds(given)


def test_truncation_redraws_what_lies_beyond_the_threshold() -> None:
    """Written out: number by number, and the redrawn ones have the density of a truncated normal."""
    plain, cut = latent(5000, 3, 0), latent(5000, 3, 0, truncation=0.7)
    inside = plain.abs() <= 0.7
    assert torch.equal(plain, torch.randn(5000, generator=generator_for("sample", 3, 0)))
    assert torch.equal(cut[inside], plain[inside]) and float(cut.abs().max()) <= 0.7
    redrawn = cut[~inside].double()
    assert len(redrawn) > 2000 and len(redrawn.unique()) > 0.99 * len(redrawn)
    # the standard deviation of a normal truncated to [-a, a]: sqrt(1 - 2 a phi(a) / (2 Phi(a) - 1)) = 0.3879 for a = 0.7
    assert abs(float(redrawn.std()) - 0.3879) < 0.015 and abs(float(redrawn.mean())) < 0.03
    assert torch.equal(latent(50, 3, 0, truncation=20.0), latent(50, 3, 0))
    assert not torch.equal(latent(50, 3, 1, truncation=0.7), latent(50, 3, 0, truncation=0.7))


def test_latents_are_read_from_arrays(tmp_path: Path) -> None:
    z = np.arange(6.0).reshape(2, 3)
    np.savez(tmp_path / "z.npz", latents=z, labels=np.array([1, 0], np.uint8))
    np.save(tmp_path / "z.npy", z[0])
    latents, labels = read_latents(tmp_path / "z.npz", 3)
    assert latents.dtype == torch.float32 and latents.tolist() == z.tolist()
    assert labels is not None and labels.tolist() == [1, 0]
    alone, none = read_latents(tmp_path / "z.npy", 3)
    assert alone.tolist() == [[0, 1, 2]] and none is None


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"z": np.zeros((2, 3))}, "has no array 'latents', but z"),
        ({"latents": np.zeros((2, 4))}, "takes latents [N, 3], got [2, 4]"),
        ({"latents": np.zeros((0, 3))}, "takes latents [N, 3], got [0, 3]"),
        ({"latents": np.full((1, 3), np.nan)}, "latents are finite numbers"),
        ({"latents": np.array([["a", "b", "c"]])}, "a tensor or an array of numbers"),
        ({"latents": np.array([{}], object)}, "holds Python objects"),
        ({"latents": np.zeros((2, 3)), "labels": np.zeros(2)}, "labels are a class number for each latent"),
        ({"latents": np.zeros((2, 3)), "labels": np.zeros(3, int)}, "labels are a class number for each latent"),
    ],
)
def test_other_files_of_latents_are_one_line(arrays: dict[str, Any], said: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "z.npz", **arrays)
    with pytest.raises(SparringError, match=re.escape(said)) as caught:
        read_latents(tmp_path / "z.npz", 3)
    assert "\n" not in str(caught.value)


def test_other_latents_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "z.txt").write_text("1 2 3")
    (tmp_path / "z.npz").write_bytes(b"PK garbage")
    for name, said in (("z.txt", "read from an .npz"), ("z.npz", "damaged"), ("none.npz", "no file of latents")):
        with pytest.raises(SparringError, match=said):
            read_latents(tmp_path / name, 3)
    for given in ([[1, 2], [3]], "abc", None, torch.ones(2, 3, dtype=torch.bool)):
        with pytest.raises(SparringError, match="latents"):
            as_latents(given, 3)
