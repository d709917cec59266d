"""A classifier from its two files, and what it says about images."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_classifiers import TINY, given, pictures, save

from sparring.classify.data import load_classifier_data
from sparring.classify.export import export_classifier
from sparring.classify.predict import predict
from sparring.classify.run import train_classifier
from sparring.classify.saved import is_unknown, load_classifier
from sparring.cli.classify_tables import print_predictions
from sparring.data.packed import PackedImages
from sparring.errors import SparringError


def test_a_saved_classifier_says_what_the_training_one_did_and_needs_no_data(run, tmp_path, pixels):
    for name in ("classifier.safetensors", "classifier.json"):
        shutil.copy(run.folder / name, tmp_path / name)
    loaded = load_classifier(tmp_path / "classifier.safetensors")
    assert torch.equal(loaded.logits(pixels), run.classifier.logits(pixels))
    assert loaded.class_names == ("left", "right", "top") and loaded.description["criterion"] == "nat"
    assert not loaded.module.training and loaded.description["accuracy"] == run.results["nat"]["accuracy"]
    assert loaded.threshold == run.results["nat"]["threshold"] and loaded.description["false_alarm_rate"] == 0.1


def test_floats_bytes_and_batches_give_the_same_logits(run, pixels):
    from sparring.data.packed import to_float

    whole = run.classifier.logits(pixels)
    assert torch.equal(whole, run.classifier.logits(to_float(pixels)))
    torch.testing.assert_close(whole[:1], run.classifier.logits(pixels[:1]))


def test_floats_of_any_precision_are_judged_in_float32(run, pixels):
    from sparring.data.packed import to_float

    images = to_float(pixels)
    assert torch.equal(run.classifier.logits(images.double()), run.classifier.logits(images))
    half = run.classifier.logits(images.half())
    assert half.dtype == torch.float32 and torch.equal(half, run.classifier.logits(images.half().float()))


def test_pytorch_oods_detectors_wrap_the_classifier(run, pixels):
    detectors = pytest.importorskip("pytorch_ood.detector")
    from sparring.data.packed import to_float

    module = run.classifier.module
    scores = detectors.MaxSoftmax(module).predict(to_float(pixels))
    torch.testing.assert_close(scores, -module(to_float(pixels)).softmax(1).amax(1))
    assert detectors.EnergyBased(module).predict(to_float(pixels)).shape == (len(pixels),)


def test_predictions_of_files_folders_and_zips_in_order(run, tmp_path, pixels):
    for i, image in enumerate(pixels):
        save(tmp_path / "album" / f"{i}.png", image)
    shutil.make_archive(str(tmp_path / "album"), "zip", tmp_path / "album")
    found = predict(run.folder, [tmp_path / "album" / "4.png", tmp_path / "album", tmp_path / "album.zip"], threshold=0)
    assert [entry["image"].rsplit("album", 1)[1] for entry in found[:3]] == ["/4.png", "/0.png", "/1.png"]
    assert len(found) == 13 and found[0]["label"] == found[5]["label"] == found[11]["label"] == "top"
    assert [entry["label"] for entry in found[1:7]] == ["left"] * 2 + ["right"] * 2 + ["top"] * 2
    probabilities = run.classifier.logits(pixels).double().softmax(1).amax(1)
    assert [entry["confidence"] for entry in found[1:7]] == pytest.approx(probabilities.tolist(), abs=1e-6)


def test_an_entry_has_the_probability_of_every_class(run, tmp_path, pixels):
    path = save(tmp_path / "a.png", pixels[0])
    (entry,) = predict(run.folder, path)
    expected = run.classifier.logits(pixels[:1]).double().softmax(1)[0].tolist()
    assert entry["probabilities"] == dict(zip(("left", "right", "top"), map(pytest.approx, expected), strict=True))
    assert entry["probabilities"][entry["best"]] == entry["confidence"]


def test_files_of_a_folder_that_are_no_images_are_counted(run, tmp_path, pixels):
    save(tmp_path / "album" / "a.png", pixels[0])
    for name in ("notes.txt", "b.raw"):
        (tmp_path / "album" / name).write_text("x")
    notes = []
    assert len(predict(run.folder, tmp_path / "album", note=notes.append)) == 1
    assert len(notes) == 1 and notes[0].startswith(f"'{tmp_path / 'album'}': 2 files are not images and are left out")


def test_below_the_threshold_it_is_unknown_and_the_best_guess_is_told(run, tmp_path, pixels):
    path = save(tmp_path / "a.png", pixels[0])
    (entry,) = predict(run.folder, path, threshold=1.0)
    assert entry["label"] == "unknown" and entry["unknown"] and entry["best"] == "left" and 0 < entry["confidence"] < 1
    (exactly,) = predict(run.folder, path, threshold=entry["confidence"])
    assert exactly["label"] == "left"
    own = predict(run.folder, path)[0]
    assert own["unknown"] == (own["confidence"] < run.results["nat"]["threshold"])


def test_other_sizes_and_grey_images_are_fitted(run, tmp_path):
    wide = np.zeros((20, 40), np.uint8)
    wide[:, :20] = 255
    Image.fromarray(wide).save(tmp_path / "wide.png")
    assert predict(run.folder, tmp_path / "wide.png", threshold=0)[0]["label"] == "left"


def test_an_unreadable_image_is_named_or_skipped(run, tmp_path, pixels):
    save(tmp_path / "b.png", pixels[0])
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(SparringError, match=r"cannot read image '.*a\.png'"):
        predict(run.folder, tmp_path)
    bad, good = predict(run.folder, tmp_path, skip_unreadable=True)
    assert "cannot read image" in bad["error"] and good["best"] == "left"


@pytest.mark.parametrize(
    ("images", "options", "words"),
    [
        (["nowhere.png"], {}, "there is no image or folder 'nowhere.png'"),
        ([], {}, "no images: name files"),
        ([__file__], {}, "is neither an image, a folder nor a zip"),
        (["."], {"threshold": 1.5}, "a probability from 0 to 1, got 1.5"),
        (["."], {"threshold": "x"}, "a probability from 0 to 1, got 'x'"),
        (3, {}, "images are paths of files, folders or zips, got int: tensors go to"),
        (torch.zeros(1, 3, 8, 8), {}, "got Tensor: tensors go to"),
        (["a" * 300], {}, "there is no image or folder 'aaa"),
    ],
)
def test_wrong_images_are_one_line(run, images, options, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SparringError, match=words):
        predict(run.folder, images, **options)


def test_a_damaged_zip_is_named_with_a_cure_that_predict_takes(run, tmp_path):
    (tmp_path / "bad.zip").write_bytes(b"no zip")
    with pytest.raises(SparringError, match=r"bad\.zip' is not a complete zip file .*or give a folder of its images$"):
        predict(run.folder, tmp_path / "bad.zip")


def test_an_empty_folder_and_a_classifier_that_is_none(run, tmp_path):
    with pytest.raises(SparringError, match="no images in"):
        predict(run.folder, tmp_path)
    with pytest.raises(SparringError, match="there is no classifier 'nowhere'"):
        predict("nowhere", tmp_path)
    with pytest.raises(SparringError, match=r"holds no trained classifier: classifier\.safetensors is missing"):
        predict(tmp_path, tmp_path)


@pytest.mark.parametrize("name", ["m.safetensors", "m.json"])
def test_either_of_its_two_files_names_a_classifier(name, run, tmp_path):
    export_classifier(run.folder, tmp_path / "m.safetensors")
    assert load_classifier(tmp_path / name).description["criterion"] == "nat"


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ("m.onnx", r"m\.onnx' is a classifier for other programs: give the run .*or its \.safetensors"),
        ("m.pt2", r"m\.pt2' is a classifier for other programs"),
        ("m.png", r"m\.png' is not a classifier: give the folder of a run of `sparring classify`, or a \.safetensors"),
        ("m.onnx.json", r"m\.onnx\.json' holds no trained classifier: m\.onnx\.safetensors is missing"),
        ("m" * 300, "there is no classifier '.*mmm"),
    ],
)
def test_a_file_beside_a_classifier_is_not_taken_for_it(named, words, run, tmp_path):
    export_classifier(run.folder, tmp_path / "m.safetensors")
    for name in ("m.onnx", "m.pt2", "m.png", "m.onnx.json"):
        (tmp_path / name).write_bytes(b"something else")
    with pytest.raises(SparringError, match=words):
        load_classifier(tmp_path / named)


@pytest.mark.parametrize("given", [None, 3])
def test_what_is_no_path_is_no_classifier(given):
    with pytest.raises(SparringError, match=f"the folder of a run or a .safetensors, got {given}"):
        load_classifier(given)


def test_an_answer_says_by_what_rule(run, tmp_path, pixels, capsys):
    path = save(tmp_path / "a.png", pixels[0])
    (own,), (other,) = predict(run.folder, path), predict(run.folder, path, threshold=0.5)
    numbers = run.results["nat"]
    assert own["threshold"] == numbers["threshold"] and own["false_alarm_rate"] == 0.1
    assert own["false_alarms_on_validation"] == numbers["false_alarms_on_validation"]
    assert (other["threshold"], other["false_alarm_rate"], other["false_alarms_on_validation"]) == (0.5, None, None)
    print_predictions([own])
    rule = f"confidence below {own['threshold']:.3g}, chosen for at most 10.0% false alarms on validation images"
    actual = f" (actual: {numbers['false_alarms_on_validation']:.1%})"
    assert capsys.readouterr().out.endswith(f"unknown: {rule}{actual}\n")
    print_predictions([{"image": "b.png", "error": "damaged"}, other])
    assert capsys.readouterr().out.endswith("unknown: confidence below 0.5, as requested\n")


def test_damaged_files_are_named(run, tmp_path):
    for name in ("classifier.safetensors", "classifier.json"):
        shutil.copy(run.folder / name, tmp_path / name)
    weights = bytearray((tmp_path / "classifier.safetensors").read_bytes())
    weights[-1] ^= 1
    (tmp_path / "classifier.safetensors").write_bytes(bytes(weights))
    with pytest.raises(SparringError, match="is damaged, or is not the file that"):
        load_classifier(tmp_path)
    (tmp_path / "classifier.json").write_text("{")
    with pytest.raises(SparringError, match=r"classifier\.json is damaged"):
        load_classifier(tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("num_classes", ..., "num_classes is a whole number from 2 to outputs, got nothing"),
        ("num_classes", 9, "num_classes is a whole number from 2 to outputs, got 9"),
        ("num_classes", 1, "from 2 to outputs, got 1"),
        ("num_classes", "3", "from 2 to outputs, got '3'"),
        ("class_names", ["a"], r"class_names is a list of num_classes names, or empty, got \['a'\]"),
        ("class_names", None, "or empty, got None"),
        ("class_names", [1, 2, 3], "or empty, got"),
        ("threshold", "x", "threshold is null or from 0 to 1, got 'x'"),
        ("threshold", 1.5, "threshold is null or from 0 to 1, got 1.5"),
        ("threshold", float("nan"), "threshold is null or from 0 to 1, got nan"),
        ("false_alarm_rate", [], r"false_alarm_rate is null or from 0 to 1, got \[\]"),
        ("outputs", None, "outputs is a whole number from 1, got None"),
        ("image_size", 0, "image_size is a whole number from 1, got 0"),
        ("network", {"kind": "small_cnn"}, "network is a mapping with kind and options"),
        ("network", ..., "network is a mapping with kind and options, got nothing"),
        ("weights_sha256", ..., "weights_sha256 is the hash of the weights, got nothing"),
    ],
)
def test_a_description_that_does_not_fit_is_named_by_its_key(key, value, words, run, tmp_path):
    copy_with(run, tmp_path, key, value)
    with pytest.raises(SparringError, match=rf"classifier\.json is damaged: .*{words}") as caught:
        load_classifier(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_description_may_lack_names_and_threshold(run, tmp_path, pixels):
    copy_with(run, tmp_path, "class_names", ...)
    assert load_classifier(tmp_path).class_names == ("0", "1", "2")
    copy_with(run, tmp_path, "threshold", ...)
    with pytest.raises(SparringError, match="has no threshold: give one"):
        load_classifier(tmp_path).predict(pixels)
    (tmp_path / "classifier.json").write_text("[]")
    with pytest.raises(SparringError, match="is damaged: it holds list, not a mapping"):
        load_classifier(tmp_path)


def copy_with(run, folder, key, value):
    """A run's two files in a folder, with one key of the description changed, or left out: `...`."""
    shutil.copy(run.folder / "classifier.safetensors", folder)
    description = json.loads((run.folder / "classifier.json").read_text()) | {key: value}
    (folder / "classifier.json").write_text(json.dumps({k: v for k, v in description.items() if v is not ...}))


@pytest.mark.parametrize("criterion", ["baseline", "nat", "extra_class"])
def test_the_false_alarm_rate_holds_on_the_images_it_was_chosen_from(criterion, tmp_path, without_report):
    changes = {"criterion": criterion, "steps": 30, "false_alarm_rate": 0.2}
    made = train_classifier(TINY, changes, out=tmp_path / "r", **given())
    validation = load_classifier_data(made.recipe, **given()).validation
    share = sum(p.unknown for p in made.classifier.predict(validation)) / len(validation)
    results = made.results[criterion]
    assert share == results["false_alarms_on_validation"] == made.classifier.description["false_alarms_on_validation"]
    assert share <= 0.2 and results["threshold"] > 0


def test_more_of_the_extra_class_than_is_allowed_is_said(tmp_path, without_report):
    notes = []
    alike = {**given(), "negatives": pictures(20)}  # the positives themselves
    changes = {"criterion": "extra_class", "negatives.per_batch": 12, "steps": 20, "false_alarm_rate": 0.01}
    made = train_classifier(TINY, changes, out=tmp_path / "r", note=notes.append, **alike)
    reached = made.results["extra_class"]["false_alarms_on_validation"]
    line = f"extra_class: {reached:.1%} of the validation images are taken for negatives, more than the 1.0%"
    assert reached > 0.01 and made.classifier.threshold == 0
    assert any(note.startswith(line) for note in notes)
    assert any(w.startswith(line) for w in json.loads((made.folder / "results.json").read_text())["warnings"])


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (torch.zeros(1, 1, 8, 8), r"are \[N, 3, H, W\], got \[1, 1, 8, 8\]"),
        (torch.zeros(3, 8, 8), r"got \[3, 8, 8\]: one image is images\[None\]"),
        (torch.full((1, 3, 8, 8), 255.0), r"float images are in \[-1, 1\].*got 255 to 255"),
        (torch.full((1, 3, 8, 8), float("nan")), "got nan to nan"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.long), "uint8, or floats"),
        (np.zeros((1, 3, 8, 8)), "got ndarray"),
        (torch.zeros(1, 3, 0, 0), "takes no images of"),
        (PackedImages(torch.zeros(1, 1, 8, 8, dtype=torch.uint8)), r"got \[1, 1, 8, 8\]"),
    ],
)
def test_images_that_are_none_get_no_label(run, images, words):
    with pytest.raises(SparringError, match=words) as caught:
        run.classifier.predict(images)
    assert "\n" not in str(caught.value)


def test_another_size_that_the_network_takes_and_rounding_are_no_mistake(run):
    assert len(run.classifier.predict(torch.full((2, 3, 12, 10), 1.004))) == 2


def test_an_answer_that_is_no_number_is_unknown():
    nan = torch.tensor([float("nan"), 0.9, 0.1, 0.9])
    assert is_unknown(nan, torch.tensor([0, 0, 0, 2]), 2, 0.5).tolist() == [True, False, True, True]


def test_names_are_printed_as_they_are(capsys):
    names = ["photo[copy].png", "x[/b].png", ":cat:.png"]
    rule = {"threshold": 0.6, "false_alarm_rate": None, "false_alarms_on_validation": None}
    print_predictions(
        [{"image": n, "label": "[red]a", "confidence": 0.5, "unknown": True, "best": "[b]", **rule} for n in names]
    )
    out = capsys.readouterr().out
    assert all(name in out for name in names) and out.count("[red]a") == out.count("[b]") == 3


def test_without_validation_there_is_no_threshold_until_one_is_given(tmp_path, pixels, without_report):
    made = train_classifier(TINY, {"validation": 0, "steps": 1}, out=tmp_path / "r", **given())
    assert made.classifier.threshold is None and made.results["nat"]["false_alarms_on_test"] is None
    with pytest.raises(SparringError, match="it has no threshold: give one"):
        made.classifier.predict(pixels)
    assert len(made.classifier.predict(pixels, 0.5)) == len(pixels)


def test_what_the_extra_class_takes_is_unknown(tmp_path, without_report):
    made = train_classifier(TINY, {"criterion": "extra_class", "steps": 30}, out=tmp_path / "r", **given())
    found = made.classifier.predict(pictures(6, ("bottom", "left"), seed=8).images, threshold=0)
    assert [p.label for p in found[:6]].count("unknown") >= 4 and [p.label for p in found[6:]].count("left") >= 4
    images = pictures(1).images
    logits = made.classifier.logits(images)
    assert logits.shape == (3, 4)
    of_classes = logits.double().softmax(1)[:, :3].sum(1)  # the extra class takes the rest
    sums = [sum(p.probabilities.values()) for p in made.classifier.predict(images, threshold=0)]
    assert sums == pytest.approx(of_classes.tolist()) and max(sums) < 1
