"""Folders and files that may not be read or written."""

from __future__ import annotations

import os
import sys
import tempfile
from importlib import resources
from pathlib import Path

import pytest
from PIL import Image
from small_runs import CLASSIFIER, files

import sparring
from sparring import cli
from sparring.classify.run import train_classifier
from sparring.errors import SparringError
from tiny import SIDE, tiny_images, tiny_recipe

pytestmark = pytest.mark.usefixtures("without_reports")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root can become nobody")
def test_case_f_a_read_only_folder_is_refused_in_one_line_and_can_be_read():
    with tempfile.TemporaryDirectory() as place:  # tmp_path is for its owner alone
        folder = Path(place)
        run = sparring.train(tiny_recipe(steps=2), out=folder / "run", data=tiny_images())
        made = train_classifier(CLASSIFIER, out=folder / "classifier", data=tiny_images())
        before = files(folder)
        resources.files("sparring")  # its imports may be in unreadable folders
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o555 if path.is_dir() else 0o444)
        os.seteuid(65534)
        try:
            for work in (
                lambda: sparring.train(tiny_recipe(steps=2), out=folder / "new" / "run", data=tiny_images()),
                lambda: sparring.train(run.folder, {"steps": 3}, data=tiny_images(), resume=True),
                lambda: train_classifier(made.folder, data=tiny_images(), resume=True),
                lambda: sparring.toy.run("ring-8", ["steps=2"], out=folder / "toy"),
            ):
                with pytest.raises(
                    SparringError, match=r"cannot write .*Permission denied; choose another folder"
                ) as caught:
                    work()
                assert "\n" not in str(caught.value)
            assert sparring.load(run.folder).sample(2).shape == (2, 1, SIDE, SIDE)
        finally:
            os.seteuid(0)
        assert files(folder) == before


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root can become nobody")
def test_case_f_unreadable_files_are_refused_in_one_line(monkeypatch, capsys):
    with tempfile.TemporaryDirectory() as place:  # tmp_path is for its owner alone
        folder = Path(place)
        run = sparring.train(tiny_recipe(steps=2), out=folder / "run", data=tiny_images()).folder
        made = train_classifier(CLASSIFIER, out=folder / "classifier", data=tiny_images()).folder
        Image.new("L", (SIDE, SIDE)).save(folder / "a.png")
        folder.chmod(0o755)
        monkeypatch.chdir(folder)
        commands = [
            (run / "generator.safetensors", "sample run --n 2 --out x.npz"),
            (made / "classifier.safetensors", "predict classifier a.png --threshold 0.5"),
            (run / "recipe.json", "show run"),
            (run, "show run"),
            (run, "sample run --n 2 --out y.npz"),
            (run, "train quickstart data=run --out new"),
        ]

        def called(words):
            monkeypatch.setattr(sys, "argv", ["sparring", *words.split()])
            with pytest.raises(SystemExit) as stop:
                cli.main()
            return stop.value.code, capsys.readouterr().err

        for _, words in commands:
            called(words)  # so that everything is imported beforehand
        for path, words in commands:
            mode = path.stat().st_mode
            path.chmod(0)
            os.seteuid(65534)
            try:
                code, said = called(words)
            finally:
                os.seteuid(0)
                path.chmod(mode)
            assert code == 2 and said.count("\n") == 1 and "Permission denied" in said and "damaged" not in said, said
            assert "cannot write" not in said or "new" in said, said
