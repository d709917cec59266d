"""`sparring toy`: files, pictures and the command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import sparring
from sparring.errors import SparringError
from sparring.toy import play
from sparring.toy.scene import Scene
from sparring.toy.session import ToySession
from sparring.toy.tables import result_lines

QUICK = {"batch_size": 16}


@pytest.fixture(autouse=True)
def few_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(play, "FRAMES", 4)


@pytest.fixture
def sparring_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Any:
    """`sparring_command("toy", ...)` runs in this process and returns (exit code, stdout, stderr)."""
    from sparring.cli import main

    def run(*words: object) -> tuple[Any, str, str]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["sparring", *map(str, words)])
        with pytest.raises(SystemExit) as exit:
            main()
        return (exit.value.code, *capsys.readouterr())

    return run


def test_two_runs_with_the_same_seed_are_bit_identical(tmp_path: Path) -> None:
    a = sparring.toy.run("nat-1d", ["sdp", "batch_size=16"], steps=12, out=tmp_path / "a", film="gif")
    b = sparring.toy.run("nat-1d", {"method": "sdp", **QUICK}, steps=12, out=tmp_path / "b", film="none")
    assert [run.to_dict() for run in a.runs] == [run.to_dict() for run in b.runs]
    assert a.film is not None and b.film is None and a.still is not None and b.still is not None
    assert a.still.read_bytes() == b.still.read_bytes()  # one is drawn after three others


def test_a_few_points_from_a_file_are_enough(tmp_path: Path) -> None:
    np.save(tmp_path / "mine.npy", np.linspace(50, 90, 30))
    result = sparring.toy.run("points", file=tmp_path / "mine.npy", steps=3)
    assert result.runs[0].recipe.batch_size == 30 and set(result.numbers) == {"wasserstein", "oscillation"}


def test_versus_shares_world_seed_and_beginning() -> None:
    result = sparring.toy.run("nat-1d", QUICK, versus="non_saturating batch_size=16", steps=6, seed=5)
    ours, theirs = result.runs
    assert list(ours.recipe.objective.terms) == ["non_saturating", "negatives"]
    assert list(theirs.recipe.objective.terms) == ["non_saturating"]
    assert ours.session.world is theirs.session.world and ours.recipe.seed == theirs.recipe.seed == 5
    assert np.array_equal(ours.looks[0].samples, theirs.looks[0].samples)
    assert not np.array_equal(ours.looks[-1].samples, theirs.looks[-1].samples)
    assert [look.step for look in ours.looks] == [0, 1, 3, 6]  # more frequent early on
    assert result.folder is None and result.still is None


def test_a_second_run_may_be_a_mapping_like_the_first() -> None:
    words = sparring.toy.run("ring-8", QUICK, versus="hinge batch_size=16", steps=3)
    keys = sparring.toy.run("ring-8", QUICK, versus={"method": "hinge", **QUICK}, steps=3)
    assert keys.runs[1].to_dict() == words.runs[1].to_dict() and keys.runs[1].title == "hinge"


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (None, {}, "unknown world None: choose one of"),
        (["ring-8"], {}, "unknown world .*did you mean 'ring-8'"),
        ("ring-8", {"file": "nofile.csv"}, "'ring-8' takes no file, got 'nofile.csv': try image or points"),
        ("points", {"file": 3}, "made from a file, got 3: sparring toy points FILE"),
        ("ring-8", {"level": "x"}, "level, a distance to the data, is above 0, got 'x'"),
        ("ring-8", {"level": True}, "got True"),
        ("ring-8", {"words": None}, "a method and key=value, or a mapping of keys, got None"),
        ("ring-8", {"words": ["sdp", 3]}, "got 3"),
        ("ring-8", {"words": {3: 4}}, "keys are words .*got 3"),
        ("ring-8", {"words": {"method": ["sdp"]}}, "did you mean 'sdp'"),
        ("ring-8", {"versus": {}}, "--versus is empty"),
        ("ring-8", {"versus": 3}, "a method and key=value, or a mapping of keys, got 3"),
        ("ring-8", {"versus": {"method": "hinge", "seed": 1}}, "both runs share the world and the seed"),
    ],
)
def test_a_wrong_type_is_reported_in_one_line(name: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(SparringError, match=message) as caught:
        sparring.toy.run(name, **{"steps": 3, **options})
    assert "\n" not in str(caught.value)


def test_the_numbers_include_when_a_level_was_first_reached() -> None:
    plain = sparring.toy.run("nat-1d", QUICK, steps=9)
    at = {look.step: look.numbers["wasserstein"] for look in plain.runs[0].looks if look.step}
    assert len(at) == 3 and "reached" not in plain.numbers
    for level in (*at.values(), min(at.values()) / 2):
        result = sparring.toy.run("nat-1d", QUICK, steps=9, level=level)
        expected = next((step for step, distance in at.items() if distance <= level), None)
        assert result.numbers["reached"] == expected
        assert result_lines(result)[-1].split()[-1] == ("never" if expected is None else str(expected))


def test_the_picture_shows_the_curve_of_d_and_the_middle(tmp_path: Path) -> None:
    result = sparring.toy.run("nat-1d", QUICK, steps=6)
    run = result.runs[0]
    scene = Scene([play._panel(result.world, run)])
    picture = scene.draw([run.looks[-1]])
    assert np.asarray(picture).std() > 10 and picture.mode == "RGB"
    look, artists = run.looks[-1], scene.artists[0]
    x, y = artists["curve"].get_data()
    assert np.allclose(x, look.places[:, 0]) and np.allclose(y, 1 / (1 + np.exp(-look.realness)), atol=1e-6)
    middle = 1 / (1 + np.exp(-(look.of_data + look.of_samples) / 2))
    assert np.allclose(artists["boundary"].get_ydata(), middle)
    _, heights = artists["samples"].get_data()
    shown = (look.samples > -12) & (look.samples < 17)
    assert heights.sum() * 29 / 100 == pytest.approx(shown.mean(), abs=1e-3)  # an area of 1


@pytest.mark.parametrize("name", ["nat-2d", "gaussians"])
def test_the_text_of_each_kind_of_panel_is_inside_the_picture(name: str) -> None:
    result = sparring.toy.run(name, QUICK, versus="hinge batch_size=16", steps=3)
    scene = Scene([play._panel(result.world, run) for run in result.runs])
    picture = scene.draw([run.looks[-1] for run in result.runs])
    renderer = scene.canvas.get_renderer()
    legend = scene.figure.legends[0].get_window_extent(renderer)
    for axes in scene.axes[0]:
        title = axes._left_title.get_window_extent(renderer)
        assert title.y1 < legend.y0 and title.x1 < picture.width  # no overlap, nothing is cut off
    assert legend.x0 >= 0 and legend.x1 <= picture.width and legend.y1 <= picture.height


def test_the_command_writes_the_files_that_it_names(sparring_command: Any, tmp_path: Path) -> None:
    words = ["toy", "ring-8", "objective.sdp.k=5", "batch_size=16", "--steps", 40, "--film", "gif"]
    code, out, err = sparring_command(*words, "--versus", "hinge batch_size=16", "--out", "here")
    assert code == 0 and "modes covered" in out and "hinge" in out, err
    made = {path.name for path in (tmp_path / "here").iterdir()}
    assert made == {".lock", "still.png", "film.gif", "curves.png", "toy.json"}
    saved = json.loads((tmp_path / "here" / "toy.json").read_text())
    assert saved["runs"][0]["recipe"]["objective"]["sdp"]["k"] == 5
    code, out, _ = sparring_command("toy", "moons", "batch_size=16", "--steps", 3, "--film", "none", "--json")
    assert code == 0 and json.loads(out)["world"] == "moons" and json.loads(out)["film"] is None
    assert (tmp_path / "runs" / "toy" / "moons" / "still.png").is_file()


def test_mistakes_end_in_one_line_and_exit_code_2(
    sparring_command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "text.csv").write_text("1,2\nthree,4\n")
    (tmp_path / "one.csv").write_text("1,2\n")
    Image.new("L", (9, 9), 7).save(tmp_path / "blank.png")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "taken" / "still.png").mkdir(parents=True)
    cases: list[tuple[list[object], str]] = [
        (["rign-8"], "did you mean 'ring-8'"),
        (["points", "text.csv"], "line 2"),
        (["points", "one.csv"], "1 point"),
        (["points"], "toy points FILE"),
        (["image", "blank.png"], "blank"),
        (["ring-8", "objective.sdp.kk=5"], "unknown key objective.sdp.kk"),
        (["ring-8", "world.std=-1"], "world.std"),
        (["ring-8", "--film", "avi"], "got 'avi'"),
        (["ring-8", "--versus", "hinge world.std=1"], "share the world"),
        (["ring-8", "--steps", 0], "steps"),
        (["study"], "methods over seeds are a study now: sparring study run toy/ring-8"),
        (["ring-8", "--seeds", 3], "methods over seeds are a study now: sparring study run toy/ring-8"),
        (["ring-8", "--versus", "hinge 'x"], "close its quotes"),
        (["ring-8", "--versus", ""], "--versus is empty"),
        (["ring-8", "seed=abc"], "seed takes a whole number, got 'abc'"),
        (["ring-8", "seed=null"], "seed takes a whole number, got None"),
        (["nat-1d", "steps=7", "--steps", 5], "steps=7 and --steps 5 differ: give one of them"),
        (["nat-1d", "seed=1", "--seed", 2], "seed=1 and --seed 2 differ: give one of them"),
        (["nat-1d", "--steps", 5, "--versus", "hinge steps=6"], "steps=6 and --steps 5 differ"),
        (["ring-8", "start_from=/nowhere"], "does not read start_from"),
        (["ring-8", "--versus", "hinge log_every=1"], "does not read log_every"),
        (["ring-8", "step=nowhere:f"], "there is no module 'nowhere'"),
        (["ring-8", "--out", "one.csv"], "cannot write one.csv: File exists; choose another folder"),
        (["ring-8", "--out", "one.csv/below"], "one.csv/below: Not a directory; choose another folder"),
        (["ring-8", "--level", 0], "level, a distance to the data, is above 0"),
        (["ring-8", "--out", ""], "'--out': it is empty"),
        (
            ["ring-8", "--out", "taken"],
            "taken/still.png is a folder, and a file will be written there; choose another",
        ),
        (["gaussians", "world.stds=1e-30"], "scale them"),
        (["ring-8", "--out", "loop/below"], "Too many levels of symbolic links; choose another folder"),
    ]

    def too_late(*args: Any) -> None:
        pytest.fail("a mistake was said only after training")

    monkeypatch.setattr(ToySession, "step", too_late)
    for words, message in cases:
        code, out, err = sparring_command("toy", *words)
        assert code == 2 and message in err and err.count("\n") == 1 and not out, (words, err)
