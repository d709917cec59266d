"""Exports compute the same numbers, or are not written."""

import json
import shutil
import sys

import pytest
import torch
from torch import nn

import sparring
from sparring.classify.networks import build_classifier
from sparring.classify.recipe import ClassifierRecipe
from sparring.classify.saved import SavedClassifier, load_classifier
from sparring.errors import SparringError


class Choosy(nn.Module):
    """Its path depends on the image, which no graph holds."""

    def __init__(self, *, num_classes: int):
        super().__init__()
        self.linear = nn.Linear(3, num_classes)

    def forward(self, images):
        features = images.mean((2, 3))
        return self.linear(features) if float(features.sum()) > 0 else self.linear(-features)


def not_written(graph, out):
    """A writer in the place of a slow one."""
    out.write_bytes(b"graph")
    return graph.module


def test_files_in_one_folder_and_a_runs_own_are_left_alone(run, tmp_path, monkeypatch):
    for name in ("write_torch_export", "write_onnx"):
        monkeypatch.setattr(f"sparring.run.graph.{name}", not_written)
    for name in ("classifier.safetensors", "classifier.json", "recipe.json"):
        shutil.copy(run.folder / name, tmp_path / name)
    before = (tmp_path / "classifier.json").read_bytes()
    for kind in ("pt2", "onnx"):
        sparring.export_classifier(tmp_path, tmp_path / f"classifier.{kind}")
        assert json.loads((tmp_path / f"classifier.{kind}.json").read_text())["file"] == f"classifier.{kind}"
    for name in ("classifier", "recipe"):
        with pytest.raises(SparringError, match=rf"would replace {name}\.json of the run in"):
            sparring.export_classifier(tmp_path, tmp_path / f"{name}.safetensors")
    assert (tmp_path / "classifier.json").read_bytes() == before and ClassifierRecipe.load(tmp_path) == run.recipe


def test_a_place_below_a_file_is_one_line(run, tmp_path):
    (tmp_path / "file").write_text("")
    for below in ("file/a.pt2", "file/sub/a.pt2"):
        with pytest.raises(SparringError, match=r"cannot write .*file.*; choose another --out"):
            sparring.export_classifier(run.folder, tmp_path / below)


def test_a_network_that_no_graph_holds_is_one_line(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "users_networks", sys.modules[__name__])
    module = build_classifier("users_networks:Choosy", {}, image_size=8, image_channels=3, outputs=3, seed=0).eval()
    with pytest.raises(SparringError, match=r"cannot export this network as \.pt2: ") as caught:
        sparring.export_classifier(SavedClassifier(module, run.classifier.description), tmp_path / "a.pt2")
    assert "\n" not in str(caught.value) and not list(tmp_path.iterdir())


class Flat(nn.Module):
    """Linear, over pixels that are laid out by `view`: the batch it is traced with becomes part of the graph."""

    def __init__(self, num_classes):
        super().__init__()
        self.linear = nn.Linear(3 * 8 * 8, num_classes)

    def forward(self, images):
        return self.linear(images.view(len(images), -1))


def test_a_network_that_knows_the_batch_is_told_what_to_write(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "users_networks", sys.modules[__name__])
    module = build_classifier("users_networks:Flat", {}, image_size=8, image_channels=3, outputs=3, seed=0).eval()
    with pytest.raises(
        SparringError, match=r"as \.pt2: .*; a graph must work for any batch: write x\.flatten\(1\) for"
    ):
        sparring.export_classifier(SavedClassifier(module, run.classifier.description), tmp_path / "a.pt2")


def test_a_difference_that_is_no_number_is_no_agreement(run, tmp_path, monkeypatch):
    def once(graph, out):
        return lambda images: graph.module(images) * (float("nan") if len(images) == 5 else 1)

    monkeypatch.setattr("sparring.run.graph.write_torch_export", once)
    with pytest.raises(SparringError, match="by up to nan of the largest"):
        sparring.export_classifier(run.folder, tmp_path / "a.pt2")


@pytest.mark.parametrize("kind", ["safetensors", "pt2", "onnx"])
def test_an_export_computes_the_same_numbers(kind, run, tmp_path, pixels):
    from sparring.data.packed import to_float

    if kind == "onnx":
        pytest.importorskip("onnxruntime")
        pytest.importorskip("onnxscript")
    out = tmp_path / "sub" / f"garments.{kind}"
    written = sparring.export_classifier(run.folder, out)
    assert written["kind"] == kind and written["largest_difference"] < 1e-4
    described = out.with_suffix(".json") if kind == "safetensors" else out.with_name(f"garments.{kind}.json")
    facts = json.loads(described.read_text())
    if kind != "safetensors":
        assert facts["file"] == out.name and list(facts["input"]) == ["images"] and list(facts["output"]) == ["logits"]
    assert facts["class_names"] == ["left", "right", "top"] and facts["threshold"] == run.classifier.threshold
    assert sorted(path.name for path in out.parent.iterdir()) == sorted([described.name, out.name])
    images, expected = to_float(pixels), run.classifier.logits(pixels)
    if kind == "safetensors":
        found = load_classifier(out).logits(pixels)
    elif kind == "pt2":
        found = torch.export.load(out).module()(images)
    else:
        import onnxruntime

        session = onnxruntime.InferenceSession(out, providers=["CPUExecutionProvider"])
        found = torch.from_numpy(session.run(["logits"], {"images": images.numpy()})[0])
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_a_folder_in_the_place_of_the_file_or_of_its_description_is_one_line(run, tmp_path):
    for folder, out in (("a.pt2", "a.pt2"), ("b.json", "b.safetensors"), ("c.onnx.json", "c.onnx")):
        (tmp_path / folder).mkdir()
        with pytest.raises(SparringError, match=rf"{folder} is a folder.*: choose another --out") as caught:
            sparring.export_classifier(run.folder, tmp_path / out)
        assert "\n" not in str(caught.value) and not list((tmp_path / folder).iterdir())
    assert len(list(tmp_path.iterdir())) == 3


def test_an_export_that_disagrees_is_not_written(run, tmp_path, monkeypatch):
    monkeypatch.setattr("sparring.run.graph.write_torch_export", lambda graph, out: lambda x: graph.module(x) + 0.1)
    with pytest.raises(SparringError, match="its logits differ from the classifier's"):
        sparring.export_classifier(run.folder, tmp_path / "a.pt2")
    assert not list(tmp_path.iterdir())
    with pytest.raises(SparringError, match=r"it ends in one of \.safetensors, \.pt2, \.onnx"):
        sparring.export_classifier(run.folder, tmp_path / "a.tflite")
