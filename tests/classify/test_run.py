"""Runs from recipe to report, predictions, exports, and the command line, on tiny images."""

import json
import re
import shutil
import signal

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_classifiers import TINY, pictures

import sparring
from sparring.classify.predict import predict
from sparring.classify.recipe import ClassifierRecipe
from sparring.classify.run import ClassifierRun, train_classifier
from sparring.classify.saved import load_classifier
from sparring.classify.training import Training
from sparring.errors import SparringError

CHANGES = {"beside": ["baseline"], "probes.noise": "noise:normal:20", "steps": 30, "false_alarm_rate": 0.1}


def given():
    return {
        "data": pictures(20),
        "test": pictures(8, seed=1, split="test"),
        "negatives": pictures(24, ("bottom",), seed=2),
        "probes": {"bottom": pictures(10, ("bottom",), seed=3)},
    }


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A tiny run, trained once for all tests that read it."""
    torch.set_num_threads(1)
    return train_classifier(TINY, CHANGES, out=tmp_path_factory.mktemp("runs") / "tiny", **given())


@pytest.fixture
def without_report(monkeypatch):
    """Drawing a report takes longer than all else that a tiny run does."""
    monkeypatch.setattr("sparring.classify.run.write_classifier_report", lambda *arguments: None)


@pytest.fixture(scope="module")
def pixels():
    return pictures(2, seed=7).images


def test_a_run_leaves_its_files_and_both_classifiers(run):
    names = {path.relative_to(run.folder).as_posix() for path in run.folder.rglob("*") if path.is_file()}
    assert {
        "recipe.json",
        "results.json",
        "report.html",
        "classifier.safetensors",
        "classifier.json",
        "log.jsonl",
    } <= names
    assert {"beside/baseline/classifier.safetensors", "beside/baseline/log.jsonl"} <= names
    assert list(run.results) == ["baseline", "nat"] and run.results["nat"]["accuracy"] > 0.9
    facts = json.loads((run.folder / "recipe.json").read_text())
    assert facts["versions"]["torch"] and set(facts["fingerprints"]) >= {"train", "validation", "test", "negatives"}
    assert run.recipe == ClassifierRecipe.load(facts["recipe"])


def test_nat_is_less_sure_of_what_it_was_never_shown(run):
    baseline, nat = (run.results[name]["probes"]["bottom"] for name in ("baseline", "nat"))
    assert nat["ncr"]["0.8"] < baseline["ncr"]["0.8"] and nat["auroc"] > baseline["auroc"]


def test_the_report_holds_tables_histograms_and_mistakes_and_needs_nothing_else(run):
    page = (run.folder / "report.html").read_text()
    for words in (
        "NCR 0.4",
        "NCR 0.9",
        "AUROC",
        "FPR95",
        "accuracy, nat",
        "accuracy, baseline",
        "false alarms",
        "bottom",
    ):
        assert words in page
    assert page.count("<svg") >= 3 + 4  # test, bottom, noise; and the training curves
    assert "none of the classes: nat" in page and re.search(r"(left|right|top) 0\.\d{3}</figcaption>", page)
    assert page.count("data:image/png;base64") >= 20
    assert not re.search(r'(src|href)="http', page)


def test_figure_4_has_the_classifiers_side_by_side_and_their_heights():
    from sparring.classify.figures import confidence_histogram

    figure = confidence_histogram({"baseline": [0.97, 0.99, 0.12, 1.0], "nat": [0.11, 0.13]}, title="probe")
    axes = figure.axes[0]
    baseline, nat = ([(bar.get_x(), bar.get_height()) for bar in bars] for bars in axes.containers)
    assert [height for _, height in baseline][19] == 0.75 and [height for _, height in baseline][2] == 0.25
    assert [height for _, height in nat][2] == 1.0
    assert baseline[2][0] < nat[2][0] < baseline[3][0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["baseline", "nat"]


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


def test_pytorch_oods_detectors_wrap_the_classifier(run, pixels):
    detectors = pytest.importorskip("pytorch_ood.detector")
    from sparring.data.packed import to_float

    module = run.classifier.module
    scores = detectors.MaxSoftmax(module).predict(to_float(pixels))
    torch.testing.assert_close(scores, -module(to_float(pixels)).softmax(1).amax(1))
    assert detectors.EnergyBased(module).predict(to_float(pixels)).shape == (len(pixels),)


# --- predictions ---


def save(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(path)
    return path


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
        ([__file__], {}, "is no image, folder or zip"),
        (["."], {"threshold": 1.5}, "a probability from 0 to 1, got 1.5"),
    ],
)
def test_wrong_images_are_one_line(run, images, options, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SparringError, match=words):
        predict(run.folder, images, **options)


def test_an_empty_folder_and_a_classifier_that_is_none(run, tmp_path):
    with pytest.raises(SparringError, match="no images in"):
        predict(run.folder, tmp_path)
    with pytest.raises(SparringError, match="there is no classifier 'nowhere'"):
        predict("nowhere", tmp_path)
    with pytest.raises(SparringError, match=r"holds no trained classifier: classifier\.safetensors is missing"):
        predict(tmp_path, tmp_path)


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
    assert made.classifier.logits(pictures(1).images).shape == (3, 4)


# --- exports ---


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


# --- going on, and mistakes ---


def test_a_run_that_is_interrupted_goes_on_to_the_same_files(run, tmp_path, monkeypatch, without_report):
    step = Training.train_step

    def interrupted(self):
        step(self)
        if self.step == 11 and self.outputs == 3 and self.batches.negatives is not None:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Training, "train_step", interrupted)
    with pytest.raises(KeyboardInterrupt, match="continue it with --resume"):
        train_classifier(TINY, CHANGES, out=tmp_path / "r", **given())
    monkeypatch.setattr(Training, "train_step", step)
    with pytest.raises(SparringError, match="holds a run: continue it with --resume"):
        train_classifier(TINY, CHANGES, out=tmp_path / "r", **given())
    notes = []
    train_classifier(TINY, CHANGES, out=tmp_path / "r", resume=True, note=notes.append, **given())
    assert any("at step 11 of 30" in note for note in notes) and not any("training baseline" in note for note in notes)
    for name in ("classifier.safetensors", "results.json", "beside/baseline/classifier.safetensors"):
        assert (tmp_path / "r" / name).read_bytes() == (run.folder / name).read_bytes()


def test_another_recipe_or_other_images_are_refused_on_resume(run, without_report):
    with pytest.raises(SparringError, match=r"another recipe: steps was 30 and is 31\. Start a changed recipe"):
        train_classifier(TINY, {**CHANGES, "steps": 31}, out=run.folder, resume=True, **given())
    with pytest.raises(SparringError, match="started on other images: the negatives images have changed"):
        other = {**given(), "negatives": pictures(24, ("bottom",), seed=9)}
        train_classifier(TINY, CHANGES, out=run.folder, resume=True, **other)
    with pytest.raises(SparringError, match=r"came from Python \(python:PackedImages\): give them again"):
        train_classifier(run.folder, resume=True)


def test_a_trained_classifier_can_stand_beside_another(run, tmp_path, without_report):
    made = train_classifier(
        TINY, {"steps": 1, "seed": 5}, out=tmp_path / "r", beside={"the older one": run.folder}, **given()
    )
    assert list(made.results) == ["the older one", "nat"]
    assert made.results["the older one"]["accuracy"] == run.results["nat"]["accuracy"]
    with pytest.raises(SparringError, match="beside this run takes 3 x 8 x 8 images of 3 classes"):
        other = {**given(), "data": pictures(20, ("left", "top")), "test": pictures(8, ("left", "top"), seed=1)}
        train_classifier(TINY, {"steps": 1}, out=tmp_path / "s", beside={"old": run.folder}, **other)


def test_the_process_is_as_before(tmp_path, without_report):
    torch.manual_seed(4)
    before = torch.random.get_rng_state()
    train_classifier(TINY, {"steps": 1, "threads": 2}, out=tmp_path / "r", **given())
    assert torch.equal(before, torch.random.get_rng_state()) and torch.get_num_threads() == 1


def test_several_processes_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(SparringError, match="trained by one process"):
        train_classifier(TINY, {"steps": 1}, out=tmp_path / "r", **given())


@pytest.fixture
def cli(monkeypatch, capsys):
    """cli(words...) -> (exit code, stdout, stderr) of the command line, in this process."""
    from sparring.cli import main

    def call(*words):
        monkeypatch.setattr("sys.argv", ["sparring", *map(str, words)])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code or 0
        out = capsys.readouterr()
        return code, out.out, out.err

    return call


@pytest.fixture
def album(tmp_path):
    for split, seed, count in (("train", 0, 14), ("test", 1, 4)):
        for kind in ("left", "right", "bottom"):
            for i, image in enumerate(pictures(count, (kind,), seed=seed).images):
                save(tmp_path / "album" / split / kind / f"{i}.png", image)
    return tmp_path / "album"


def test_the_command_line_trains_predicts_and_exports(cli, album, tmp_path, without_report):
    words = ["network={kind: small_cnn, width: 4}", "steps=12", "batch_size=8", "negatives.per_batch=3", "threads=1"]
    (tmp_path / "mine.yaml").write_text(
        f"data: {{source: '{album}', split: train, classes: [left, right]}}\nnegatives: {{classes: [bottom]}}\n"
        "probes: {bottom: {classes: [bottom]}}\nsteps: 5\n"
    )
    code, out, _ = cli("classify", tmp_path / "mine.yaml", *words, "--out", tmp_path / "run", "--json")
    assert code == 0 and list(json.loads(out)["classifiers"]) == ["nat"]
    assert ClassifierRun(tmp_path / "run").results["nat"]["probes"]["bottom"]["n"] == 4
    code, out, err = cli("classify", tmp_path / "mine.yaml", *words, "--out", tmp_path / "run")
    assert code == 2 and out == "" and err.startswith("sparring: ") and "--resume" in err and err.count("\n") == 1
    code, out, _ = cli("classify", tmp_path / "mine.yaml", *words, "--out", tmp_path / "run", "--resume")
    assert code == 0 and "NCR 0.9" in out and "accuracy" in out and "report.html" in out
    code, out, _ = cli("predict", tmp_path / "run", album / "test" / "left", "--json", "--threshold", "0")
    assert code == 0 and [entry["best"] for entry in json.loads(out)] == [entry["label"] for entry in json.loads(out)]
    code, out, _ = cli("predict", tmp_path / "run", album / "test" / "left" / "0.png")
    assert code == 0 and "confidence" in out and "0.png" in out
    code, out, _ = cli("export", tmp_path / "run", "--out", tmp_path / "a.safetensors", "--json")
    assert code == 0 and json.loads(out)["kind"] == "safetensors"
    code, out, _ = cli("show", tmp_path / "mine.yaml", "--json")
    assert code == 0 and json.loads(out)["recipe"]["criterion"]["kind"] == "nat"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["classify", "nat/dmo"], "did you mean 'nat/demo'"),
        (["classify", "nat/demo", "negatives=null"], "criterion nat needs negatives"),
        (["classify", "nat/demo", "criterion=nad"], "did you mean 'nat'"),
        (["classify", "nat/demo", "beside=[nat]"], "each classifier of a run has another criterion"),
        (["classify", "nat/demo", "--beside", "runs/x"], "write NAME=RUN"),
        (["classify", "nat/demo", "--beside", "a=nowhere"], "there is no classifier 'nowhere'"),
        (["predict", "nowhere", "x.png"], "there is no classifier 'nowhere'"),
        (["export", "nowhere", "--out", "x.onnx"], "there is no classifier 'nowhere'"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line_and_2(cli, words, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = cli(*words)
    assert code == 2 and out == "" and expected in err and err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_classifier_recipes_are_listed_with_the_others_and_say_that_nobody_ran_them(cli):
    code, out, _ = cli("recipes", "--json")
    found = {row["name"]: row for row in json.loads(out)}
    assert code == 0 and found["nat/nat-cifar10"]["run_in_full"] is False
    assert found["nat/nat-cifar10"]["paper"]["number"]["NCR 0.9"] == [0.002, 0.018, 0.012, 0]
