"""Exports a classifier for other programs, as safetensors, torch.export or ONNX, and checks the written file.

The graph takes float images [B, C, H, W] in [-1, 1] (x / 127.5 - 1 of 8-bit levels) with any B, normalises them and returns
plain logits [B, K]. A JSON file beside it, such as model.onnx.json, has the classes, the threshold and so on.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sparring.classify.networks import Classifier
from sparring.classify.saved import DESCRIPTION, WEIGHTS, SavedClassifier, load_classifier, save_classifier
from sparring.errors import SparringError
from sparring.randomness import generator_for
from sparring.run.graph import FORMATS, Graph, Run, write_checked, write_graph
from sparring.trust import consenting

A_RUNS_OWN = ("classifier", "generator", "recipe", "results")  # stems of a run's JSON files
INPUT, OUTPUT = "images", "logits"


class _Plain(nn.Module):
    """The classifier, with the graph's name for its input."""

    def __init__(self, classifier: Classifier):
        super().__init__()
        self.classifier = classifier

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(images)


def export_classifier(
    classifier: str | os.PathLike[str] | SavedClassifier, out: str | Path, *, allow_code: bool = False
) -> dict[str, Any]:
    """Write a classifier to `out`, in the format of its ending: .safetensors, .pt2 (torch.export) or .onnx.

    Beside it, a JSON file describes it: NAME.json for .safetensors, which `load_classifier` reads, NAME.pt2.json or
    NAME.onnx.json. allow_code: see `load_classifier`.

    Returns the path, the kind, and `largest_difference`: between logits computed here and by the file's runtime (onnxruntime
    for .onnx) for batches of 1 and 5 images, relative to the largest logit. Raises SparringError if they differ, for
    another ending, if the file cannot be written or would replace a run's own, if an extra is not installed, and if the
    exporter does not support the network.
    """
    loaded = (
        classifier if isinstance(classifier, SavedClassifier) else load_classifier(classifier, allow_code=allow_code)
    )
    out = Path(out)
    endings = (".safetensors", *reversed(FORMATS.values()))
    if out.suffix not in endings:
        raise SparringError(f"cannot export to '{out}': it ends in one of {', '.join(endings)}")
    graph = Graph(_Plain(loaded.module), (INPUT,), OUTPUT, lambda count: (_images(loaded, count),), "classifier")
    if out.suffix == ".safetensors":
        if out.stem in A_RUNS_OWN and (out.parent / "recipe.json").is_file():
            raise SparringError(
                f"{out} would replace {out.stem}.json of the run in {out.parent}: choose another name or folder"
            )
        difference = write_checked(graph, out, out.with_suffix(".json"), lambda path: _write_safetensors(loaded, path))
    else:
        interface = {"input": {INPUT: loaded.description["input"]}, "output": {OUTPUT: "logits [B, K]"}}
        difference = write_graph(graph, out, loaded.description | interface)
    return {"out": str(out), "kind": out.suffix[1:], "largest_difference": difference}


def _write_safetensors(loaded: SavedClassifier, out: Path) -> Run:
    save_classifier(out.parent, loaded.module, loaded.description)
    if out.name != WEIGHTS:
        os.replace(out.parent / WEIGHTS, out)
        os.replace(out.parent / DESCRIPTION, out.with_suffix(".json"))
    with consenting(code=loaded.description["network"]["kind"]):
        return load_classifier(out).module


def _images(loaded: SavedClassifier, count: int) -> Tensor:
    shape = (count, loaded.image_channels, loaded.image_size, loaded.image_size)
    return torch.rand(shape, generator=generator_for("export", count)) * 2 - 1
