"""Exports compute the same numbers, or are not written."""

import json

import pytest
import torch

import sparring
from sparring.classify.saved import load_classifier
from sparring.errors import SparringError


@pytest.mark.parametrize("kind", ["safetensors", "pt2", "onnx"])
def test_an_export_computes_the_same_numbers(kind, run, tmp_path, pixels):
    from sparring.data.packed import to_float

    if kind == "onnx":
        pytest.importorskip("onnxruntime")
        pytest.importorskip("onnxscript")
    out = tmp_path / "sub" / f"garments.{kind}"
    written = sparring.export_classifier(run.folder, out)
    assert written["kind"] == kind and written["largest_difference"] < 1e-4
    facts = json.loads(out.with_suffix(".json").read_text())
    assert facts["class_names"] == ["left", "right", "top"] and facts["threshold"] == run.classifier.threshold
    assert sorted(path.name for path in out.parent.iterdir()) == ["garments.json", out.name]
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


def test_an_export_that_disagrees_is_not_written(run, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "sparring.classify.export._write_torch_export", lambda loaded, out: lambda x: loaded.module(x) + 0.1
    )
    with pytest.raises(SparringError, match="computes other logits than the classifier"):
        sparring.export_classifier(run.folder, tmp_path / "a.pt2")
    assert not list(tmp_path.iterdir())
    with pytest.raises(SparringError, match=r"it ends in one of \.safetensors, \.pt2, \.onnx"):
        sparring.export_classifier(run.folder, tmp_path / "a.tflite")
