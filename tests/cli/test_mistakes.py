"""Mistakes of new users: each error says what is wrong and what to do, and leaves no folder behind."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from sparring import cli


@pytest.fixture
def say(monkeypatch, capsys, tmp_path):
    """`say("train three")` returns the error of a command, run in a folder with images and a text file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pictures").mkdir()
    Image.fromarray(np.zeros((32, 32), np.uint8)).save("pictures/0.png")
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "gan.yaml").write_text("extends: quickstart\nsteps: 3\n")
    before = set(tmp_path.rglob("*"))

    def run(words):
        monkeypatch.setattr(sys, "argv", ["sparring", *words.split()])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        out, err = capsys.readouterr()
        assert (stop.value.code, out) == (2, ""), err
        assert set(tmp_path.rglob("*")) == before
        *notes, last = err.splitlines()
        assert last.startswith("sparring: ") and "Traceback" not in err
        return "\n".join([*notes, last])

    return run


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ("train pictures", ("'pictures' is not a run", "quickstart data=pictures")),
        ("train quickstart --steps 3", ("no option --steps", "steps=VALUE")),
        ("train quickstart --batch-size=3", ("no option --batch-size", "batch_size=VALUE")),
        ("train quickstart --outt x", ("--outt", "--out", "`sparring train --help`")),
        ("train quickstart --out", ("'--out' requires an argument", "`sparring train --help`")),
        ("train quickstart device=cpu", ("device is an option, not a key", "--device cpu")),
        ("train quickstart out=x", ("out is an option, not a key", "--out x")),
        ("train quickstart data=", ("data takes a folder",)),
        ("train runs/nothing --resume", ("there is no run or recipe file 'runs/nothing'",)),
        ("train quickstart --resume --out gone data=away", ("gone holds no run yet: a new one starts there", "'away'")),
        (
            "classify nat/demo --resume --out gone data=away",
            ("gone holds no run yet: a new one starts there", "'away'"),
        ),
        ("train quickstart data=pictures", ("data has 1 image, fewer than a batch of 32",)),
        ("classify gan.yaml", ("a GAN's recipe", "sparring train")),
        ("classify nat/demo data=pictures", ("put each class in its own folder",)),
        ("sample notes.txt --out x.png", ("'notes.txt' is not a generator", "a run's folder")),
        ("sample quickstart --out x.png", ("'quickstart'", "runs/quickstart")),
    ],
)
def test_says_what_to_do_instead(say, words, parts):
    said = say(words)
    for part in parts:
        assert part in said, said


def test_a_key_may_have_spaces_around_it():
    from sparring.recipe.files import parse_overrides

    assert parse_overrides(["steps =5", " seed= 3"]) == {"steps": 5, "seed": 3}


def test_ctrl_c_ends_the_command_even_if_an_import_swallows_it(monkeypatch, capsys):
    def app(**_):
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise AttributeError("module 'numpy' has no attribute 'matrix'") from None

    monkeypatch.setattr(sys.modules["sparring.cli.main"], "app", app)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(SystemExit) as stop:
            cli.main()
    finally:
        signal.signal(signal.SIGINT, before)
    assert stop.value.code == 130 and capsys.readouterr() == ("", "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full, which only Linux has")
def test_output_to_a_full_device_fails_in_one_line():
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "sparring"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60
        )
    assert done.returncode == 2
    assert done.stderr.startswith("sparring: cannot write the output: ") and done.stderr.count("\n") == 1


def test_printed_commands_can_be_pasted_even_if_a_folder_has_spaces(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    small = ["generator.network.width=4", "discriminator.network.width=4", "steps=1", "batch_size=4", "evaluation=null"]
    monkeypatch.setattr(sys, "argv", ["sparring", "train", "quickstart", *small, "--out", "my run"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 0 and "sparring sample 'my run' --n 64" in capsys.readouterr().out
