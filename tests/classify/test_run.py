"""Runs from recipe to report, going on after a cut, and the command line, on tiny images."""

import json
import re
import signal
import sys

import pytest
import torch
from tiny_classifiers import CHANGES, TINY, given, pictures, save
from torch import nn

import sparring
from sparring.classify.export import export_classifier
from sparring.classify.figures import picture
from sparring.classify.job import ClassifierJob
from sparring.classify.recipe import ClassifierRecipe
from sparring.classify.report import ncr_rows_of
from sparring.classify.run import ClassifierRun, train_classifier
from sparring.errors import SparringError


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
    found = sparring.status(run.folder)
    assert (found.trains, found.state, found.parts) == (
        "classifier",
        "finished",
        {"baseline": (30, 30), "nat": (30, 30)},
    )
    accuracies = {each["of"]: (each["value"], each["n"]) for each in found.numbers if each["metric"] == "accuracy"}
    assert accuracies == {name: (each["accuracy"], each["n_test"]) for name, each in run.results.items()}
    assert [each.text for each in found.warnings] == run.warnings


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
    assert "images of no class: nat" in page and re.search(r"(left|right|top) 0\.\d{3}</figcaption>", page)
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


def test_a_run_that_is_interrupted_goes_on_to_the_same_files(run, tmp_path, monkeypatch, without_report):
    step = ClassifierJob.train_step

    def interrupted(self):
        step(self)
        if self.step == 11 and self.outputs == 3 and self.batches.negatives is not None:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(ClassifierJob, "train_step", interrupted)
    with pytest.raises(KeyboardInterrupt, match="continue it with --resume"):
        train_classifier(TINY, CHANGES, out=tmp_path / "r", **given())
    found = sparring.status(tmp_path / "r")
    assert (found.state, found.parts["baseline"][0], found.steps, found.checkpoint) == ("interrupted", 30, 60, 11)
    assert found.resume == f"sparring classify {tmp_path / 'r'} --resume"
    monkeypatch.setattr(ClassifierJob, "train_step", step)
    with pytest.raises(SparringError, match="holds a run: continue it with --resume"):
        train_classifier(TINY, CHANGES, out=tmp_path / "r", **given())
    notes = []
    train_classifier(TINY, CHANGES, out=tmp_path / "r", resume=True, note=notes.append, **given())
    assert any("at step 11 of 30" in note for note in notes) and not any("training baseline" in note for note in notes)
    for name in ("classifier.safetensors", "results.json", "beside/baseline/classifier.safetensors"):
        assert (tmp_path / "r" / name).read_bytes() == (run.folder / name).read_bytes()


def test_other_negatives_or_none_of_the_images_are_refused_on_resume(run, without_report):
    with pytest.raises(SparringError, match="started on other images: those of 'negatives' have changed"):
        other = {**given(), "negatives": pictures(24, ("bottom",), seed=9)}
        train_classifier(TINY, CHANGES, out=run.folder, resume=True, **other)
    with pytest.raises(SparringError, match=r"came from Python \(python:PackedImages\): pass them again"):
        train_classifier(run.folder, resume=True)


def test_what_a_recipe_says_of_itself_may_change_before_a_resume(run, without_report):
    changes = {**CHANGES, "about": "the same, described better", "run_in_full": True}
    assert train_classifier(TINY, changes, out=run.folder, resume=True, **given()).results == run.results


def test_a_criterion_that_stands_beside_itself_is_trained_once(tmp_path, without_report):
    notes = []
    changes = {"beside": ["baseline"], "criterion": "baseline", "steps": 1}
    made = train_classifier(TINY, changes, out=tmp_path / "r", note=notes.append, **given())
    assert list(made.results) == ["baseline"] and not (made.folder / "beside").exists()
    assert "beside names baseline, the recipe's own criterion: it is trained once" in notes


def test_a_trained_classifier_can_stand_beside_another(run, tmp_path, without_report):
    made = train_classifier(
        TINY, {"steps": 1, "seed": 5}, out=tmp_path / "r", beside={"the older one": run.folder}, **given()
    )
    assert list(made.results) == ["the older one", "nat"]
    assert made.results["the older one"]["accuracy"] == run.results["nat"]["accuracy"]
    with pytest.raises(SparringError, match="beside this run takes 3 x 8 x 8 images of 3 classes"):
        other = {**given(), "data": pictures(20, ("left", "top")), "test": pictures(8, ("left", "top"), seed=1)}
        train_classifier(TINY, {"steps": 1}, out=tmp_path / "s", beside={"old": run.folder}, **other)


def test_only_a_classifier_that_saw_the_negatives_has_seen_a_probe_of_them(run, tmp_path):
    images = given()
    images["probes"]["the negatives"] = images["negatives"]
    others = {"a baseline": run.folder / "beside" / "baseline", "an older one": run.folder}
    made = train_classifier(TINY, {"steps": 1, "beside": ["baseline"]}, out=tmp_path / "r", beside=others, **images)
    seen = {name: found["probes"]["the negatives"]["seen_in_training"] for name, found in made.results.items()}
    assert seen == {"a baseline": 0, "an older one": None, "baseline": 0, "nat": 1}
    rows = [row[1:3] for row in ncr_rows_of(made.results)[1] if row[0] == "the negatives"]
    assert rows == [["no", "a baseline"], ["–", "an older one"], ["no", "baseline"], ["yes", "nat"]]
    page = (made.folder / "report.html").read_text()
    assert page.count("mean of 1 unseen probes") == 4  # the same probe for all of them


def test_one_thread_is_no_threads(run):
    assert json.loads((run.folder / "recipe.json").read_text())["hardware"].endswith(", 1 thread")


def test_the_process_is_as_before(tmp_path, without_report):
    torch.manual_seed(4)
    before = torch.random.get_rng_state()
    train_classifier(TINY, {"steps": 1, "threads": 2}, out=tmp_path / "r", **given())
    assert torch.equal(before, torch.random.get_rng_state()) and torch.get_num_threads() == 1


class NoMean(nn.Module):
    def forward(self, logits, target):
        return logits.sum(1)


class WantsFeatures(nn.Module):
    def forward(self, logits, features, target):
        return logits.sum()


class NoGradient(nn.Module):
    def forward(self, logits, target):
        return (logits.argmax(1) == target).float().mean()


class Views(nn.Module):
    """A user's network with `view`, as many tutorials have it, straight and after a convolution."""

    def __init__(self, *, image_size: int, num_classes: int):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.linear = nn.Linear((3 + 4) * image_size**2, num_classes)

    def forward(self, images):
        n = images.shape[0]
        return self.linear(torch.cat([images.view(n, -1), self.conv(images).view(n, -1)], 1))


class Detached(Views):
    def forward(self, images):
        return super().forward(images).detach()


class FailsInTraining(Views):
    def forward(self, images):
        return super().forward(images) if not self.training else images.no_such_thing


class TwoAnswers(Views):
    def forward(self, images):
        logits = super().forward(images)
        return (logits, logits) if self.training else logits


class ChangesInPlace(Views):
    def forward(self, images):
        h = super().forward(images).exp()
        h.add_(1)  # exp's backward needs what it returned
        return h


class PerBatch(Views):
    """Batch norm over the batch alone cannot learn from one image."""

    def __init__(self, *, image_size: int, num_classes: int):
        super().__init__(image_size=image_size, num_classes=num_classes)
        self.norm = nn.BatchNorm1d(num_classes)

    def forward(self, images):
        return self.norm(super().forward(images))


class Fragile(nn.Module):
    def __init__(self, *, num_classes: int, deep: int = 1):
        super().__init__()
        assert deep < 9, "too deep"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"criterion": {"kind": "nat", "neg_weight": -1}}, "neg_weight is a finite number from 0, got -1"),
        ({"network.width": 0}, "width takes a whole number of at least 1, got 0"),
        ({"criterion": {"kind": "nat", "reduction": "none"}}, r"criterion 'nat' returns \[2\], not a scalar"),
        ({"criterion": "mine:NoMean"}, r"criterion 'mine:NoMean' returns \[2\]"),
        ({"criterion": "mine:WantsFeatures"}, r"fails on \(logits \[2, 3\], target \[0, -1\]\): .*missing 1 required"),
        ({"criterion": "mine:NoGradient"}, r"returns \[\], not a scalar tensor with a gradient"),
        ({"network": {"kind": "mine:Fragile", "deep": 9}}, "network 'mine:Fragile' cannot be built: too deep"),
        ({"criterion": {"kind": "mine:Fragile", "deep": 9}}, "criterion 'mine:Fragile' cannot be built: too deep"),
        ({"criterion": "mine:pictures"}, "criterion 'mine:pictures'"),
        ({"network": "mine:Detached"}, "network 'mine:Detached' returns logits without a gradient"),
        ({"network": "mine:FailsInTraining"}, r"fails in training on images \[2, 3, 8, 8\]: .*no_such_thing"),
        ({"network": "mine:TwoAnswers"}, r"network 'mine:TwoAnswers' returns tuple for 2 images"),
        (
            {"network": "mine:ChangesInPlace"},
            "'mine:ChangesInPlace' with criterion 'baseline' fails in the backward pass",
        ),
        (
            {"network": "mine:PerBatch", "criterion": "baseline", "batch_size": 1, "negatives": None},
            "fails in training",
        ),
    ],
)
def test_a_mistake_in_network_or_criterion_stops_the_run_before_it_starts(changes, words, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mine", sys.modules[__name__])
    monkeypatch.setattr(ClassifierJob, "train_step", lambda self: pytest.fail("trained"))
    with pytest.raises(SparringError, match=words) as caught:
        train_classifier(TINY, {"beside": ["baseline"], **changes}, out=tmp_path / "r", **given())
    assert "\n" not in str(caught.value) and not list(tmp_path.iterdir())


def test_a_users_network_may_call_view_and_resumes_and_predicts(tmp_path, monkeypatch, without_report):
    monkeypatch.setitem(sys.modules, "mine", sys.modules[__name__])
    changes = {"network": "mine:Views", "probes.noise": "noise:normal:20", "optimizer.lr": 0.001}
    made = train_classifier(TINY, changes, out=tmp_path / "r", **given())
    images = given()["test"]
    channels_last = images.images.contiguous(memory_format=torch.channels_last)
    assert torch.equal(made.classifier.logits(images), made.classifier.logits(channels_last))
    assert made.results["nat"]["probes"]["noise"]["n"] == 20 and len(made.classifier.predict(images, 0.5)) == 24
    assert export_classifier(made, tmp_path / "m.pt2")["largest_difference"] < 1e-4


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
    code, out, _ = cli(
        "classify", tmp_path / "mine.yaml", *words, "probes.bottom=null", "--out", tmp_path / "no probes"
    )
    assert code == 0 and "accuracy" in out and "NCR" not in out and "seen in training" not in out
    (album / "test" / "left" / "notes.txt").write_text("x")
    code, out, err = cli("predict", tmp_path / "run", album / "test" / "left", "--json", "--threshold", "0")
    assert err.count("\n") == 1 and "1 file is not an image and is left out, e.g. 'notes.txt'" in err
    assert all(set(entry["probabilities"]) == {"left", "right"} for entry in json.loads(out))
    assert code == 0 and [entry["best"] for entry in json.loads(out)] == [entry["label"] for entry in json.loads(out)]
    code, out, _ = cli("predict", tmp_path / "run", album / "test" / "left" / "0.png")
    assert code == 0 and "confidence" in out and "0.png" in out
    _answers_of_unknown_images(tmp_path / "run")
    code, out, _ = cli("export", tmp_path / "run", "--out", tmp_path / "a.safetensors", "--json")
    assert code == 0 and json.loads(out)["kind"] == "safetensors"
    code, out, _ = cli("show", tmp_path / "mine.yaml", "--json")
    assert code == 0 and json.loads(out)["recipe"]["criterion"]["kind"] == "nat"


def _answers_of_unknown_images(folder):
    figure, numbers = picture("confidences", {"NAT": [folder, folder], "again": [folder]})
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    assert sum(heights[:20]) == pytest.approx(1) and heights[:20] == heights[20:]  # shares of all images of all seeds
    measured = ClassifierRun(folder).results["nat"]["probes"]["bottom"]["ncr"]
    assert numbers["probe"] == "bottom" and numbers["images"] == 4 and numbers["NAT"]["above 0.9"] == measured["0.9"]
    figure, _ = picture("probabilities", {"NAT": [folder]})
    bars = [[bar.get_height() for bar in axes.patches] for axes in figure.axes[1::2]]
    assert len(bars) == 4 and all(sum(row) == pytest.approx(1, abs=1e-5) for row in bars)


@pytest.mark.parametrize("verb", ["evaluate", "diagnose", "train"])
def test_verbs_of_gans_say_that_a_run_is_a_classifiers(verb, cli, run):
    code, out, err = cli(verb, run.folder)
    assert code == 2 and out == "" and err.count("\n") == 1
    assert f"'{run.folder}' is a classifier's run: see its results.json" in err


def test_the_changes_that_classify_names_are_those_of_its_recipes(cli, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    _, out, _ = cli("classify", "--help")
    (named,) = re.findall(r"such as (\S+=\S+) or (\S+=\d+)", out)
    recipe = ClassifierRecipe.load("nat/demo", named)
    assert recipe.criterion.kind == "baseline" and recipe.negatives.range == (32, 32)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["classify", "nat/dmo"], "did you mean 'nat/demo'"),
        (["classify", "nat/demo", "negatives=null"], "criterion nat needs negatives"),
        (["classify", "nat/demo", "beside=[baseline, baseline]"], "each classifier of a run needs its own criterion"),
        (["classify", "nat/demo", "--beside", "a=x", "--beside", "a=y"], "two classifiers are called 'a'"),
        (["classify", "nat/demo", "--beside", "baseline=x"], "trains a classifier called 'baseline' itself"),
        (["classify", "nat/demo", "--beside", "nat=x"], "give the one beside it another NAME"),
        (["classify", "nat/demo", "--beside", "runs/x"], "write NAME=RUN"),
        (["classify", "nat/demo", "--beside", "a=nowhere"], "there is no classifier 'nowhere'"),
        (["predict", "nowhere", "x.png"], "there is no classifier 'nowhere'"),
        (["export", "nowhere", "--out", "x.onnx"], "there is no run or generator file 'nowhere'"),
        (
            ["classify", "nat/demo", "network=os:path"],
            "network 'os:path' is neither a class nor a function, but <module",
        ),
        (
            ["classify", "nat/demo", "criterion=os:path"],
            "criterion 'os:path' is neither a class nor a function, but <module",
        ),
        (
            ["classify", "nat/demo", "criterion=math:pi"],
            "criterion 'math:pi' is neither a class nor a function, but 3.14",
        ),
        (
            ["classify", "nat/demo", "criterion=foo"],
            "one of baseline, extra_class, nat. Your own is package.module:Name",
        ),
        (["classify", "nat/demo", "criterion=nad"], "did you mean 'nat'? Your own is package.module:Name"),
        (["classify", "nat/demo", "--out", "a" * 300], "name too long; choose another folder with --out"),
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
