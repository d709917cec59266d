"""NAT's Figure 4: the largest probabilities that a plain and a NAT classifier give to unseen negatives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from figure_runs import RUNS

import sparring
from sparring.classify.figures import confidence_histogram
from sparring.classify.run import train_classifier
from sparring.classify.saved import judge


def draw(path: Path) -> dict[str, Any]:
    """Train the demo's two classifiers if they are not there, and draw their confidences in unseen bags."""
    folder = RUNS / "nat-classifiers"
    if not (folder / "report.html").is_file():
        train_classifier("nat/demo", ["threads=1"], out=folder, resume=folder.is_dir())
    bags = sparring.load_images("fashion-mnist-10k", split="test", size=32, channels=1).select_classes(["bag"])
    found = {}
    for word, where in (("baseline", folder / "beside" / "baseline"), ("NAT", folder)):
        saved = sparring.load_classifier(where)
        found[word] = judge(saved.module, bags).softmax(1).max(1).values.tolist()
    confidence_histogram(found, path, title="largest probabilities on unseen bags")
    return {
        f"share above {t}": {w: round(sum(v > t for v in p) / len(p), 4) for w, p in found.items()} for t in (0.4, 0.9)
    }
