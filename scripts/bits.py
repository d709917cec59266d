"""Hash the results of some short runs. A change that should not affect numbers must leave the hashes unchanged.

    python scripts/bits.py > before.json                # before the change
    python scripts/bits.py --compare before.json        # after the change, on the same machine

The runs are a shortened quickstart, classifier and toy world, and a small recipe from each paper. They use one thread, as
bits depend on the processor and on the number of threads.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

import sparring

SMALL = ["steps=10", "batch_size=8", "threads=1", "evaluation=null", "generator.network.width=8"]
PAPERS = {  # overrides that adapt one recipe of each paper to small random images
    "as-gan/as-dcgan-cifar10": ["discriminator.network.width=8", "objective.as_gan.warmup=2"],
    "mhgan/mhshared-gan-imagenet64": ["discriminator.network.width=8", "start_from=null"],
    "nat-gan/nat-gan-3-cifar10": ["discriminator.network.width=8", "objective.negatives.per_batch=4"],
    "r3gan/r3gan-cifar10": ["generator.network.width=12", "discriminator.network.width=12"],
    "sdp/wgan-gp-sdp-cifar10": ["discriminator.network.width=8", "objective.sdp.t=2"],
}


def of_files(folder: Path, *patterns: str) -> str:
    """A hash of the names and bytes of the files."""
    digest = hashlib.sha256()
    for path in sorted(path for pattern in patterns for path in folder.rglob(pattern)):
        digest.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def of_tensors(folder: Path, name: str) -> str:
    """A hash of the names, shapes and bits of the tensors in a safetensors file."""
    from safetensors.torch import load_file

    digest = hashlib.sha256()
    for key, value in sorted(load_file(folder / name).items()):
        digest.update(f"{key} {value.dtype} {tuple(value.shape)}".encode() + value.contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def images(size: int, classes: int, count: int = 60) -> sparring.PackedImages:
    pixels = torch.randint(0, 256, (count, 3, size, size), generator=torch.Generator().manual_seed(0))
    return sparring.PackedImages(pixels.to(torch.uint8), torch.arange(count) % classes, name="noise")


def paper_run(name: str, changes: list[str], folder: Path) -> str:
    shown = sparring.show(name)
    size, classes = shown["images"]["size"], shown["images"]["num_classes"]
    given: dict[str, Any] = {"data": images(size, min(classes, 10))} if classes else {"data": images(size, 1)}
    changes = [*SMALL, *changes, f"data.num_classes={min(classes, 10)}"] if classes else [*SMALL, *changes]
    if shown["recipe"]["negatives"] is not None:
        given["negatives"] = images(size, 10, 40)
    sparring.train(name, changes, out=folder, **given)
    return of_tensors(folder, "generator.safetensors")


def all_bits(folder: Path) -> dict[str, str]:
    found = {}
    sparring.train("quickstart", ["steps=60", "threads=1", "evaluation.n=200"], out=folder / "quickstart")
    found["quickstart"] = of_tensors(folder / "quickstart", "generator.safetensors")
    found["quickstart, pictures"] = of_files(folder / "quickstart", "samples/*.png")
    values = [record["value"] for record in sparring.Run(folder / "quickstart").metrics]
    found["quickstart, numbers"] = hashlib.sha256(json.dumps(values).encode()).hexdigest()[:16]
    sparring.train_classifier("nat/demo", ["steps=20", "threads=1"], out=folder / "classifier")
    found["nat/demo"] = of_tensors(folder / "classifier", "classifier.safetensors")
    result = sparring.toy.run("ring-8", ["steps=60"], out=folder / "toy")
    found["toy ring-8"] = hashlib.sha256(repr(sorted(result.numbers.items())).encode()).hexdigest()[:16]
    for name, changes in PAPERS.items():
        found[name] = paper_run(name, changes, folder / name.replace("/", "-"))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--compare", type=Path, help="the output of an earlier call")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        found = all_bits(Path(folder))
    json.dump(found, sys.stdout, indent=2)
    sys.stdout.write("\n")
    if arguments.compare:
        before = json.loads(arguments.compare.read_text())
        changed = [name for name in {**before, **found} if before.get(name) != found.get(name)]
        sys.exit(f"bits changed: {', '.join(changed)}" if changed else 0)


if __name__ == "__main__":
    main()
