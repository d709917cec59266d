"""A newcomer's first minutes: what the commands say before anything is known about them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """`command("train", ...)` -> (exit code, stdout, stderr), in this process."""
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


def test_case_24_a_missing_argument_says_whose_help_to_read(command: Command) -> None:
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
