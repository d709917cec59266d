"""Networks as graphs for other programs, torch.export (.pt2) or ONNX: written, run by their runtime, and compared."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sparring.errors import SparringError, needs, one_line
from sparring.files import one_line_for_disk_errors, writable, write_json

TOLERANCE = 1e-4  # relative to the largest output, or to 1 if that is less: float32 sums in another order
CURE = "choose another --out"
FOR_ANY_BATCH = (
    "; a graph must work for any batch: write x.flatten(1) for x.view(len(x), -1), and no `if` on a tensor's values"
)
FORMATS = {"onnx": ".onnx", "torch": ".pt2"}

Run = Callable[..., Tensor]  # the inputs of a graph in their order -> its output


@dataclass(frozen=True)
class Graph:
    """What is exported: a module whose forward has the inputs' names as parameters.

    examples   gives the inputs for a batch, in their order; every input's first dimension is the batch
    batches    numbers of rows with which the written graph is compared
    whose      what the module is called in errors
    truth      what the written graph is compared with, by default the module
    """

    module: nn.Module
    inputs: tuple[str, ...]
    output: str
    examples: Callable[[int], tuple[Tensor, ...]]
    whose: str
    batches: tuple[int, ...] = (1, 5)
    truth: Run | None = None


def described(out: Path) -> Path:
    """The JSON file beside an exported graph."""
    return Path(f"{out}.json")


def write_graph(graph: Graph, out: Path, description: Mapping[str, Any]) -> float:
    """Write a graph in the format of its file's ending, and its description beside it. See `write_checked`."""
    writer = {".pt2": write_torch_export, ".onnx": write_onnx}[out.suffix]

    def write(written: Path) -> Run:
        run = writer(graph, written)
        write_json(described(written), {"file": out.name, **description})
        return run

    return write_checked(graph, out, described(out), write)


def write_checked(graph: Graph, out: Path, beside: Path, write: Callable[[Path], Run]) -> float:
    """Write `out` and a file beside it, unless the written file computes other numbers.

    write: writes both into a folder for the path that it gets, and returns how to run the file.

    Returns the largest difference of the outputs. Raises SparringError if it exceeds the tolerance, if the exporter does not
    support the network, if a package is missing, and if the files cannot be written.
    """
    with writable(out.parent, CURE), one_line_for_disk_errors(CURE):
        for path in (out, beside):
            if path.is_dir():
                raise SparringError(f"{path} is a folder: {CURE}")
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as scratch:
            with one_line(f"cannot export this network as {out.suffix}: "):
                run = write(Path(scratch) / out.name)
                difference = largest_difference(graph, run)
            if not difference <= TOLERANCE:
                said = f"its {graph.output} differ from the {graph.whose}'s by up to {difference:.2g} of the largest"
                raise SparringError(f"{out.name} is not written: {said}")
            for path in Path(scratch).iterdir():
                os.replace(path, out.parent / path.name)
    return difference


def write_torch_export(graph: Graph, out: Path) -> Run:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, about its own code
        with one_line(f"cannot export this network as {out.suffix}: ", FOR_ANY_BATCH):
            program = torch.export.export(graph.module, graph.examples(2), dynamic_shapes=_any_batch(graph))
        torch.export.save(program, out)
        return torch.export.load(out).module()


def write_onnx(graph: Graph, out: Path) -> Run:
    with needs("ONNX needs more packages", "export"):
        import onnxruntime
        import onnxscript  # noqa: F401 - torch.onnx needs it
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            graph.module,
            graph.examples(2),
            out,
            input_names=list(graph.inputs),
            output_names=[graph.output],
            dynamic_shapes=_any_batch(graph),
            external_data=False,
            dynamo=True,
            verbose=False,
        )
    session = onnxruntime.InferenceSession(out.read_bytes(), providers=["CPUExecutionProvider"])

    def run(*given: Tensor) -> Tensor:
        arrays = {name: value.numpy() for name, value in zip(graph.inputs, given, strict=True)}
        return torch.from_numpy(np.asarray(session.run([graph.output], arrays)[0]))

    return run


def _any_batch(graph: Graph) -> dict[str, dict[int, Any]]:
    rows = torch.export.Dim("batch")
    return {name: {0: rows} for name in graph.inputs}


@torch.no_grad()
def largest_difference(graph: Graph, run: Run) -> float:
    differences: list[float] = []
    for count in graph.batches:
        given = graph.examples(count)
        here, there = (graph.truth or graph.module)(*given), run(*given)
        if here.shape != there.shape:
            raise SparringError(
                f"the written file returns {list(there.shape)} for {count} rows, not {list(here.shape)}"
            )
        differences.append(float((here - there).abs().max() / here.abs().max().clamp(min=1)))
    return float(torch.tensor(differences).double().max())  # NaN counts as the largest
