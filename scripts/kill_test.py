#!/usr/bin/env python
"""Kill runs at random moments and check that they end in the same bits: `python scripts/kill_test.py --times 50`.

The recipe uses almost every feature: schedules, EMA, spectral and batch norm, noise, dropout, lazy and second updates, terms
with memory, micro-batches and evaluation. It is trained once without interruption, then repeatedly with `kill -9` and
`--resume`. All results are compared: checkpoints, generator, log, metrics, vital signs and samples. `--pairs 20` also
starts, and resumes, two processes in one folder at nearly the same time: one must be refused.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import yaml

COMMAND = [sys.executable, "-m", "sparring", "train"]
TIMES = ("seconds", "steps_per_second")
RECIPE = {
    "name": "kill-test",
    "data": {"source": "images.npz", "flip": True},
    "negatives": {"source": "noise:uniform:200"},
    "generator": {
        "network": {"kind": "dcgan", "width": 8, "conditioning": "conditional_batch_norm", "spectral_norm": "exact"},
        "latent_size": 8,
        "batch_size": 24,
        "optimizer": {"lr": {"knots": [[0, 1e-3], [60, 1e-4]]}, "betas": [0.0, 0.9]},
        "ema": {"decay": {"knots": [[0, 0.5], [30, 0.95]]}, "start": 5},
    },
    "discriminator": {
        "network": {"kind": "amgan", "width": 8, "normalisation": "batch", "noise": 0.1, "dropout": 0.3},
        "conditioning": "projection",
        "optimizer": {"lr": 1e-3, "betas": [0.0, 0.9]},
    },
    "objective": {
        "hinge": {},
        "r1": {"every": 16, "weight": 0.5},
        "sdp": {"t": 3, "k": 1, "I_p": 7},
        "negatives": {"per_batch": 4, "join_every": 3},
        "as_gan": {
            "eps": 0.05,
            "warmup": 4,
            "warmup_scope": "epoch",
            "attack": "pgd",
            "pgd_steps": 2,
            "random_start": True,
        },
        "lecam": {"weight": 0.3, "start": 2},
    },
    "steps": 60,
    "batch_size": 16,
    "d_steps": 5,
    "accumulate": 2,
    "evaluation": {"every": 20, "n": 100, "n_real": 120, "extractor": "efficientnet-lite0"},
    "log_every": 7,
    "samples_every": 20,
    "checkpoint_every": 5,
    "keep_checkpoints": 3,
    "threads": 1,
}


def main() -> None:
    options = _options()
    chosen = random.Random(options.seed)
    folder = Path(options.folder or tempfile.mkdtemp(prefix="kill-test-"))
    folder.mkdir(parents=True, exist_ok=True)
    recipe = _write_recipe(folder, options.changes)
    began = time.monotonic()
    _run(folder, [str(recipe), "--out", "whole"])
    took = time.monotonic() - began
    print(f"undisturbed: {took:.1f} s", flush=True)
    killed = number = 0
    while killed < options.times:
        number += 1
        kills = _train_under_fire(folder, recipe, f"run-{number}", chosen, took, options.times - killed)
        killed += kills
        _compare(folder / "whole", folder / f"run-{number}")
        shutil.rmtree(folder / f"run-{number}")
        print(f"run {number}: killed {kills} times, the same bits ({killed} of {options.times} kills)", flush=True)
    for number in range(options.pairs):
        delay = chosen.uniform(0, 3)
        said = _start_two(folder, recipe, f"pair-{number}", delay)
        print(f"pair {number}: {delay:.2f} s apart, {said}", flush=True)
    print(f"passed: {killed} kills, {options.pairs} pairs")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=50, help="total number of kills")
    parser.add_argument("--pairs", type=int, default=0, help="number of simultaneous starts in one folder")
    parser.add_argument("--seed", type=int, default=0, help="seed for the moments of the kills")
    parser.add_argument("--folder", help="working folder (default: a temporary one)")
    parser.add_argument("changes", nargs="*", help="key=value overrides of the recipe, such as evaluation=null")
    return parser.parse_args()


def _write_recipe(folder: Path, changes: list[str]) -> Path:
    draw = np.random.RandomState(0)
    labels = np.repeat(np.arange(3), 40)
    pixels = (
        draw.randint(0, 256, (120, 8, 8, 3)).astype(np.uint8) // 2 + (labels * 60).astype(np.uint8)[:, None, None, None]
    )
    np.savez(folder / "images.npz", images=pixels, labels=labels)
    values = dict(RECIPE)
    for change in changes:
        key, _, value = change.partition("=")
        values[key] = yaml.safe_load(value)
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def _start(folder: Path, words: list[str]) -> subprocess.Popen[bytes]:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "SPARRING_CACHE": str(folder / "cache")}
    return subprocess.Popen(
        [*COMMAND, *words], cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def _run(folder: Path, words: list[str]) -> None:
    process = _start(folder, words)
    errors = process.communicate()[1].decode()
    if process.returncode:
        sys.exit(f"{' '.join(words)} ended with {process.returncode}:\n{errors[-2000:]}")


def _train_under_fire(folder: Path, recipe: Path, name: str, chosen: random.Random, took: float, most: int) -> int:
    """Start or resume a run and kill it at random moments until it finishes. Returns the number of kills."""
    kills = 0
    while True:
        process = _start(folder, [str(recipe), "--out", name, "--resume"])
        wait = chosen.uniform(0.05, 0.6) * took if kills < most else None
        try:
            errors = process.communicate(timeout=wait)[1].decode()
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            kills += 1
            continue
        if process.returncode:
            sys.exit(f"{name} ended with {process.returncode} after {kills} kills:\n{errors[-2000:]}")
        return kills


def _compare(whole: Path, other: Path) -> None:
    from sparring.files import content_hash
    from sparring.run.checkpoint import load_checkpoint

    def seen(folder: Path) -> dict[str, object]:
        found: dict[str, object] = {}
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            if path.suffix == ".pt":
                found[name] = content_hash(load_checkpoint(path))
            elif name == "log.jsonl":
                rows = [json.loads(line) for line in path.read_text().splitlines()]
                found[name] = [{key: row[key] for key in row if key not in TIMES} for row in rows]
            elif path.is_file() and name not in (
                "recipe.json",
                "report.html",
            ):  # these record when and how it was started
                found[name] = path.read_bytes()
        return found

    one, two = seen(whole), seen(other)
    differ = [name for name in {**one, **two} if one.get(name) != two.get(name)]
    if differ:
        sys.exit(f"{other} differs from {whole} in {', '.join(differ)}")


def _start_two(folder: Path, recipe: Path, name: str, delay: float) -> str:
    """Start two processes, then resume two. One is refused, the other is as if it ran alone. Returns who won."""
    said, alone = [], f"{name}-alone"
    steps = yaml.safe_load(recipe.read_text())["steps"]
    for kind, words in (("start", ["seed=1", "seed=2"]), ("resume", [f"steps={steps + 5}", f"steps={steps + 10}"])):
        base = [str(recipe), "--out", name] if kind == "start" else [name, "--resume"]
        first = _start(folder, [*base, words[0]])
        time.sleep(delay)
        second = _start(folder, [*base, words[1]])
        errors = [process.communicate()[1].decode().strip().splitlines() for process in (first, second)]
        codes = [first.returncode, second.returncode]
        won = [word for word, code in zip(words, codes, strict=True) if code == 0]
        if sorted(codes) != [0, 2] and not (kind == "resume" and codes == [0, 0]):  # one after the other is fine, too
            sys.exit(f"two {kind}s of {name}: exit codes {codes}, {[lines[-1:] for lines in errors]}")
        for word in won:
            _run(folder, [str(recipe), "--out", alone, word] if kind == "start" else [alone, "--resume", word])
        _compare(folder / alone, folder / name)
        refused = [lines[-1] for lines, code in zip(errors, codes, strict=True) if code]
        said.append(f"{kind} with {' then '.join(won)} ({''.join(refused)[:50]})")
    shutil.rmtree(folder / name)
    shutil.rmtree(folder / alone)
    return ", ".join(said)


if __name__ == "__main__":
    main()
