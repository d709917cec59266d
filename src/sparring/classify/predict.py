"""Predictions for image files, as `sparring predict` makes them."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sparring.classify.saved import BATCH, SavedClassifier, load_classifier
from sparring.data.decode import UnreadableImageError, decode, readable
from sparring.data.tree import IMAGE_SUFFIXES, is_image, note_other_files, open_tree
from sparring.errors import SparringError
from sparring.limits import IMAGE_BYTES
from sparring.messages import Note
from sparring.parsing import read_bytes


def predict(
    classifier: str | os.PathLike[str] | SavedClassifier,
    images: str | Path | Iterable[str | Path],
    *,
    threshold: float | None = None,
    skip_unreadable: bool = False,
    note: Note = lambda line: None,
    allow_code: bool = False,
) -> list[dict[str, Any]]:
    """The label or "unknown", the confidence, the best class and the threshold for each image file, in order, as plain data.

    classifier: a run's folder, a classifier.safetensors, or one that is loaded. images: files, folders and zips of images.
        Each image is cropped to its central square and resized for the classifier. threshold: replaces the classifier's own.
        skip_unreadable: give an unreadable image an entry with an `error` instead of stopping. note: takes lines for people,
        such as the number of files that are not images. allow_code: see `load_classifier`.

    Each entry has the fields of a `Prediction`, and the threshold, false_alarm_rate and false_alarms_on_validation of
    `SavedClassifier.rule`. Raises SparringError, naming the file, for anything missing or unreadable.
    """
    loaded = (
        classifier if isinstance(classifier, SavedClassifier) else load_classifier(classifier, allow_code=allow_code)
    )
    rule = loaded.rule(threshold)
    sources = _sources(images)
    if not sources:
        raise SparringError("no images: name files, folders or zips")
    found: list[dict[str, Any]] = []
    waiting: list[tuple[dict[str, Any], torch.Tensor]] = []

    def judge_waiting() -> None:
        if waiting:
            predictions = loaded.predict(torch.stack([pixels for _, pixels in waiting]), threshold)
            for (entry, _), prediction in zip(waiting, predictions, strict=True):
                entry.update(prediction.to_dict() | rule)
            waiting.clear()

    def pixels_of(read: Callable[[], bytes]) -> np.ndarray:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"PIL\.")  # about damaged EXIF blocks, for example
            return decode(read(), loaded.image_channels, loaded.image_size)[0]

    for name, read in _files(sources, note):
        entry: dict[str, Any] = {"image": name}
        try:
            pixels = readable(name, partial(pixels_of, read))
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


def _sources(images: str | Path | Iterable[str | Path]) -> list[str | Path]:
    found: list[Any] = list(images) if isinstance(images, Iterable) and not isinstance(images, str) else [images]
    for source in found:
        if not isinstance(source, str | os.PathLike):
            raise SparringError(
                f"images are paths of files, folders or zips, got {type(source).__name__}: tensors go to "
                "sparring.load_classifier(RUN).predict(images)"
            )
    return found


def _files(sources: list[str | Path], note: Note) -> Iterable[tuple[str, Callable[[], bytes]]]:
    """The name of each image and a function that reads its bytes."""
    for source in map(Path, sources):
        if not os.path.exists(source):
            raise SparringError(f"there is no image or folder '{source}'")
        if source.is_file() and source.suffix.lower() != ".zip":
            if not is_image(source.name):
                raise SparringError(
                    f"'{source}' is neither an image, a folder nor a zip: images end in {', '.join(IMAGE_SUFFIXES)}"
                )
            yield str(source), partial(read_bytes, source, IMAGE_BYTES)
            continue
        with open_tree(source) as tree:
            paths = tree.images()
            if not paths:
                raise SparringError(f"no images in '{source}'")
            note_other_files(tree, note)
            for path in paths:
                yield str(source / path), partial(tree.read, path)
