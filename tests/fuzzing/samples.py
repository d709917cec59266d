"""A valid file of every kind that sparring reads, and the code that reads it."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import struct
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from PIL import Image

from fuzzing.damage import (
    changed_checkpoint,
    changed_description,
    changed_json,
    changed_npz,
    changed_zip,
    damaged,
    zipped,
)
from fuzzing.outcome import Outcome, command, outcome_of
from tiny import tiny_images, tiny_recipe


@dataclass
class Sample:
    """A valid file: its bytes, its path below a work folder, and the code that reads it."""

    name: str
    content: bytes
    place: str
    read: Callable[[Path], Callable[[], object]]
    changed: Callable[[Random, bytes], bytes] | None = None  # a change that no checksum detects


def _picture(format: str, mode: str = "RGB", **options: Any) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 12, 4), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels, "RGBA").convert(mode).save(buffer, format, **options)
    return buffer.getvalue()


def make_samples(folder: Path) -> list[Sample]:
    """A valid file of every kind that sparring reads, including those of a tiny run and a tiny classifier."""
    from sparring import train
    from sparring.data.arrays import write_npz
    from sparring.metrics.moments import GaussianStats

    write_npz(folder / "images.npz", tiny_images())
    recipe = tiny_recipe(data=str(folder / "images.npz"), steps=4, checkpoint_every=2)
    run = train(recipe, out=folder / "run").folder
    stats = GaussianStats(3)
    stats.update(torch.randn(20, 3, generator=torch.Generator().manual_seed(0)))
    stats.save(folder / "stats.npz")
    samples = [*_pictures(folder), *_archives(folder), *_of_runs(folder, run), *_of_classifiers(folder), *_of_worlds()]
    stats_read = lambda path: lambda: GaussianStats.load(path)  # noqa: E731
    samples.append(Sample("statistics", (folder / "stats.npz").read_bytes(), "s.npz", stats_read, changed_npz))
    return samples


def _pack(path: Path) -> Callable[[], None]:
    out = path.parent / "out.npz"
    out.unlink(missing_ok=True)
    return command("pack", path, "--out", out)


def _pictures(folder: Path) -> Iterator[Sample]:
    formats = [
        ("png", "PNG", "RGB"), ("png", "PNG", "P"), ("png", "PNG", "LA"), ("jpg", "JPEG", "RGB"), ("jpg", "JPEG", "CMYK"),
        ("gif", "GIF", "P"), ("bmp", "BMP", "RGB"), ("ppm", "PPM", "L"), ("tif", "TIFF", "RGBA"), ("webp", "WEBP", "RGBA"),
    ]  # fmt: skip
    for ending, format, mode in formats:
        yield Sample(f"{format} {mode}", _picture(format, mode), f"images/a.{ending}", lambda path: _pack(path.parent))
    deflated = _picture("TIFF", "RGB", compression="tiff_adobe_deflate")
    yield Sample("TIFF deflated", deflated, "images/a.tif", lambda path: _pack(path.parent))


def _archives(folder: Path) -> Iterator[Sample]:
    members = {f"{name}/{i}.png": _picture("PNG", "L") for name in "ab" for i in range(3)}
    yield Sample("zip", zipped(members), "images.zip", _pack, changed_zip)
    labelled = members | {"dataset.json": json.dumps({"labels": [[name, 1] for name in members]}).encode()}
    yield Sample("zip with labels", zipped(labelled, zipfile.ZIP_STORED), "images.zip", _pack, changed_zip)
    yield Sample("npz", (folder / "images.npz").read_bytes(), "images.npz", _pack, changed_npz)
    pixels = np.random.default_rng(0).integers(0, 9, (40, 8, 8), np.uint8)
    np.savez_compressed(folder / "compressed.npz", images=pixels, labels=np.arange(40) % 3)
    yield Sample("npz compressed", (folder / "compressed.npz").read_bytes(), "images.npz", _pack, changed_npz)
    yield Sample("dataset.json", b'{"labels": [["a.png", 0]]}', "set/dataset.json", _pack_beside, changed_json)
    idx = b"\0\0\x08\x03" + struct.pack(">3I", 40, 8, 8) + pixels.tobytes()
    yield Sample("idx", idx, "idx/train-images-idx3-ubyte", _pack_idx)
    yield Sample("idx gzipped", gzip.compress(idx), "idx/train-images-idx3-ubyte.gz", _pack_idx)


def _pack_beside(path: Path) -> Callable[[], None]:
    (path.parent / "a.png").write_bytes(_picture("PNG", "L"))
    return _pack(path.parent)


def _pack_idx(path: Path) -> Callable[[], None]:
    labels = b"\0\0\x08\x01" + struct.pack(">I", 40) + bytes(range(40))
    (path.parent / "train-labels-idx1-ubyte").write_bytes(labels)
    return _pack(path.parent)


def _of_runs(folder: Path, run: Path) -> Iterator[Sample]:
    from sparring.files import read_rows
    from sparring.run.checkpoint import load_checkpoint

    def beside(path: Path) -> Path:
        """The run of the damaged file, otherwise complete."""
        for each in run.rglob("*"):
            other = path.parents[len(path.relative_to(path.parents[1]).parts) - 2] / each.relative_to(run)
            if each.is_file() and not other.exists():
                other.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(each, other)
        return path.parent

    def sample(path: Path) -> Callable[[], None]:
        return command("sample", path, "--out", path.parent / "s.png", "--n", 2)

    def show(path: Path) -> Callable[[], None]:
        return command("show", beside(path))

    def resume(path: Path) -> Callable[[], None]:
        return command("train", beside(path), "--resume", "steps=5")

    weights = (run / "generator.safetensors").read_bytes()
    newest = (run / "checkpoints" / "step-000004.pt").read_bytes()

    def described(random: Random, content: bytes) -> bytes:
        return changed_description(random, content, folder)

    yield Sample("generator", weights, "g.safetensors", sample, described)
    yield Sample("recipe.json", (run / "recipe.json").read_bytes(), "run/recipe.json", show, changed_json)
    yield Sample("recipe.json resumed", (run / "recipe.json").read_bytes(), "run/recipe.json", resume, changed_json)
    yield Sample("checkpoint", newest, "c.pt", lambda path: lambda: load_checkpoint(path), changed_checkpoint)
    yield Sample("log", (run / "log.jsonl").read_bytes(), "log.jsonl", lambda path: lambda: read_rows(path))


def _of_classifiers(folder: Path) -> Iterator[Sample]:
    from sparring.classify.networks import build_classifier
    from sparring.classify.saved import save_classifier

    built = build_classifier("small_cnn", {"width": 4}, image_size=8, image_channels=1, outputs=3, seed=0)
    network = {"kind": "small_cnn", "options": {"width": 4}}
    sizes = {"image_size": 8, "image_channels": 1, "outputs": 3, "num_classes": 3}
    classifier = folder / "classifier"
    classifier.mkdir()
    save_classifier(classifier, built, {"network": network, **sizes, "class_names": ["a", "b", "c"], "threshold": 0.5})
    (folder / "one.png").write_bytes(_picture("PNG", "L"))

    def predict(path: Path) -> Callable[[], None]:
        for each in classifier.iterdir():
            if not (path.parent / each.name).exists():
                shutil.copy(each, path.parent)
        return command("predict", path.parent, folder / "one.png")

    for name in ("classifier.safetensors", "classifier.json"):
        changed = changed_json if name.endswith("json") else None
        yield Sample(name, (classifier / name).read_bytes(), f"classifier/{name}", predict, changed)
    described = lambda random, content: damaged(random, content)  # noqa: E731
    yield Sample(
        "picture to predict",
        _picture("PNG", "L"),
        "p/x.png",
        lambda path: command("predict", classifier, path),
        described,
    )


def _of_worlds() -> Iterator[Sample]:
    from sparring.toy import world

    def points(path: Path) -> Callable[[], object]:
        return lambda: world("points", file=path)

    def image(path: Path) -> Callable[[], object]:
        return lambda: world("image", file=path)

    table = "x,y\n" + "\n".join(f"{i},{i * i % 7}" for i in range(30))
    buffer = io.BytesIO()
    np.save(buffer, np.random.default_rng(0).normal(size=(30, 2)))
    yield Sample("points", table.encode(), "p.csv", points)
    yield Sample("points of NumPy", buffer.getvalue(), "p.npy", points)
    yield Sample("image of a world", _picture("PNG", "L"), "w.png", image)


def try_file(random: Random, samples: list[Sample], folder: Path) -> tuple[str, Outcome]:
    """Damage one file at random and read it in a new folder."""
    sample = random.choice(samples)
    change = sample.changed if sample.changed and random.random() < 0.5 else damaged
    content = change(random, sample.content)
    path = folder / sample.place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return sample.name, outcome_of(sample.read(path))
