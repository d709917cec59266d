"""A run's measurements and what each of them depends on, in words that people know."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

METRICS = 80  # of a run
CLASSES = 128  # of a number for each class
TEXT = 300  # characters of a value
WORDS = {  # of a record's fields, in the order in which they are shown
    **{"extractor": "Extractor", "weights_sha256": "SHA-256 of its weights", "resize": "Resize", "dtype": "Precision"},
    **{"n_fake": "Generated images", "n_real": "Real images", "data": "Data", "split": "Split"},
    **{"size_fake": "Size of generated images", "size_real": "Size of real images", "labels": "Labels"},
    **{"groups": "Groups", "seed": "Seed", "real_seed": "Seed of the real images", "device": "Device"},
    **{"batch_size": "Batch size", "version": "sparring", "torch": "torch", "data_hash": "Hash of the data"},
    "generated_hash": "Hash of the generated images",
}
NOT_SOURCES = ("step", "metric", "value", "better", "std", "notes", "class_names", "generated", "generated_split")

Row = Mapping[str, Any]


class Records:
    """The newest record of each metric, and the best value so far."""

    def __init__(self) -> None:
        self.newest: dict[str, Row] = {}
        self.best: dict[str, tuple[float, int]] = {}

    def add(self, row: Row) -> None:
        name = str(row.get("metric"))[:TEXT]
        if name not in self.newest and len(self.newest) >= METRICS:
            return
        self.newest[name] = row
        value = as_number(row.get("value"))
        if value is None or row.get("better") not in ("lower", "higher"):
            return
        before = self.best.get(name)
        lower = row["better"] == "lower"
        if before is None or (value < before[0] if lower else value > before[0]):
            self.best[name] = (value, row["step"])

    def numbers(self, facts: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Every number with its best value and its sources. facts: of recipe.json, which names machine and commit."""
        found = []
        for name, row in self.newest.items():
            value = as_number(row.get("value"))
            if not isinstance(row.get("value"), int | float):  # such as one for each class
                continue
            best = self.best.get(name)
            notes = row.get("notes")
            found.append(
                {
                    "metric": name,
                    "step": row["step"],
                    "value": value,
                    "std": as_number(row.get("std")),
                    "better": row.get("better") if row.get("better") in ("lower", "higher") else None,
                    "best": None if best is None else {"value": best[0], "step": best[1]},
                    "n": as_number(row.get("n_fake")),
                    "extractor": text(row.get("extractor")),
                    "sources": [*sources(row), *machine(facts)],
                    "notes": [text(note) for note in notes[:20]] if isinstance(notes, list) else [],
                }
            )
        return found

    def shares(self) -> dict[str, Any] | None:
        """How the samples are spread over the classes, if that was measured: names and shares."""
        for name, row in self.newest.items():
            values, names = row.get("value"), row.get("class_names")
            if name.endswith("class-shares") and isinstance(values, list) and isinstance(names, list):
                pairs = [(text(a), as_number(b)) for a, b in zip(names, values, strict=False)][:CLASSES]
                found = {"step": row["step"], "names": [a for a, _ in pairs], "shares": [b for _, b in pairs]}
                return found | {"of": len(names), "extractor": text(row.get("extractor"))}
        return None


def sources(row: Row) -> Iterator[tuple[str, str]]:
    """What a number depends on: words and values. Fields that nobody named in words follow under their own names."""
    known = [key for key in WORDS if key in row]
    others = [key for key in row if key not in WORDS and key not in NOT_SOURCES]
    for key in [*known, *others][:60]:
        if isinstance(row[key], str | int | float) and not isinstance(row[key], bool):
            yield WORDS.get(key, text(key).replace("_", " ")), text(row[key])


def machine(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What recipe.json says of the machine: its processor with the instruction set, threads, and the commit."""
    processor, _, rest = str(facts.get("hardware") or "").partition(", ")
    kind, _, instructions = processor.partition(" with ")
    named = {
        "Processor": kind,
        "Instruction set": instructions,
        "Threads and device": rest,
        "Commit": facts.get("commit"),
    }
    yield from ((word, text(value)) for word, value in named.items() if value)


def as_number(value: Any) -> float | int | None:
    """A finite number, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return value if math.isfinite(value) and abs(value) < 1e300 else None
    except OverflowError:
        return None


def text(value: Any) -> str:
    """A value in a line of bounded length."""
    said = "" if value is None else " ".join(str(value)[: 4 * TEXT].split())
    return said if len(said) <= TEXT else f"{said[: TEXT - 3]}..."
