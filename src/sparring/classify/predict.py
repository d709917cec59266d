"""Predictions for image files: what `sparring predict` does."""

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
    """For each image file its label or "unknown", its confidence, the best class, by what threshold: plain data, in order.

    classifier: a run's folder, a classifier.safetensors, or one that is loaded. images: files, folders and zips of images.
        Each image is cropped to its central square and resized as the classifier needs it. threshold: in the place of the
        classifier's own. skip_unreadable: an entry with an `error` for an unreadable image, rather than a stop.
        note: takes lines for people, such as how many files of a folder are no images. allow_code: see `load_classifier`.
    probabilities of an entry: by class, see `Prediction`.
    threshold, false_alarm_rate and false_alarms_on_validation of an entry: see `SavedClassifier.rule`.

    Raises SparringError for what is missing or unreadable, naming it.
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
            warnings.filterwarnings("ignore", module=r"PIL\.")  # of damaged EXIF blocks and the like
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
    """Each image's name and what reads its bytes, one after the other."""
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
