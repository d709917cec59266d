"""As ARCHITECTURE.md promises, an addition takes one file and one registry line, and the command line knows it.

Each addition is made in a copy of the package, which then runs in a separate process.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import sparring
from sparring.data.arrays import write_npz
from tiny import tiny_images, tiny_recipe

METRIC = '''
from sparring.errors import SparringError
from sparring.metrics.base import Metric, record


class Shift(Metric):
    """The distance between the means of the features."""

    needs = frozenset({"fake.features"})

    def check(self, c):
        if c.fake.n > 30:
            raise SparringError(f"metric 'shift' takes 30 images, got {c.fake.n}: lower n")

    def records(self, fake, real, c):
        away = fake.features.double().mean(0) - real.stats.mean
        yield record("shift", away.norm().item(), "lower", dimensions=c.dimensions)
'''
EXTRACTOR = '''
import torch

from sparring.evaluation.extractors.base import Features, NetworkExtractor


class Twofold(NetworkExtractor):
    """The mean of the pixels and that of their squares, in grey levels."""

    name, weights_sha256, resize, dimensions, batch_size = "twofold", "none", "none", 2, 1_000

    def __init__(self, device, weights, sha256):
        self.device = device

    def see(self, images):
        flat = images.double().flatten(1)
        return Features(torch.stack([flat.mean(1), flat.square().mean(1)], 1).float())
'''
VERB = '''
"""The verb `sparring palette`."""

from pathlib import Path

import typer

from sparring.cli.options import AsJson
from sparring.cli.output import print_json, print_lines


def palette(source: Path, least: int = 0, as_json: AsJson = False) -> None:
    """List the grey levels of images."""
    from sparring.data.sources import load
    from sparring.errors import SparringError

    levels = [level for level in sorted(set(load(source).images.flatten().tolist())) if level >= least]
    if not levels:
        raise SparringError(f"{source} has no level from {least}: lower --least")
    print_json(levels) if as_json else print_lines(*map(str, levels))
'''
METHOD = '''
from sparring.objective.term import Term


class Centred(Term):
    """The mean score of real samples, squared over `width`: scores drift less."""

    width: float = 1.0

    def needs(self, player, update):
        return {"real"} if player == "discriminator" else set()

    def discriminator_loss(self, r):
        return (r.real.score.mean() / self.width).square()
'''
NETWORK = '''
import torch
from torch import nn

from sparring.networks.layers import ImageBackbone, network


@network
class Flat(ImageBackbone):
    """images [B, C, S, S] -> features [B, width], one linear layer and a ReLU."""

    width: int = 8

    def __post_init__(self):
        super().__post_init__()
        self.channels = self.width
        self.layer = nn.Linear(self.image_channels * self.image_size**2, self.width)

    def forward(self, images, labels=None):
        h = torch.relu(self.layer(images.flatten(1)))
        return h, [h]
'''
RUNNER = """
import contextlib, io, json, sys
from sparring.cli import main

results = []
for command in sys.argv[1:]:
    sys.argv = ["sparring", *command.split()]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code or 0
    results.append((code, out.getvalue(), err.getvalue()))
print(json.dumps(results))
"""


class Copy:
    """A copy of the package that can be extended."""

    def __init__(self, folder: Path):
        self.folder = folder
        shutil.copytree(
            Path(sparring.__file__).parent, folder / "sparring", ignore=shutil.ignore_patterns("__pycache__")
        )

    def add(self, file: str, text: str, registry: str, opening: str, line: str) -> None:
        """Write a file, and insert a line below the first line of a registry."""
        (self.folder / "sparring" / file).write_text(text)
        path = self.folder / "sparring" / registry
        before, found, after = path.read_text().partition(f"\n{opening}")
        first, end, rest = after.partition("\n")
        assert found, f"{registry} has no line that begins with {opening!r}"
        path.write_text(f"{before}{found}{first}{end}    {line}\n{rest}")

    def run(self, *commands: str) -> list[tuple[int, str, str]]:
        """Run commands in one process, in the folder of the copy. Returns (exit code, stdout, stderr) for each."""
        env = os.environ | {"PYTHONPATH": str(self.folder), "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
        ran = subprocess.run(
            [sys.executable, "-c", RUNNER, *commands],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=120,
            env=env,
        )
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)


@pytest.fixture
def package(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


def test_a_metric_and_an_extractor(package: Copy) -> None:
    package.add(
        "metrics/shift.py", METRIC, "metrics/__init__.py", "REGISTRY", '"shift": "sparring.metrics.shift:Shift",'
    )  # fmt: skip
    package.add(
        "evaluation/extractors/twofold.py", EXTRACTOR, "evaluation/extractors/registry.py", "EXTRACTORS",
        '"twofold": "sparring.evaluation.extractors.twofold:Twofold",',
    )  # fmt: skip
    one, other = tiny_images(30, seed=1), tiny_images(20, seed=2)
    write_npz(package.folder / "a.npz", one)
    write_npz(package.folder / "b.npz", other)
    recipe = tiny_recipe(data="b.npz", evaluation={"extractor": "twofold", "metrics": ["shift"], "n": 40})
    (package.folder / "mine.yaml").write_text(json.dumps(recipe))
    evaluated, helped, refused, trained = package.run(
        "evaluate a.npz --real b.npz --extractor twofold --metrics fd,shift --json",
        "evaluate --help",
        "train mine.yaml --out run",
        "train mine.yaml --out run evaluation.n=30",
    )
    assert evaluated[0] == 0, evaluated[2]
    shift, fd = json.loads(evaluated[1])
    assert (shift["metric"], fd["metric"], shift["dimensions"]) == ("twofold-shift", "twofold-FD", 2)
    pixels = [each.images.double().flatten(1) for each in (one, other)]
    by_hand = sum(float((a.mean() - b.mean()) ** 2) for a, b in [pixels, [x.square() for x in pixels]]) ** 0.5
    assert shift["value"] == pytest.approx(by_hand, rel=1e-6)
    assert "shift" in helped[1] and "twofold" in helped[1]
    assert refused[0] == 2 and "metric 'shift' takes 30 images, got 40: lower n" in refused[2]
    assert trained[0] == 0, trained[2]
    (row,) = map(json.loads, (package.folder / "run" / "metrics.jsonl").read_text().splitlines())
    assert row["metric"] == "twofold-shift" and row["n_fake"] == 30


def test_a_verb(package: Copy) -> None:
    package.add("cli/palette.py", VERB, "cli/main.py", "VERBS", '"sparring.cli.palette:palette",')
    images = tiny_images(2)
    write_npz(package.folder / "a.npz", images)
    listed, as_json, refused, mistyped, helped, start = package.run(
        "palette a.npz",
        "palette a.npz --least 9 --json",
        "palette a.npz --least 300",
        "palette",
        "palette -h",
        "--help",
    )
    levels = sorted(set(images.images.flatten().tolist()))
    assert listed == [0, "\n".join(map(str, levels)) + "\n", ""]
    assert json.loads(as_json[1]) == [level for level in levels if level >= 9] != levels
    assert refused == [2, "", "sparring: a.npz has no level from 300: lower --least\n"]
    assert mistyped[0] == 2 and "Try `sparring palette --help`" in mistyped[2]
    assert "List the grey levels of images." in helped[1] and "palette" in start[1]


def test_a_method_and_a_network(package: Copy) -> None:
    package.add(
        "terms/centred.py", METHOD, "terms/__init__.py", "REGISTRY", '"centred": "sparring.terms.centred:Centred",'
    )  # fmt: skip
    package.add(
        "networks/flat.py", NETWORK, "networks/__init__.py", "BACKBONES", '"flat": "sparring.networks.flat:Flat",'
    )  # fmt: skip
    write_npz(package.folder / "a.npz", tiny_images())
    recipe = tiny_recipe(data="a.npz", discriminator={"network": {"kind": "flat", "width": 5}}, steps=2, log_every=1)
    (package.folder / "mine.yaml").write_text(json.dumps(recipe))
    trained, shown, wrong_term, wrong_network = package.run(
        "train mine.yaml objective.centred.width=0.5 --out run",
        "show mine.yaml objective.centred.width=0.5 --json",
        "train mine.yaml objective.centred.widht=2 --out other",
        "train mine.yaml discriminator.network.widht=2 --out other",
    )
    assert trained[0] == 0, trained[2]
    first, second = map(json.loads, (package.folder / "run" / "log.jsonl").read_text().splitlines())
    for row in (first, second):  # one update each: the term's value follows from the mean score in the same row
        score = row["discriminator/real_score"]
        assert row["discriminator/centred"] == pytest.approx((score / 0.5) ** 2, rel=1e-4) and score != 0
    (term,) = (each for each in json.loads(shown[1])["terms"] if each["name"] == "centred")
    assert term["kind"] == "Centred" and term["needs"] == {"discriminator": ["real"]}
    assert json.loads(shown[1])["parameters"]["discriminator"] == 8 * 8 * 5 + 5 + 5 + 1
    for refused in (wrong_term, wrong_network):
        assert refused[0] == 2 and "did you mean 'width'?" in refused[2]
