"""scripts/new-method: what it writes is registered, documented, and passes its own test."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
KEPT = ("src/sparring", "tests/terms", "docs/methods", "scripts/new-method", "CHANGELOG.md", "pyproject.toml")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for kept in KEPT:
        source, target = ROOT / kept, tmp_path / kept
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    return tmp_path


def start(checkout: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "scripts/new-method", *words], cwd=checkout, capture_output=True, text=True)


def test_what_it_writes_works(checkout: Path) -> None:
    done = start(checkout, "fake_noise")
    assert done.returncode == 0, done.stderr
    for path in (line.rpartition(" ")[2] for line in done.stdout.split("\n\n")[0].splitlines()):
        assert "FILL IN" in (checkout / path).read_text() or "fake_noise" in (checkout / path).read_text(), path
        if path.endswith(".py"):
            ast.parse((checkout / path).read_text())
    recipe = yaml.safe_load((checkout / "src/sparring/recipes/fake_noise/fake_noise-cifar10.yaml").read_text())
    assert recipe["objective"] == {"fake_noise": {}}
    tests = ["test_fake_noise.py", "test_combinations.py::test_all_methods_on_one_host[nat_gan-none-plain]"]
    tests += ["test_combinations.py::test_every_other_method_is_in_the_combination"]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        *(f"tests/terms/{test}" for test in tests),
    ]
    environment = os.environ | {"PYTHONPATH": str(checkout / "src")}
    ran = subprocess.run(command, cwd=checkout, capture_output=True, text=True, env=environment)
    assert ran.returncode == 0, ran.stdout[-2000:]
    assert "5 passed" in ran.stdout
    again = start(checkout, "fake_noise")
    assert again.returncode == 1 and again.stderr.startswith("'fake_noise' is taken")


@pytest.mark.parametrize("name", ["FakeNoise", "fake-noise", "1x", "class", "../x", ""])
def test_a_name_that_python_or_files_cannot_have_is_refused(name: str) -> None:
    done = start(ROOT, name)
    assert done.returncode == 1 and "cannot be a method's name" in done.stderr and done.stdout == ""
