"""Write runs.zip and expected.npz with an earlier version of the package. Later commits must be able to read them:

    git worktree add ../before c002787
    cd tests/saved && PYTHONPATH=../../../before/src python make.py

runs.zip holds images, a GAN's run and a classifier's run of 3 steps, and a classifier's run of 5 steps, killed after 3.
expected.npz holds the outputs of the networks at step 3, and at step 5 after that version has resumed the runs.
"""

import os
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import torch

import sparring
from sparring.data.arrays import write_npz
from sparring.data.packed import PackedImages

OPTIMISER = {"lr": 2e-3, "betas": [0.0, 0.9]}
GAN = {
    "name": "saved-gan",
    "data": "images.npz",
    "generator": {
        "network": {"kind": "sngan", "width": 2, "conditioning": "conditional_batch_norm"},
        "latent_size": 4,
        "optimizer": OPTIMISER,
        "ema": 0.9,
    },
    "discriminator": {
        "network": {"kind": "sngan", "width": 2},
        "optimizer": OPTIMISER,
        "conditioning": "projection",
    },
    "objective": {"hinge": {}, "lecam": {"start": 1}, "sdp": {"t": 1, "k": 2}},
    "steps": 3,
    "batch_size": 4,
    "threads": 1,
    "evaluation": None,
    "log_every": 1,
}
CLASSIFIER = {
    "name": "saved-classifier",
    "data": "images.npz",
    "negatives": {"source": "noise:normal:20", "per_batch": [1, 2]},
    "probes": {"noise": "noise:normal:10"},
    "network": {"kind": "small_cnn", "width": 2},
    "criterion": "nat",
    "optimizer": {"lr": 0.02},
    "steps": 3,
    "batch_size": 6,
    "threads": 1,
    "log_every": 1,
}
LEFT_OUT = ("report.html", ".lock", "vitals.jsonl", "metrics.jsonl")


def outputs(step: int, classifier: str) -> dict[str, np.ndarray]:
    """The outputs of the networks: images uint8 [6, 1, 8, 8] and logits [30, 3]."""
    pixels = torch.from_numpy(np.load("images.npz")["images"]).reshape(30, 1, 8, 8)
    return {
        f"sample {step}": sparring.load("gan").sample(6, labels=[0, 1, 2, 0, 1, 2], seed=0).numpy(),
        f"logits {step}": sparring.load_classifier(classifier).logits(pixels).numpy(),
    }


def write_runs() -> None:
    """Write the runs into the current folder."""
    pixels = torch.randint(0, 256, (30, 1, 8, 8), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    write_npz(Path("images.npz"), PackedImages(pixels, torch.arange(30) % 3, ("a", "b", "c"), name="images"))
    sparring.train(GAN, out="gan")
    sparring.train_classifier(CLASSIFIER, out="classifier")
    sparring.train_classifier({**CLASSIFIER, "steps": 5, "checkpoint_every": 3}, out="killed")
    shutil.rmtree("gan/samples")
    for name in ("checkpoints/step-000005.pt", "classifier.safetensors", "classifier.json", "results.json"):
        Path("killed", name).unlink()
    for path in [path for path in Path().rglob("*") if path.name in LEFT_OUT]:
        path.unlink()


def main() -> None:
    here, sys.argv = Path.cwd(), ["make.py"]  # which recipe.json quotes
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        os.chdir(place)
        write_runs()
        with zipfile.ZipFile(here / "runs.zip", "w") as archive:
            for path in sorted(path for path in Path().rglob("*") if path.is_file()):
                archive.writestr(zipfile.ZipInfo(path.as_posix()), path.read_bytes(), zipfile.ZIP_DEFLATED, 9)
        expected = outputs(3, "classifier")
        sparring.train("gan", {"steps": 5}, resume=True)
        sparring.train_classifier("killed", resume=True)
        np.savez_compressed(here / "expected.npz", **expected, **outputs(5, "killed"))
        os.chdir(here)


if __name__ == "__main__":
    main()
