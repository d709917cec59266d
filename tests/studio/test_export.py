"""Generators as graphs: the images of `sample`, for any batch, in other runtimes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import sparring
from sparring.errors import SparringError
from sparring.run import graph
from sparring.run.graph import Graph
from sparring.run.saved_generator import SavedGenerator
from sparring.studio.export import is_classifier
from tiny_generators import saved, written


def pixels(images: np.ndarray) -> np.ndarray:
    return ((images + 1) * 127.5).round().clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("format", ["torch", "onnx"])
def test_a_graph_gives_the_images_of_sample(format: str, tmp_path: Path) -> None:
    if format == "onnx":
        pytest.importorskip("onnxruntime")
        pytest.importorskip("onnxscript")
    run = written(tmp_path / "run", "sngan", width=8, conditioning="conditional_batch_norm")
    found = sparring.export(run, format=format)
    suffix = {"torch": "pt2", "onnx": "onnx"}[format]
    out = run / f"generator.{suffix}"
    assert found == {"out": str(out), "kind": suffix, "largest_difference": found["largest_difference"]}
    assert found["largest_difference"] < 1e-4
    facts = json.loads((run / f"generator.{suffix}.json").read_text())
    assert facts["class_names"] == ["ant", "bee", "cat"] and facts["file"] == out.name and facts["latent_size"] == 6
    assert list(facts["input"]) == ["latents", "labels"] and list(facts["output"]) == ["images"]
    generator = sparring.load(run)
    latents, labels = generator.latents("1-7"), torch.tensor([2, 0, 1, 1, 0, 2, 2])
    if format == "torch":
        images = torch.export.load(out).module()(latents, labels).numpy()
    else:
        import onnxruntime

        session = onnxruntime.InferenceSession(out, providers=["CPUExecutionProvider"])
        images = session.run(["images"], {"latents": latents.numpy(), "labels": labels.numpy()})[0]
    assert np.abs(images - generator.floats(latents, labels).numpy()).max() < 1e-4
    expected = generator.sample(seeds="1-7", labels=labels.tolist()).numpy()
    assert np.abs(pixels(images).astype(int) - expected).max() <= 1
    assert (pixels(images) != expected).mean() < 1e-3  # a level where rounding decides


def traced(made: Graph, out: Path) -> Any:
    """A writer in the place of a slow one, which runs the module that would be exported."""
    out.write_bytes(b"graph")
    return made.module


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "write_torch_export", traced)
    monkeypatch.setattr(graph, "write_onnx", traced)


@pytest.mark.usefixtures("quick")
def test_layers_are_not_fused_and_the_generator_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = saved("sngan", width=8)
    seen: list[nn.Module] = []
    monkeypatch.setattr(graph, "write_onnx", lambda made, out: [traced(made, out), seen.append(made.module)][0])
    sparring.export(generator, tmp_path / "a.onnx")
    assert any(getattr(each, "fused", False) for each in generator.module.modules())
    assert not any(getattr(each, "fused", False) for each in seen[0].modules())


@pytest.mark.usefixtures("quick")
def test_images_that_see_their_batch_are_exported_for_batches_of_a_hundred(tmp_path: Path) -> None:
    generator = saved("dcgan", width=4, sampling_statistics="batch")
    assert sparring.export(generator, tmp_path / "a.pt2")["largest_difference"] == 0
    assert "give 100 latents at a time" in json.loads((tmp_path / "a.pt2.json").read_text())["batch"]


class Noisy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.map = nn.Linear(6, 12)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        return (self.map(z) + torch.randn(len(z), 12)).tanh().view(-1, 3, 2, 2)


@pytest.mark.usefixtures("quick")
def test_a_network_that_draws_noise_is_not_exported(tmp_path: Path) -> None:
    description = saved("dcgan", width=4).description
    with pytest.raises(SparringError, match=r"a\.onnx is not written: its images differ from the generator's by up to"):
        sparring.export(SavedGenerator(Noisy(), description), tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "say what to write: a format, onnx or torch, or a file with --out"),
        ({"format": "onx"}, "unknown format 'onx': did you mean 'onnx'?"),
        ({"format": "onnx", "out": "a.pt2"}, "'a.pt2' is not a name for the format onnx: it ends in .onnx"),
        ({"out": "a.safetensors"}, "cannot export a generator to 'a.safetensors': it ends in .onnx, .pt2"),
        ({"out": "a"}, "it ends in .onnx, .pt2"),
    ],
)
def test_mistakes_are_one_line(given: dict[str, Any], said: str, tmp_path: Path) -> None:
    run = written(tmp_path / "run")
    with pytest.raises(SparringError, match=re.escape(said)):
        sparring.export(run, **given)
    with pytest.raises(SparringError, match="there is no run or generator file"):
        sparring.export(tmp_path / "none", format="onnx")


def test_generators_and_classifiers_are_told_apart_by_their_files(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    run = written(tmp_path / "run")
    (tmp_path / "classifier").mkdir()
    save_file({"w": torch.zeros(1)}, tmp_path / "classifier" / "classifier.safetensors")
    assert not is_classifier(run) and not is_classifier(run / "generator.safetensors")
    assert is_classifier(tmp_path / "classifier") and is_classifier(tmp_path / "classifier" / "classifier.safetensors")
    assert is_classifier(tmp_path / "classifier" / "classifier.json") and not is_classifier(tmp_path / "none")
