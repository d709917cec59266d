"""The first minutes of a new user: what the commands say to somebody who does not know them yet."""

from __future__ import annotations

import html
import io
import json
import shutil
import sys
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

import sparring

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """`command("train", ...)` runs in this process and returns (exit code, stdout, stderr)."""
    from sparring.cli import main

    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["sparring", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            main()
        captured = capsys.readouterr()
        return int(stop.value.code or 0), captured.out, captured.err

    return run


@pytest.mark.parametrize("words", [(), ("bench",)])
def test_case_24_a_command_without_arguments_leads_on(command: Command, words: tuple[str, ...]) -> None:
    code, out, err = command(*words)
    assert (code, err) == (0, "") and "sparring" in out and len(out.splitlines()) < 30


def test_case_24_the_bare_command_names_commands_to_try(command: Command) -> None:
    _, out, _ = command()
    assert all(f"sparring {each}" in out for each in ("train quickstart", "classify nat/demo", "toy", "recipes"))


def test_case_24_the_error_for_a_missing_argument_names_the_help_to_read(command: Command) -> None:
    code, out, err = command("train")
    assert (code, out) == (2, "") and "recipe" in err and "sparring train --help" in err and err.count("\n") == 1


def test_case_24_completion_can_be_installed(command: Command) -> None:
    _, out, _ = command("--help")
    assert "--install-completion" in out and "--show-completion" in out


def test_case_24_the_list_of_recipes_is_short_and_can_be_filtered(command: Command) -> None:
    code, out, _ = command("recipes")
    assert code == 0 and len(out.splitlines()) < 40 and "quickstart" in out and "run in full" in out
    code, out, _ = command("recipes", "as-gan", "--data", "cifar10")
    assert code == 0 and "as-gan/as-sn-dcgan-cifar10" in out and "celeba" not in out and "never" in out
    code, out, _ = command("recipes", "--json")
    assert len(json.loads(out)) > 100


@pytest.fixture
def own_images(tmp_path: Path) -> Path:
    """A folder with 3 classes of 8 small colour pictures each."""
    for name in ("cat", "dog", "owl"):
        (tmp_path / "own" / name).mkdir(parents=True)
        for i in range(8):
            pixels = np.random.default_rng([i, *name.encode()]).integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "own" / name / f"{i}.png")
    return tmp_path / "own"


@pytest.fixture
def without_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without any downloads."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


SMALL = ("generator.network.width=4", "discriminator.network.width=4", "steps=2", "batch_size=4")


@pytest.mark.usefixtures("without_weights", "without_reports")
def test_case_25_training_goes_on_without_the_extractors_weights(command: Command, own_images: Path) -> None:
    words = ("train", "sdp/wgan-gp-cifar10", "data=own", *SMALL)
    code, out, err = command(*words, "evaluation.every=1", "--out", "run")
    assert code == 0 and "run" in out, err
    notes = [line for line in err.splitlines() if line.startswith("not measured: Inception's weights")]
    assert len(notes) == 2  # when the run starts and when it ends
    assert all("evaluation.extractor=efficientnet-lite0" in line for line in notes)
    assert not (own_images.parent / "run" / "metrics.jsonl").read_text()
    code, out, err = command(*words, "evaluation.extractor=incepton", "--out", "other")
    assert (code, out) == (2, "") and "did you mean 'inception'?" in err and err.count("\n") == 1
    assert not (own_images.parent / "other").exists()


@pytest.mark.usefixtures("without_weights", "without_reports")
def test_case_25_evaluate_names_what_can_measure_these_images(command: Command, own_images: Path) -> None:
    code, out, err = command("evaluate", "own", "--real", "own")
    assert (code, out) == (2, "") and "--extractor efficientnet-lite0" in err and err.count("\n") == 1
    quick = ["quickstart", "data=own", "data.size=32", "data.channels=3", "data.num_classes=null"]
    assert command("train", *quick, *SMALL, "evaluation=null", "--out", "run")[0] == 0
    code, out, err = command("evaluate", "run")
    assert (code, out) == (2, "") and "--extractor efficientnet-lite0" in err and err.count("\n") == 1


def test_case_25_shares_of_imagenets_classes_are_not_printed_for_three(command: Command, own_images: Path) -> None:
    code, out, err = command("evaluate", "own", "--real", "own", "--extractor", "efficientnet-lite0", "--json")
    assert code == 0, err
    names = {record["metric"].removeprefix("efficientnet-lite0-") for record in json.loads(out)}
    assert names == {"FD", "IS"}


class FakeNotebook:
    """A fake IPython of a notebook: a shell with a kernel, and displays that update in place."""

    def __init__(self) -> None:
        self.shown: list[str] = []
        self.display = self  # IPython.display

    def get_ipython(self) -> FakeNotebook:
        return self

    kernel = object()

    def __call__(self, bundle: dict[str, str], **_: object) -> FakeNotebook:
        return self.update(bundle)

    def update(self, bundle: dict[str, str], **_: object) -> FakeNotebook:
        self.shown.append(bundle["text/plain"])
        return self


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> FakeNotebook:
    found = FakeNotebook()
    display = types.ModuleType("IPython.display")
    display.display = found  # type: ignore[attr-defined]
    shell = types.ModuleType("IPython")
    shell.get_ipython = found.get_ipython  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", shell)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    return found


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.usefixtures("without_reports")
def test_case_26_training_in_a_notebook_shows_how_far_it_is(
    notebook: FakeNotebook, recipe_file: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sparring.train(recipe_file(steps=3, log_every=1), out=tmp_path / "run")
    assert "training 0/3" in notebook.shown[0] and "training 3/3" in notebook.shown[-1]
    assert "D hinge" in notebook.shown[-1]
    sparring.train(recipe_file(steps=4, log_every=1), out=tmp_path / "run", resume=True)
    assert "resuming" in capsys.readouterr().err


@pytest.mark.usefixtures("without_reports")
def test_case_26_a_script_in_a_terminal_shows_how_far_it_is(
    recipe_file: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", Terminal())
        sparring.train(recipe_file(steps=3), out=tmp_path / "run")
        assert "3/3" in sys.stderr.getvalue()


@pytest.fixture
def classes_and_a_probe(tmp_path: Path) -> list[str]:
    """The arguments of a `classify` command for 2 classes of 40 pictures each and a probe that looks like one of them."""
    rng = np.random.default_rng(0)
    for folder, grey in (("data/train/dark", 40), ("data/train/light", 200), ("other/x", 200)):
        (tmp_path / folder).mkdir(parents=True)
        for i in range(40):
            pixels = np.clip(rng.normal(grey, 20, (8, 8)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / folder / f"{i}.png")
    shutil.copytree(tmp_path / "data" / "train", tmp_path / "data" / "test")
    values = {
        "data": {"source": str(tmp_path / "data"), "size": 8},
        "negatives": "noise:normal:50",
        "probes": {"lights from elsewhere": {"source": str(tmp_path / "other")}},
        "network": {"kind": "small_cnn", "width": 4},
        "criterion": "nat",
        "steps": 30,
        "batch_size": 16,
    }
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(values))
    return ["classify", "mine.yaml", "--out", "run"]


def test_case_29_a_classifiers_run_ends_with_a_verdict(command: Command, classes_and_a_probe: list[str]) -> None:
    code, out, err = command(*classes_and_a_probe)
    assert code == 0, err
    (line,) = [line for line in out.splitlines() if line.startswith("verdict")]
    results = json.loads(Path("run/results.json").read_text())
    caught = results["classifiers"]["nat"]["probes"]["lights from elsewhere"]["caught_as_unknown"]
    assert f'"unknown" to {caught:.1%} of lights from elsewhere' in line
    assert caught < 0.5 and "most of lights from elsewhere still get a class" in line
    assert results["verdict"] in line
    page = Path("run/report.html").read_text()
    assert html.escape(results["verdict"]) in page
    code, out, _ = command(*classes_and_a_probe, "--resume", "--json")
    assert json.loads(out)["verdict"] == results["verdict"]


def test_case_29_few_validation_images_cause_a_warning(command: Command, classes_and_a_probe: list[str]) -> None:
    """8 images choose the threshold for 5% false alarms."""
    code, _, err = command(*classes_and_a_probe)
    assert code == 0 and "8 validation images chose the threshold for 5.0% false alarms" in err
    warnings = json.loads(Path("run/results.json").read_text())["warnings"]
    assert any("8 validation images" in line for line in warnings)
    assert html.escape(warnings[-1]) in Path("run/report.html").read_text()


@pytest.mark.usefixtures("without_reports")
def test_case_28_the_error_for_two_adversarial_losses_says_what_to_do_and_that_works(
    command: Command, recipe_file: Callable[..., Path]
) -> None:
    code, out, err = command("show", recipe_file(), "objective={wasserstein: {}}")
    assert (code, out) == (2, "") and err.count("\n") == 1
    assert "to replace hinge by wasserstein, add objective.hinge=null" in err
    code, out, err = command("show", recipe_file(), "objective={wasserstein: {}}", "objective.hinge=null", "--json")
    assert code == 0, err
    assert [term["name"] for term in json.loads(out)["terms"] if term["host"]] == ["wasserstein"]
