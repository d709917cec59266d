"""The start page of the bare command, and shell completion."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from sparring.cli import main
from sparring.cli.main import START


def test_commands_on_the_start_page_exist(monkeypatch, capsys):
    """`--help` lists each of them; `--install-completion` is one of its options."""
    words = [re.split(r"\s{2,}", line.strip())[0] for line in START.splitlines() if line.startswith("  sparring")]
    assert len(words) >= 6
    monkeypatch.setattr(sys, "argv", ["sparring", "--help"])
    with pytest.raises(SystemExit):
        main()
    shown = capsys.readouterr().out
    for command in words:
        verb = command.split()[1]
        assert re.search(rf"\s{verb}\s", shown), command


def complete(words: str) -> list[str]:
    return subprocess.run(
        [sys.executable, "-m", "sparring"],
        env=os.environ
        | {"_SPARRING_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()


def test_a_shell_completes_commands_and_recipes():
    assert complete("sparring tr") == ["train"]
    assert complete("sparring train quick") == ["quickstart"]
    assert complete("sparring classify nat/d") == ["nat/demo"]


def test_completion_offers_folders_and_yaml_files_as_recipes(tmp_path, monkeypatch):
    (tmp_path / "quick").mkdir()
    (tmp_path / "quick.yaml").touch()
    (tmp_path / "quick.png").touch()
    monkeypatch.chdir(tmp_path)
    from sparring.cli.options import _completed

    assert _completed("quick", "GAN") == ["quickstart", "quick/", "quick.yaml"]
