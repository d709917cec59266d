"""A diagnosis of whole runs: its files, what it says is missing, mistakes in one line, and that it changes nothing."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image

import sparring
from sparring import cli
from sparring.data.arrays import write_npz
from sparring.data.packed import to_float
from sparring.errors import SparringError
from sparring.microscope.diagnosis import _name_apart, diagnose
from sparring.microscope.opened import OpenedRun
from sparring.microscope.sections import FIGURES, SECTIONS, Section, count_of, over_training, picture
from sparring.microscope.sections.conditioning import _draw_accuracies, _draw_layers
from sparring.microscope.sections.conditioning import measure as conditioning_of
from sparring.microscope.sections.curves import measure as curves_of
from sparring.microscope.sections.diversity import _beside, _classes, _pairs
from sparring.microscope.sections.diversity import measure as diversity_of
from sparring.microscope.sections.gradients import measure as gradients_of
from sparring.microscope.sections.memorisation import measure as memorisation_of
from tiny import CLASSES, tiny_images, tiny_recipe

OBJECTIVE = {"hinge": {}, "sdp": {"t": 0, "k": 2, "I_p": 2}, "multi_hinge": {}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tiny runs: a conditional one with three checkpoints, and a plain one with its last alone."""
    import sparring.report.html

    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sparring.report.html, "write_report", lambda run: None)
        recipe = tiny_recipe(objective=OBJECTIVE, checkpoint_every=2, keep_checkpoints=10, batch_size=16)
        recipe["generator"]["network"]["conditioning"] = "conditional_batch_norm"
        recipe["discriminator"] |= {"conditioning": "projection"}
        recipe["discriminator"]["network"]["spectral_norm"] = "exact"
        sparring.train(recipe, out=folder / "rich", data=tiny_images())
        write_npz(folder / "images.npz", tiny_images())
        wasserstein = tiny_recipe(objective={"wasserstein": {}}, checkpoint_every=6, data=str(folder / "images.npz"))
        sparring.train(wasserstein, out=folder / "plain")
    return folder


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are left out of the files: drawing takes longer than everything else."""
    monkeypatch.setattr("sparring.microscope.diagnosis.render", lambda figure, kind: b"<svg></svg>")


@pytest.fixture(scope="module")
def found(folder: Path):
    """All of it, but that drawing, which takes longest, is left to another test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sparring.microscope.diagnosis.render", lambda figure, kind: b"<svg></svg>")
        return diagnose(folder / "rich", folder / "plain", out=folder / "out", n=24, data=tiny_images())


def test_one_page_one_json_and_a_png_of_each_figure(found, folder: Path) -> None:
    page = found.report.read_text()
    assert all(title in page for title in SECTIONS.values())
    numbers = json.loads((found.folder / "numbers.json").read_text())
    assert set(numbers["sections"]) == set(SECTIONS) and numbers["n"] == 24 and numbers["date"]
    assert all(set(part) == {"rich", "plain"} for part in numbers["sections"].values())
    drawn = [name for part in found.sections for name, _, _ in part.figures]
    assert len(drawn) == len(set(drawn)) == len(list(found.folder.glob("*.png"))) > 20


def test_the_page_is_self_contained_and_its_pictures_are_whole(folder: Path) -> None:
    found = diagnose(folder / "rich", out=folder / "drawn", only="realistic", n=16, data=tiny_images())
    page = found.report.read_text()
    assert page.count("<svg") == page.count("<figure>") == len(found.sections[0].figures)
    assert all(target.startswith(("#", "data:")) for target in re.findall(r'(?:href|src)="([^"]*)"', page))
    assert "http" not in page
    for path in found.folder.glob("*.png"):
        with Image.open(path) as picture:
            assert min(picture.size) > 50


def test_what_cannot_be_drawn_is_said_with_its_cure(found) -> None:
    said = " ".join(line for lines in found.missing.values() for line in lines)
    for words in ("keep_checkpoints=20", "evaluation.every", "no split 'test'", "no sdp", "no boundary of its own"):
        assert words in said, words
    assert "rich has only the checkpoint" not in said and "plain has only the checkpoint of step 6" in said


def test_the_course_over_training_has_each_checkpoint(found) -> None:
    for name in ("gradients", "robustness", "conditioning", "diversity", "realistic"):
        over = found.numbers[name]["rich"]["over_training"]
        assert over["step"] == [2, 4, 6] and all(len(values) == 3 for values in over.values()), name
    confidence = found.numbers["robustness"]["rich"]["over_training"]
    assert all(a <= b for a, b in zip(confidence["adversarial real"], confidence["real"], strict=True))
    assert found.numbers["realistic"]["rich"]["k"] == 2 + 6 // 2  # as the term itself counts


def test_numbers_are_those_of_the_checkpoint_asked_for(folder: Path, undrawn) -> None:
    path = folder / "rich" / "checkpoints" / "step-000004.pt"
    found = diagnose(path, folder / "rich", out=folder / "two", only=["gradients"], n=24, data=tiny_images())
    assert set(found.numbers["gradients"]) == {"rich, step 4", "rich, step 6"}
    one, two = (found.numbers["gradients"][f"rich, step {step}"]["l1"] for step in (4, 6))
    assert one != two and one == pytest.approx(
        diagnose(path, out=folder / "one", only="gradients", n=24, data=tiny_images()).numbers["gradients"]["rich"][
            "l1"
        ]
    )


def test_no_two_runs_have_one_name_or_one_file() -> None:
    def named(*given: tuple[str, list[int]]) -> list[str]:
        runs: list[Any] = [
            SimpleNamespace(name=Path(folder).name, folder=Path(folder), steps=steps, last=steps[-1])
            for folder, steps in given
        ]
        _name_apart(runs)
        return [run.name for run in runs]

    assert named(("a/x", [6]), ("b/x", [6])) == ["x (1)", "x (2)"]
    assert named(("a/x", [4, 6]), ("a/x", [6])) == ["x, step 6 (1)", "x, step 6 (2)"]
    assert named(("a/x", [4]), ("a/x", [6]), ("b/x", [6])) == ["x, step 4", "x, step 6", "x"]
    assert named(("a/x", [6]), ("b/x", [6]), ("c/x (1)", [6])) == ["x (2)", "x (3)", "x (1)"]
    assert named(("x y", [6]), ("x-y", [6])) == ["x y (1)", "x-y (2)"]


def test_a_section_asked_for_twice_is_looked_at_once(folder: Path, undrawn) -> None:
    found = diagnose(folder / "rich", out=folder / "once", only=["curves", "curves"], n=16, data=tiny_images())
    assert [part.name for part in found.sections] == ["curves"]


def test_curves_of_a_run_that_was_never_measured_and_of_a_damaged_line(folder: Path, tmp_path: Path) -> None:
    rich, damaged = folder / "rich", tmp_path / "damaged"
    shutil.copytree(rich, damaged)
    good = {"step": 6, "metric": "fd", "value": 2.0, "better": "lower"}
    lines = [good, {"step": 6, "metric": "kd"}, {"step": 6, "value": 1.0}]
    (damaged / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    found = curves_of([OpenedRun(rich), OpenedRun(damaged)], 16)
    assert found.numbers["damaged"]["last"]["fd"] == 2
    assert found.missing == [
        "measurements over training: rich was never measured; set evaluation.every",
        "a measurement of damaged: a line of its metrics.jsonl, of step 6, is damaged",
        "measurements over training: damaged was only measured at its end; set evaluation.every",
    ]


def test_curves_of_a_checkpoint_end_at_its_step(folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(folder / "rich", run)
    rows = [{"step": step, "metric": "fd", "value": 9.0 - step, "better": "lower"} for step in (2, 4, 6)]
    (run / "metrics.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    log = [{"step": step, "discriminator/hinge": float(step)} for step in (2, 4, 6)]
    (run / "log.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in log))
    for step in (2, 4, 6):
        found = curves_of([OpenedRun(run / "checkpoints" / f"step-{step:06d}.pt")], 16)
        numbers = found.numbers["run"]
        assert numbers["steps"] == step and numbers["last"] == {"fd": 9.0 - step, "discriminator/hinge": step}
        assert found.missing == (
            ["measurements over training: run was measured less than twice up to step 2; set evaluation.every"]
            if step == 2
            else []
        )
    whole = curves_of([OpenedRun(run)], 16).numbers["run"]
    assert whole["steps"] == 6 and whole["last"]["fd"] == 3


def test_the_range_of_a_histogram_does_not_depend_on_the_order_of_runs(folder: Path) -> None:
    runs = [OpenedRun(folder / name, data=tiny_images()) for name in ("rich", "plain")]
    figures = []
    for order in (runs, runs[::-1]):
        drawn = {name: figure for name, figure, _ in gradients_of(order, 16).figures}
        figures.append({line.get_label(): line for line in drawn["gradient-histogram"].axes[0].lines})
    for name in ("rich", "plain"):
        assert figures[0][name].get_xdata().tolist() == figures[1][name].get_xdata().tolist()


def test_the_gradient_of_a_run_is_that_of_its_networks_by_hand(folder: Path) -> None:
    run = OpenedRun(folder / "plain", data=tiny_images())
    real, judge = run.real(6), run.subject().judge
    x = real.images.clone().requires_grad_()
    judge(x, real.labels).sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(run.subject().gradients(real.images, real.labels), x.grad)


def test_fakes_are_the_generators_own(folder: Path) -> None:
    run = OpenedRun(folder / "rich", data=tiny_images())
    many, few = run.fake(30), run.fake(5)
    assert torch.equal(many.images[:5], few.images)
    shares = torch.bincount(tiny_images().labels) / len(tiny_images())
    made = torch.nn.functional.one_hot(many.labels, CLASSES).cumsum(0)
    assert (made - torch.arange(1, 31)[:, None] * shares).abs().max() <= 1  # in the data's shares, any number of them
    generator = sparring.load(folder / "rich").module
    latents = sparring.randomness.normal((100, 6), "diagnose", "latents")
    torch.testing.assert_close(generator(latents, run.fake(100).labels)[:30], many.images)
    assert to_float(many.pixels).sub(many.images).abs().max() <= 0.5 / 127.5 + 1e-6


def test_one_boundary_for_real_in_the_whole_report(found) -> None:
    over = {name: found.numbers["conditioning"][name]["over_training"] for name in ("rich", "plain")}
    assert "real, train" in over["rich"] and "real, generated" in over["rich"] and set(over["plain"]) == {"step"}
    assert found.numbers["robustness"]["plain"]["boundary"] is not None
    assert any("share of images that plain calls real" in line for line in found.missing["conditioning"])


def test_samples_that_nobody_asked_a_class_of_have_no_self_accuracy(folder: Path, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sparring.report.html.write_report", lambda run: None)
        patch.setattr("sparring.microscope.diagnosis.render", lambda figure, kind: b"<svg></svg>")
        sparring.train(tiny_recipe(objective={"am_gan": {}}, steps=1), out=tmp_path / "am", data=tiny_images())
        found = diagnose(tmp_path / "am", folder / "rich", only="conditioning", n=16, data=tiny_images())
    over = {name: found.numbers["conditioning"][name]["over_training"] for name in ("am", "rich")}
    assert "classifier, train" in over["am"] and "classifier, generated" not in over["am"]
    assert "projection, generated" in over["rich"]
    assert "self-accuracy: the generator of am takes no classes" in found.missing["conditioning"]


def test_every_layers_spectrum_is_in_some_figure() -> None:
    drawn = Section("conditioning")
    _draw_layers(drawn, "run", {f"backbone.{i}": [2.0, 1.0] for i in range(14)} | {"embedding": [1.0, 1.0]})
    assert [name for name, _, _ in drawn.figures] == [f"spectrum-layers-run{end}" for end in ("", "-2", "-3")]
    lines = [line.get_label() for _, figure, _ in drawn.figures for line in figure.axes[0].lines]
    assert lines == [str(i) for i in range(14)]
    assert "13 to 14 of 14" in drawn.figures[2][2]


def test_many_classes_are_looked_at_in_some_of_them(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, part = OpenedRun(folder / "rich", data=tiny_images()), Section("diversity")
    assert _classes(part, run, 16) == list(range(CLASSES)) and not part.missing
    monkeypatch.setattr("sparring.microscope.sections.diversity.FEWEST", 9)  # as if 16 images were few for all classes
    assert _classes(part, run, 16) == [0] and "are enough for 1; use a larger --n" in part.missing[0]
    (real, fake), (few_real, few_fake) = _pairs(run, [0, 2], 8, 6)
    assert few_fake.labels.tolist() == [0, 2] * 4 and set(few_real.labels.tolist()) == {0, 2} and len(few_real) == 8
    assert torch.equal(few_fake.images[0], fake.images[0]) and fake.labels.tolist() == [i % CLASSES for i in range(8)]
    assert not torch.equal(few_fake.images[1], fake.images[1])  # of another class
    everything = run.real(len(tiny_images()))
    assert torch.equal(few_real.images, everything.images[(everything.labels != 1)][:8]) and len(real) == 8


def test_a_number_says_how_many_reals_there_were(folder: Path) -> None:
    run = OpenedRun(folder / "plain", data=tiny_images())
    for measure in (diversity_of, gradients_of):
        assert measure([run], 64).numbers["plain"]["n"] == len(tiny_images()) == 40
    drawn = {name: caption for name, _, caption in gradients_of([run], 64).figures}
    assert "at 40 real images" in drawn["gradient-histogram"]
    for measure in (conditioning_of, memorisation_of):
        numbers = measure([run], 64).numbers["plain"]
        assert (numbers["n_real"], numbers["n_fake"]) == (40, 64) and "n" not in numbers


def test_a_caption_counts_the_images_of_all_runs() -> None:
    assert count_of([60, 60]) == "60" and count_of(iter([256, 60])) == "60 to 256"


def test_no_table_is_printed_empty(found) -> None:
    alone = Section("conditioning", numbers={"plain": {"over_training": {"step": [6]}}})
    _draw_accuracies(alone)
    assert not alone.tables and all(rows for part in found.sections for _, rows in part.tables)


def test_a_second_look_takes_the_place_of_the_first(folder: Path, undrawn) -> None:
    out = folder / "twice"
    first = diagnose(folder / "rich", out=out, only=["gradients", "curves"], n=16, data=tiny_images())
    assert "up to 16 images" in first.report.read_text()
    (out / "mine.png").write_bytes(b"not ours")
    (folder / "outside.png").write_bytes(b"not ours")
    facts = json.loads((out / "numbers.json").read_text())
    assert {*facts["pictures"], "mine.png"} == {path.name for path in out.glob("*.png")}
    facts["pictures"] += ["../outside.png", 3]
    (out / "numbers.json").write_text(json.dumps(facts))
    second = diagnose(folder / "rich", out=out, only="gradients", n=16, data=tiny_images())
    kept = {f"{name}.png" for name, _, _ in second.sections[0].figures}
    assert {path.name for path in out.glob("*.png")} == {*kept, "mine.png"} and (folder / "outside.png").is_file()


def test_diagnosing_changes_nothing_of_a_run(folder: Path, found) -> None:
    before = {path: path.read_bytes() for path in (folder / "rich").rglob("*") if path.is_file()}
    state = torch.random.get_rng_state()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sparring.microscope.diagnosis.render", lambda figure, kind: b"<svg></svg>")
        diagnose(folder / "rich", out=folder / "again", only=["robustness", "conditioning"], n=16, data=tiny_images())
    assert {path: path.read_bytes() for path in (folder / "rich").rglob("*") if path.is_file()} == before
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize(
    ("runs", "options", "words"),
    [
        (["nowhere"], {}, "'nowhere' is not a run"),
        (["rich"], {"only": "gradient"}, "unknown section 'gradient'.*gradients"),
        (["rich"], {"only": None}, "unknown section None.*gradients"),
        (["rich"], {"only": [["curves"]]}, "unknown section .*did you mean 'curves'"),
        (["rich"], {"n": 3}, "whole number of at least 16, got 3"),
        (["rich"], {"n": 20.5}, "whole number of at least 16, got 20.5"),
        (["rich"], {"n": "20"}, "whole number of at least 16, got '20'"),
        (["rich"], {"n": None}, "whole number of at least 16, got None"),
        ([["rich", "plain"]], {}, "given by its folder, got .'rich', 'plain'.: write diagnose"),
        ([], {}, "nothing to diagnose"),
        (["bare"], {}, "has no checkpoint"),
        (["rich"], {"out": "plain/recipe.json"}, "is a file"),
        (["rich"], {"out": "plain/recipe.json/below"}, "Not a directory; choose another folder"),
        (["rich"], {"data": None}, "came from Python"),
        (["rich", "plain/../rich"], {}, "rich is given 2 times: give each run or checkpoint once"),
        (["rich/checkpoints/step-000004.pt"] * 2, {}, "given 2 times"),
        (["rich"], {"device": "cudaa"}, "cannot use device 'cudaa'"),
        (["rich"], {"device": "meta"}, "cannot use device 'meta'"),
    ],
)
def test_mistakes_get_one_line(runs, options, words, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    if "out" in options:
        monkeypatch.setattr("sparring.microscope.diagnosis.section", lambda name: pytest.fail("it had begun its work"))
    (folder / "bare").mkdir(exist_ok=True)
    shutil.copy(folder / "rich" / "recipe.json", folder / "bare" / "recipe.json")
    with pytest.raises(SparringError, match=words) as error:
        diagnose(*runs, **{"data": tiny_images(), "only": "gradients", "out": "unused", **options})
    assert "\n" not in str(error.value)


def test_the_public_name_is_the_function() -> None:
    assert sparring.diagnose is diagnose


def test_an_error_leaves_no_empty_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Exception):
        pass

    def broken(runs, n):
        raise Broken

    monkeypatch.setattr("sparring.microscope.diagnosis.section", lambda name: broken)
    (folder / "mine").mkdir()
    for out in ("new/below", "mine"):
        with pytest.raises(Broken):
            diagnose(folder / "plain", out=folder / out, only="gradients", n=16)
    with pytest.raises(Broken):
        diagnose(folder / "plain", only="gradients", n=16)
    assert (
        not (folder / "new").exists() and not (folder / "plain" / "diagnosis").exists() and (folder / "mine").is_dir()
    )


def test_the_command_prints_its_tables(folder: Path, monkeypatch, capsys) -> None:
    words = ["diagnose", folder / "plain", "--only", "gradients", "--n", 16, "--out", folder / "typed"]
    monkeypatch.setattr("sys.argv", ["sparring", *map(str, words)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    said = capsys.readouterr().out
    assert stop.value.code == 0 and "L1 norm" in said and "not shown: gradients over training: plain" in said
    assert str(folder / "typed" / "report.html") in said and (folder / "typed" / "gradient-maps.png").is_file()


def test_a_figure_alone_calls_runs_as_it_is_told(found, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sparring.microscope.sections.SHOWN", 24)
    assert {*FIGURES} <= {name for part in found.sections for name, _, _ in part.figures}
    figure, numbers = picture("gradient-maps", {"GAN <1>": [folder / "plain"], "GAN <2>": [folder / "plain"]})
    assert [text.get_text() for text in figure.texts][1:] == ["real", "GAN <1>", "GAN <2>"]
    assert {key: numbers["GAN <2>"][key] for key in ("l1", "n")} == {"l1": numbers["GAN <1>"]["l1"], "n": 24}
    with pytest.raises(SparringError, match="the projection's spectrum: no run has"):
        picture("spectrum-embedding", {"GAN": [folder / "plain"]})


def test_what_changed_over_training_is_in_logs_and_at_checkpoints(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sparring.microscope.sections.SHOWN", 24)
    run = OpenedRun(folder / "plain")
    logged = [(row["step"], row["discriminator/wasserstein"]) for row in run.log]
    alone = over_training({"GAN": [folder / "plain"] * 2}, ["discriminator/wasserstein"])
    assert {*alone} == {"GAN"} and alone["GAN"][0] == alone["GAN"][1] == tuple(map(list, zip(*logged, strict=True)))
    lines = over_training({"GAN": [folder / "plain"]}, ["gradients.l1", "gradients.l2", "robustness.nothing"])
    course = gradients_of([run], 24).numbers["plain"]["over_training"]
    assert lines == {f"GAN, {key}": {0: ([6], course[key])} for key in ("l1", "l2")}
    with pytest.raises(SparringError, match="no run has generator/x or spectra"):
        over_training({"GAN": [folder / "plain"]}, ["generator/x", "spectra.y"])


def test_samples_beside_each_other_are_class_by_class_or_run_by_run() -> None:
    pictures = {name: torch.full((1, 1, 2, 2), i, dtype=torch.uint8) for i, name in enumerate(("a", "b"))}
    assert [*_beside({"one": pictures, "two": pictures})] == ["a, one", "a, two", "b, one", "b, two"]
    plain = {" ": pictures["a"], "  ": pictures["b"]}
    found = _beside({"one": plain, "two": plain})
    assert [label.strip() for label in found] == ["one", "", "two", ""]
    assert [int(images[0, 0, 0, 0]) for images in found.values()] == [0, 1, 0, 1]
