"""Does an evaluation rank two recipes the same way for every z, and do real test images score far better than both?

    python studies/cifar10_ranking.py [--out runs/cifar10-ranking] [--steps 600] [--n 1000]

Trains two recipes on CIFAR-10 for a few minutes. The networks are narrow, so the ranking says nothing about the methods at
full size. Then it compares each with the train split in the features of EfficientNet-Lite0, for three seeds of z, and the
test split with the train split in the same way. Results are kept, so the same command continues after an interruption.
Reads ../shared/data/cifar10.zip.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch

import sparring
from sparring.files import write_json

DATA = Path(__file__).resolve().parents[1] / "../shared/data/cifar10.zip"
RECIPES = ("as-gan/sn-dcgan-cifar10", "as-gan/dcgan-cifar10")
SEEDS = (0, 1, 2)
METRICS = ("fd", "kd")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/cifar10-ranking"))
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--n", type=int, default=1_000)
    arguments = parser.parse_args()
    if not DATA.exists():
        sys.exit("skipped: ../shared/data/cifar10.zip is missing")
    torch.set_num_threads(1)
    results = arguments.out / "results.json"
    found: dict[str, Any] = json.loads(results.read_text()) if results.exists() else {}
    common: dict[str, Any] = {"real": DATA, "split": "train", "extractor": "efficientnet-lite0", "metrics": METRICS}
    common |= {"n": arguments.n, "n_real": arguments.n}

    def measured(key: str, **what: Any) -> None:
        if key not in found:
            print(key, flush=True)
            found[key] = sparring.evaluate(**what, **common)
            write_json(results, found)

    measured("real test images", run=DATA, images_split="test", seed=0)
    for recipe in RECIPES:
        train(recipe, arguments.out / recipe.replace("/", "-"), arguments.steps, found)
    for seed in SEEDS:  # seed by seed, so that an early stop still allows a comparison
        for recipe in RECIPES:
            measured(f"{recipe}, z seed {seed}", run=arguments.out / recipe.replace("/", "-"), seed=seed)
    print(table(found))


def train(recipe: str, folder: Path, steps: int, found: dict[str, Any]) -> None:
    if (folder / "generator.safetensors").exists():
        return
    started = time.perf_counter()
    changes = [f"steps={steps}", "batch_size=64", "evaluation=null", "threads=1", f"samples_every={steps}"]
    changes += ["generator.network.width=16", "discriminator.network.width=16", "data.split=train"]
    overrides = [f"data.source={DATA}", *changes]
    sparring.train(recipe, overrides, out=folder, resume=(folder / "recipe.json").exists())
    found[f"{recipe}, seconds of training"] = round(time.perf_counter() - started)


def table(found: dict[str, Any]) -> str:
    lines = ["| images | " + " | ".join(r["metric"] for r in found["real test images"]) + " |", "|---|---|---|"]
    for key, records in found.items():
        if isinstance(records, list):
            lines.append(f"| {key} | " + " | ".join(f"{record['value']:.5g}" for record in records) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
