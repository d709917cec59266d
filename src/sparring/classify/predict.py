"""Predictions for image files: what `sparring predict` does."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from sparring.classify.saved import BATCH, SavedClassifier, load_classifier
from sparring.data.decode import UnreadableImageError, decode, readable
from sparring.data.tree import IMAGE_SUFFIXES, is_image, open_tree
from sparring.errors import SparringError


def predict(
    classifier: str | Path | SavedClassifier,
    images: str | Path | Iterable[str | Path],
    *,
    threshold: float | None = None,
    skip_unreadable: bool = False,
) -> list[dict[str, Any]]:
    """For each image file its label or "unknown", its confidence, and the best class: plain data, in order.

    classifier: a run's folder, a classifier.safetensors, or one that is loaded. images: files, folders and zips of images.
        Each image is cropped to its central square and resized as the classifier needs it. threshold: in the place of the
        classifier's own. skip_unreadable: an entry with an `error` for an unreadable image, rather than a stop.

    Raises SparringError for what is missing or unreadable, naming it.
    """
    loaded = classifier if isinstance(classifier, SavedClassifier) else load_classifier(classifier)
    sources = [images] if isinstance(images, str | Path) else list(images)
    if not sources:
        raise SparringError("no images: name files, folders or zips")
    found: list[dict[str, Any]] = []
    waiting: list[tuple[dict[str, Any], torch.Tensor]] = []

    def judge_waiting() -> None:
        if waiting:
            predictions = loaded.predict(torch.stack([pixels for _, pixels in waiting]), threshold)
            for (entry, _), prediction in zip(waiting, predictions, strict=True):
                entry.update(prediction.to_dict())
            waiting.clear()

    loaded.predict(torch.zeros(0, loaded.image_channels, loaded.image_size, loaded.image_size), threshold)
    for name, content in _contents(sources):
        entry: dict[str, Any] = {"image": name}
        try:
            pixels, _ = readable(name, partial(decode, content, loaded.image_channels, loaded.image_size))
        except UnreadableImageError as error:
            if not skip_unreadable:
                raise
            entry["error"] = str(error)
        else:
            waiting.append((entry, torch.from_numpy(pixels.copy()).permute(2, 0, 1)))
        found.append(entry)
        if len(waiting) >= BATCH:
            judge_waiting()
    judge_waiting()
    return found


def _contents(sources: list[str | Path]) -> Iterable[tuple[str, bytes]]:
    """Each image's name and bytes, one after the other."""
    for source in map(Path, sources):
        if not source.exists():
            raise SparringError(f"there is no image or folder '{source}'")
        if source.is_file() and source.suffix.lower() != ".zip":
            if not is_image(source.name):
                raise SparringError(f"'{source}' is no image, folder or zip: images end in {', '.join(IMAGE_SUFFIXES)}")
            yield str(source), source.read_bytes()
            continue
        with open_tree(source) as tree:
            paths = tree.images()
            if not paths:
                raise SparringError(f"no images in '{source}'")
            for path in paths:
                yield str(source / path), tree.read(path)
