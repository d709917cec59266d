"""Exports a classifier for other programs, as safetensors, torch.export or ONNX, and checks the written file.

The graph takes float images [B, C, H, W] in [-1, 1] (x / 127.5 - 1 of 8-bit levels) with any B, normalises them and returns
plain logits [B, K]. A JSON file beside it, such as model.onnx.json, has the classes, the threshold and so on.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sparring.classify.networks import Classifier
from sparring.classify.saved import DESCRIPTION, WEIGHTS, SavedClassifier, load_classifier, save_classifier
from sparring.errors import SparringError, one_line
from sparring.files import one_line_for_disk_errors, writable, write_json
from sparring.randomness import generator_for
from sparring.trust import consenting

TOLERANCE = 1e-4  # relative to the largest logit: float32 sums in another order
A_RUNS_OWN = ("classifier", "generator", "recipe", "results")  # stems of a run's JSON files
CURE = "choose another --out"
FOR_ANY_BATCH = (
    "; a graph must work for any batch: write x.flatten(1) for x.view(len(x), -1), and no `if` on a tensor's values"
)
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
    writers: dict[str, Callable[[SavedClassifier, Path], Callable[[Tensor], Tensor]]] = {
        ".safetensors": _write_safetensors,
        ".pt2": _write_torch_export,
        ".onnx": _write_onnx,
    }
    if out.suffix not in writers:
        raise SparringError(f"cannot export to '{out}': it ends in one of {', '.join(writers)}")
    if out.suffix == ".safetensors" and out.stem in A_RUNS_OWN and (out.parent / "recipe.json").is_file():
        raise SparringError(
            f"{out} would replace {out.stem}.json of the run in {out.parent}: choose another name or folder"
        )
    with writable(out.parent, CURE), one_line_for_disk_errors(CURE):
        for path in (out, _described(out)):
            if path.is_dir():
                raise SparringError(f"{path} is a folder: {CURE}")
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as scratch:
            written = Path(scratch) / out.name
            with one_line(f"cannot export this network as {out.suffix}: "):
                run = writers[out.suffix](loaded, written)
                difference = _largest_difference(loaded, run)
            if not difference <= TOLERANCE:
                raise SparringError(
                    f"{out.name} is not written: its logits differ from the classifier's by up to {difference:.2g} of the "
                    "largest"
                )
            if out.suffix != ".safetensors":
                write_json(_described(written), loaded.description | _interface(loaded, out))
            for path in Path(scratch).iterdir():
                os.replace(path, out.parent / path.name)
    return {"out": str(out), "kind": out.suffix[1:], "largest_difference": difference}


def _described(out: Path) -> Path:
    """The JSON file beside an exported file."""
    return out.with_suffix(".json") if out.suffix == ".safetensors" else Path(f"{out}.json")


def _interface(loaded: SavedClassifier, out: Path) -> dict[str, Any]:
    """The input and output of a file's graph, by name."""
    return {
        "file": out.name,
        "input": {INPUT: loaded.description["input"]},
        "output": {OUTPUT: "logits [B, K]"},
    }


def _write_safetensors(loaded: SavedClassifier, out: Path) -> Callable[[Tensor], Tensor]:
    save_classifier(out.parent, loaded.module, loaded.description)
    if out.name != WEIGHTS:
        os.replace(out.parent / WEIGHTS, out)
        os.replace(out.parent / DESCRIPTION, _described(out))
    with consenting(code=loaded.description["network"]["kind"]):
        return load_classifier(out).module


def _write_torch_export(loaded: SavedClassifier, out: Path) -> Callable[[Tensor], Tensor]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, about its own code
        with one_line(f"cannot export this network as {out.suffix}: ", FOR_ANY_BATCH):
            program = torch.export.export(
                _Plain(loaded.module), (_images(loaded, 2),), dynamic_shapes={INPUT: {0: torch.export.Dim("batch")}}
            )
        torch.export.save(program, out)
        return torch.export.load(out).module()


def _write_onnx(loaded: SavedClassifier, out: Path) -> Callable[[Tensor], Tensor]:
    try:
        import onnxruntime
        import onnxscript  # noqa: F401 - torch.onnx needs it
    except ImportError:
        raise SparringError("ONNX needs more packages: pip install 'sparring[export]'") from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _Plain(loaded.module),
            (_images(loaded, 2),),
            out,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes={INPUT: {0: torch.export.Dim("batch")}},
            external_data=False,
            dynamo=True,
            verbose=False,
        )
    session = onnxruntime.InferenceSession(out.read_bytes(), providers=["CPUExecutionProvider"])
    return lambda images: torch.from_numpy(np.asarray(session.run([OUTPUT], {INPUT: images.numpy()})[0]))


@torch.no_grad()
def _largest_difference(loaded: SavedClassifier, run: Callable[[Tensor], Tensor]) -> float:
    differences: list[float] = []
    for count in (1, 5):
        images = _images(loaded, count)
        here, there = loaded.module(images), run(images)
        if here.shape != there.shape:
            raise SparringError(
                f"the written file returns {list(there.shape)} for {count} images, not {list(here.shape)}"
            )
        differences.append(float((here - there).abs().max() / here.abs().max().clamp(min=1)))
    return float(torch.tensor(differences).double().max())  # NaN counts as the largest


def _images(loaded: SavedClassifier, count: int) -> Tensor:
    shape = (count, loaded.image_channels, loaded.image_size, loaded.image_size)
    return torch.rand(shape, generator=generator_for("export", count)) * 2 - 1
