"""Exports a generator for other programs, as torch.export or ONNX, and checks the written file.

The graph takes float32 latents [B, Z] and, if there are classes, int64 labels [B], with any B, and returns float32 images
[B, C, H, W] in [-1, 1]. A JSON file beside it, such as generator.onnx.json, has the sizes, the classes and so on.
"""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from sparring.classify.export import export_classifier
from sparring.classify.saved import WEIGHTS as CLASSIFIER
from sparring.classify.saved import SavedClassifier
from sparring.errors import SparringError, nearest
from sparring.run.generator import BATCH_STATISTICS_ROWS
from sparring.run.graph import FORMATS, Graph, write_graph
from sparring.run.saved import METADATA, WEIGHTS, load_generator
from sparring.run.saved_generator import SavedGenerator

LATENTS, LABELS, IMAGES = "latents", "labels", "images"
PIXELS = "round((images + 1) * 127.5), from 0 to 255"


class _Unconditional(nn.Module):
    """A generator with the graph's name for its input."""

    def __init__(self, generator: nn.Module):
        super().__init__()
        self.generator = generator

    def forward(self, latents: Tensor) -> Tensor:
        return self.generator(latents, None)


class _Conditional(_Unconditional):
    def forward(self, latents: Tensor, labels: Tensor) -> Tensor:  # type: ignore[override]
        return self.generator(latents, labels)


def export(
    model: str | os.PathLike[str] | SavedGenerator | SavedClassifier,
    out: str | Path | None = None,
    *,
    format: str | None = None,
    allow_code: bool = False,
) -> dict[str, Any]:
    """Write a generator or a classifier as a graph for other programs, and a JSON file that describes it beside it.

    model: a run, a shared folder, a weights file, or one that is loaded. format: "onnx" or "torch" (torch.export); by
        default the ending of `out` decides. out: a file; by default generator.onnx, or the like, in the model's folder.
        allow_code: see docs/trust.md.

    Returns the path, the kind, and `largest_difference`: between what is computed here and by the file's runtime
    (onnxruntime for ONNX), relative to the largest output, or absolute if that is below 1, as for images. Raises
    SparringError for a difference above 1e-4, for a network that draws random numbers or that no graph can hold, if a
    package is missing, and if the file cannot be written.
    """
    path = _place(model, out, format)
    if isinstance(model, SavedClassifier) or (not isinstance(model, SavedGenerator) and is_classifier(model)):
        return export_classifier(model, path, allow_code=allow_code)
    loaded = model if isinstance(model, SavedGenerator) else load_generator(model, allow_code=allow_code)
    if path.suffix not in FORMATS.values():
        endings = ", ".join(FORMATS.values())
        raise SparringError(f"cannot export a generator to '{path}': it ends in {endings}; its weights are {WEIGHTS}")
    difference = write_graph(_graph(loaded), path, loaded.description | _interface(loaded))
    return {"out": str(path), "kind": path.suffix[1:], "largest_difference": difference}


def is_classifier(path: str | os.PathLike[str]) -> bool:
    """Whether a path is that of a classifier, and not of a generator, judged by its files without loading them."""
    path = Path(path)
    if os.path.isdir(path):
        return (path / CLASSIFIER).is_file() and not (path / WEIGHTS).is_file()
    weights = path.with_suffix(".safetensors")
    try:
        with safe_open(weights, framework="pt") as file:
            return METADATA not in (file.metadata() or {})
    except (SafetensorError, OSError):
        return False


def _place(model: Any, out: str | Path | None, format: str | None) -> Path:
    """The file to write. Raises SparringError if nothing says its format, or if two things do and differ."""
    if format is not None and format not in FORMATS:
        raise SparringError(f"unknown format '{format}': {nearest(format, FORMATS)}")
    if out is not None:
        if format is not None and Path(out).suffix != FORMATS[format]:
            raise SparringError(f"'{out}' is not a name for the format {format}: it ends in {FORMATS[format]}")
        return Path(out)
    if format is None:
        raise SparringError("say what to write: a format, onnx or torch, or a file with --out (out=)")
    if isinstance(model, SavedGenerator | SavedClassifier):
        raise SparringError("say where to write a model that is loaded: out=FILE")
    stem = Path(CLASSIFIER if is_classifier(model) else WEIGHTS).stem
    return (Path(model) / stem if os.path.isdir(model) else Path(model)).with_suffix(FORMATS[format])


def _graph(loaded: SavedGenerator) -> Graph:
    """The graph, compared on latents and classes of images that `sample` draws."""
    coupled = bool(getattr(loaded.module, "batch_statistics", False))
    kind = _Conditional if loaded.num_classes else _Unconditional
    truth, made = (kind(copy.deepcopy(loaded.module)).cpu().float().train(coupled) for _ in range(2))
    for each in made.modules():
        if getattr(each, "fused", False):
            each.fused = False  # type: ignore[assignment]  # plain convolutions, which every runtime has

    def examples(count: int) -> tuple[Tensor, ...]:
        latents = loaded.latents(range(count))
        return (latents, torch.arange(count) % loaded.num_classes) if loaded.num_classes else (latents,)

    inputs = (LATENTS, LABELS) if loaded.num_classes else (LATENTS,)
    batches = (BATCH_STATISTICS_ROWS, 2 * BATCH_STATISTICS_ROWS) if coupled else (1, 5, 50)
    return Graph(made, inputs, IMAGES, examples, "generator", batches, truth)


def _interface(loaded: SavedGenerator) -> dict[str, Any]:
    """Inputs and outputs of the graph by name, and how the output becomes pixels."""
    given: dict[str, Any] = {LATENTS: f"float32 [B, {loaded.latent_size}], standard normal"}
    if loaded.num_classes:
        given[LABELS] = f"int64 [B], 0 to {loaded.num_classes - 1}"
    found = {"input": given, "output": {IMAGES: "float32 [B, C, H, W] in [-1, 1]"}, "pixels": PIXELS}
    if getattr(loaded.module, "batch_statistics", False):
        found["batch"] = f"images depend on the others of their batch: give {BATCH_STATISTICS_ROWS} latents at a time"
    return found
