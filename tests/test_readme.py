"""The README's code runs as printed: its commands in order, and its training loop, which updates both players."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import sparring
from docs_blocks import ROOT, blocks, commands

README = ROOT / "README.md"
IN_PYTHON, OWN_LOOP = (block.text for block in blocks(README, language="python"))
SHORT = ["steps=2", "batch_size=8", "evaluation.n=20"]  # appended to `sparring train`
NOT_RUN = ("scripts/demo", "scripts/test", "python3", "source", "pip")  # test_docs.py checks that they exist


@pytest.mark.usefixtures("without_reports")
def test_the_commands_run_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Run them in one folder, like a user who pastes them, with overrides that shorten the runs."""
    from sparring.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sparring.suggestion.measure.SECONDS", 0.0)
    ran = []
    for command in (each for block in blocks(README, language="bash") for each in commands(block.text)):
        words = list(command.words)
        if words[:2] == ["python", "-"]:
            exec(command.given, {})
        elif words[0] == "sparring":
            short = SHORT if words[1:2] == ["train"] else []
            words = [word.replace("sdp.t=50", "sdp.t=1") for word in words]
            monkeypatch.setattr(sys, "argv", [*words, *short])
            with pytest.raises(SystemExit) as stop:
                main()
            assert stop.value.code in (0, None), (words, capsys.readouterr().err)
            ran.append(" ".join(words[:2]))
        else:
            assert words[0] in NOT_RUN, words
    verbs = ["train", "sample", "suggest", "train", "evaluate"]
    assert ran == ["sparring", *(f"sparring {verb}" for verb in verbs)]
    assert (tmp_path / "samples.png").is_file() and len(list(Path("pictures").rglob("*.png"))) == 2000
    assert "fashion-FD" in capsys.readouterr().out
    assert sparring.Recipe.load(tmp_path / "runs" / "mine").data.source == "pictures"


def test_the_lines_of_your_own_loop() -> None:
    torch.manual_seed(0)

    class MyDiscriminator(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer1 = nn.Sequential(nn.Conv2d(3, 4, 4, 2, 1), nn.LeakyReLU(0.2))
            self.layer2 = nn.Sequential(nn.Conv2d(4, 8, 4, 2, 1), nn.BatchNorm2d(8), nn.LeakyReLU(0.2))
            self.out = nn.Linear(8, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.out(self.layer2(self.layer1(x)).mean((2, 3)))

    my_discriminator = MyDiscriminator()
    G = nn.Sequential(nn.Linear(5, 3 * 64), nn.Tanh(), nn.Unflatten(1, (3, 8, 8)))
    opt_d, opt_g = (torch.optim.Adam(network.parameters(), 0.01) for network in (my_discriminator, G))
    names: dict = {
        "my_discriminator": my_discriminator,
        "opt_d": opt_d,
        "opt_g": opt_g,
        "real": torch.rand(8, 3, 8, 8),
    }
    once, again = OWN_LOOP.strip().split("\nd = ")
    lines = f"d = {again}"
    exec(once, names)
    for i, step in enumerate((0, 1, 3000, 3001)):
        before = [p.detach().clone() for network in (my_discriminator, G) for p in network.parameters()]
        opt_d.zero_grad(), opt_g.zero_grad()
        exec(lines, names | {"i": step, "fake": G(torch.randn(8, 5))})
        after = [p for network in (my_discriminator, G) for p in network.parameters()]
        assert sum(not torch.equal(a, b) for a, b in zip(before, after, strict=True)) >= len(after) - 1, i
    assert {int(opt_d.state[p]["step"]) for p in my_discriminator.parameters()} == {8}  # AS-GAN's second updates


def test_the_lines_in_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    short = IN_PYTHON.replace('"steps": 300', '"steps": 4, "evaluation.n": 20, "batch_size": 8')
    short = short.replace('"t": 50', '"t": 1').replace('"warmup": 20', '"warmup": 1')
    assert short != IN_PYTHON
    names: dict = {}
    exec(short, names)
    assert names["images"].shape == (64, 1, 32, 32) and names["boots"].shape == (8, 1, 32, 32)
    assert (tmp_path / "runs" / "both" / "report.html").is_file()
    printed = capsys.readouterr().out
    assert "fashion-FD" in printed and "'passes'" in printed
    both = sparring.Recipe.load(tmp_path / "runs" / "both")
    assert {"hinge", "sdp", "as_gan"} == set(both.objective.terms)
