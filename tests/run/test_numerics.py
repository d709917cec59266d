"""float32 means float32, results repeat if asked for, and torch's settings are restored."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import sparring
from sparring.errors import SparringError
from sparring.evaluation.extractors.module import ModuleExtractor
from sparring.run import numerics as module
from sparring.run.numerics import numerics
from sparring.training.state import TrainingState
from sparring.training.step import train_step
from tiny import tiny_images, tiny_recipe

BACKENDS: Any = torch.backends
NEW = {
    "products": lambda: BACKENDS.cuda.matmul,
    "cudnn": lambda: BACKENDS.cudnn,
    "conv": lambda: BACKENDS.cudnn.conv,
    "rnn": lambda: BACKENDS.cudnn.rnn,
    "products on CPUs": lambda: BACKENDS.mkldnn.matmul,
    "conv on CPUs": lambda: BACKENDS.mkldnn.conv,
}


def settings() -> dict[str, Any]:
    """Torch's new and old settings; reading an old one raises if it contradicts a new one."""
    found: dict[str, Any] = {name: place().fp32_precision for name, place in NEW.items()}
    for name, read in {
        "old products": torch.get_float32_matmul_precision,
        "old products of cuBLAS": lambda: BACKENDS.cuda.matmul.allow_tf32,
        "old cudnn": lambda: BACKENDS.cudnn.allow_tf32,
    }.items():
        try:
            found[name] = read()
        except RuntimeError:
            found[name] = "contradicts a new one"
    found["deterministic"] = torch.are_deterministic_algorithms_enabled(), BACKENDS.cudnn.deterministic
    return found | {"timed": BACKENDS.cudnn.benchmark}


@pytest.fixture(params=["torch's", "medium", "a new setting alone"])
def before(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """The settings of a user's process."""
    conv = BACKENDS.cudnn.conv.fp32_precision
    if request.param == "medium":
        torch.set_float32_matmul_precision("medium")
    elif request.param == "a new setting alone":
        BACKENDS.cudnn.conv.fp32_precision = "ieee"
    yield settings()
    torch.set_float32_matmul_precision("highest")
    BACKENDS.cuda.matmul.fp32_precision = BACKENDS.mkldnn.matmul.fp32_precision = "none"
    BACKENDS.cudnn.allow_tf32 = True
    BACKENDS.cudnn.conv.fp32_precision = conv


@pytest.mark.parametrize("precision", ["float32", "tf32", "bfloat16"])
def test_float32_is_what_was_chosen_and_settings_are_restored(before: dict[str, Any], precision: Any) -> None:
    with numerics(precision):
        found = settings()
    how, fast = ("tf32", True) if precision == "tf32" else ("ieee", False)
    assert {found[name] for name in ("products", "cudnn", "conv", "rnn")} == {how}
    assert found["products on CPUs"] == found["conv on CPUs"] == "ieee"
    assert found["old products"] == ("high" if fast else "highest")
    assert found["old products of cuBLAS"] is found["old cudnn"] is fast
    assert settings() == before


def test_settings_are_restored_after_an_error_and_by_inner_contexts() -> None:
    before = settings()
    with pytest.raises(KeyError), numerics("tf32", deterministic=True):
        with numerics():
            assert settings()["conv"] == "ieee" and settings()["deterministic"] == (True, True)
        assert settings()["conv"] == "tf32"
        raise KeyError
    assert settings() == before


def test_cudnn_times_its_algorithms_for_fixed_shapes_unless_results_have_to_repeat() -> None:
    for deterministic, fixed_shapes in ((False, False), (False, True), (True, True)):
        with numerics(deterministic=deterministic, fixed_shapes=fixed_shapes):
            assert settings()["timed"] is (fixed_shapes and not deterministic)
            with numerics():  # measurements
                assert not settings()["timed"]


class FakeCuda:
    def __init__(self, started: bool):
        self.started = started

    def is_available(self) -> bool:
        return True

    def is_initialized(self) -> bool:
        return self.started


@pytest.mark.parametrize(
    ("value", "started", "ends_as"),
    [(None, False, ":4096:8"), (":16:8", True, ":16:8"), (None, True, None), (":0:0", False, None)],
)
def test_cublas_repeats_its_results_or_the_run_is_refused(
    value: str | None, started: bool, ends_as: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reads its variable once, when CUDA starts."""
    monkeypatch.setenv(module.WORKSPACE, "")  # restored at the end
    monkeypatch.delenv(module.WORKSPACE)
    if value is not None:
        monkeypatch.setenv(module.WORKSPACE, value)
    monkeypatch.setattr(torch, "cuda", FakeCuda(started))
    with numerics(deterministic=True, device="cpu"):
        assert os.environ.get(module.WORKSPACE) == value
    if ends_as is None:
        with (
            pytest.raises(SparringError, match=f"needs {module.WORKSPACE} to be :4096:8"),
            numerics(deterministic=True),
        ):
            pass
    else:
        with numerics(deterministic=True):
            assert os.environ[module.WORKSPACE] == ends_as


def test_an_operation_that_does_not_repeat_is_one_line() -> None:
    said = "upsample_bilinear2d_backward_out_cuda does not have a deterministic implementation, but you set"
    refused = pytest.raises(
        SparringError, match="no deterministic upsample_bilinear2d_backward_out_cuda on this device"
    )
    with refused, numerics(deterministic=True):
        raise RuntimeError(said)
    with pytest.raises(RuntimeError, match="something else"), numerics(deterministic=True):
        raise RuntimeError("something else")


def watched_step(s: TrainingState) -> None:
    """A user's step that writes down the settings that it finds."""
    SEEN.append(settings())
    train_step(s)


SEEN: list[dict[str, Any]] = []


@pytest.mark.usefixtures("without_reports")
@pytest.mark.parametrize("precision", ["float32", "tf32"])
def test_a_run_is_trained_as_its_recipe_says(precision: str, tmp_path: Path) -> None:
    before = settings()
    SEEN.clear()
    chosen = {"precision": precision, "deterministic": precision == "tf32", "step": f"{__name__}:watched_step"}
    sparring.train(tiny_recipe(steps=1, **chosen), out=tmp_path / "run", data=tiny_images())
    assert SEEN[0]["conv"] == ("tf32" if precision == "tf32" else "ieee")
    assert SEEN[0]["deterministic"] == (chosen["deterministic"],) * 2
    assert SEEN[0]["timed"] is (precision == "float32")
    assert settings() == before


def test_extractors_compute_in_float32_whatever_a_run_is_trained_with() -> None:
    class Watched(torch.nn.Flatten):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            SEEN.append(settings())
            return super().forward(images)

    pixels = tiny_images(4).images
    extractor = ModuleExtractor(Watched(), pixels)
    SEEN.clear()
    with numerics("tf32", fixed_shapes=True):
        extractor(pixels)
    assert [(seen["conv"], seen["products"], seen["timed"]) for seen in SEEN] == [("ieee", "ieee", False)]
