"""Pictures of samples: where each sample is placed, and how a page shows the picture, with class names above it."""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from PIL import Image

from sparring.report.keys import CLASSES_KEY
from sparring.report.plots import shrunk

PLAIN_COLUMNS = 8  # of samples without classes
MOST_COLUMNS = 16  # classes side by side; more take several rows
ROWS = 8  # at most, in a run's pictures
UPRIGHT = 5  # names of more classes are turned on a narrow screen, so that the whole picture fits
SIDE_BY_SIDE = {1: 8, 2: 5, 3: 3}  # classes in a row if there are many, by the samples shown of each


@dataclass(frozen=True)
class Layout:
    """cells: the sample in each place of the picture, row by row, -1 for none. classes: one for each block of columns."""

    columns: int
    cells: tuple[int, ...]
    classes: tuple[int, ...] = ()
    width: int = 1  # columns of a class

    def described(self, names: Sequence[str]) -> str:
        """The classes of a picture as JSON, stored in the PNG for `strips`; "" without classes."""
        known = [names[k] if k < len(names) else f"class {k}" for k in self.classes]
        facts = {"columns": self.columns, "width": self.width, "classes": known, "of": max(len(names), len(known))}
        return json.dumps(facts) if known else ""


def layout(count: int, classes: int, rows: int | None = ROWS) -> Layout:
    """The places of `count` samples, whose classes take turns, in a picture about as wide as it is high.

    classes: 0 if samples have none. Each of up to 16 classes has its own block of columns. Of more classes, a few samples
    each are side by side, class after class. rows: at most this many, further samples are left out; None shows all.
    """
    if classes > MOST_COLUMNS:
        return _many_classes(count, classes, rows)
    if count < max(classes, PLAIN_COLUMNS):
        return Layout(count, tuple(range(count)))  # a single row
    width = max(1, min(round((PLAIN_COLUMNS + 1) / classes), count // classes)) if classes > 1 else PLAIN_COLUMNS
    blocks = max(classes, 1)
    columns = blocks * width
    high = -(-count // columns) if rows is None else max(1, min(rows, count // columns))
    cells = [k + blocks * (row * width + j) for row in range(high) for k in range(blocks) for j in range(width)]
    return Layout(columns, tuple(i if i < count else -1 for i in cells), tuple(range(classes)), width)


def _many_classes(count: int, classes: int, rows: int | None) -> Layout:
    each = max(1, min(3, count // classes)) if rows is not None else 1
    columns = SIDE_BY_SIDE[each] * each
    if rows is None:  # all of them, in their order
        return Layout(columns, tuple(range(count)))
    shown = min(classes, count, rows * SIDE_BY_SIDE[each])
    return Layout(columns, tuple(k + classes * j for k in range(shown) for j in range(each)), tuple(range(shown)), each)


@lru_cache(maxsize=16)
def _loaded(path: Path, _changed: int) -> tuple[bytes, str]:
    """A picture without its enlargement, and its description of its classes. Cached, as a report is rewritten often."""
    png = path.read_bytes()
    with Image.open(io.BytesIO(png)) as picture:
        return shrunk(png), str(getattr(picture, "text", {}).get(CLASSES_KEY, ""))


def data_url(path: Path) -> str:
    """A picture's file as a data URL."""
    return _data_url(_loaded(path, path.stat().st_mtime_ns)[0])


def _data_url(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def strips(path: Path, alt: str) -> str:
    """A picture of samples for a page, with the names of its classes, if it has any, above their columns."""
    png, said = _loaded(path, path.stat().st_mtime_ns)
    facts: dict[str, Any] = {"columns": PLAIN_COLUMNS, "width": PLAIN_COLUMNS, "classes": []}
    facts |= json.loads(said) if said else {}
    names, width, columns = facts["classes"], facts["width"], facts["columns"]
    across = max(1, columns // width)
    parts = [(names[i : i + across], strip) for i, strip in _cut(png, -(-len(names) // across) or 1, across)]
    word = max((len(word) for name in names for word in str(name).split()), default=0)
    least = max(2.2 * columns, 0.45 * min(word, 14) * across)  # rem: an image, or a name's longest word
    body = "".join(_names(part, across) + f'<img alt="{html.escape(alt)}" src="{image}">' for part, image in parts)
    of = facts.get("of", len(names))
    if len(names) < of:
        body += f"<figcaption>the first {len(names)} of {of} classes</figcaption>"
    style = f"--least:{least:.1f}rem;max-width:{6 * columns}rem"
    return f'<div class="scroll"><div class="strip" style="{style}">{body}</div></div>'


def _cut(png: bytes, rows: int, across: int) -> list[tuple[int, str]]:
    """The picture cut into `rows` strips, each with the number of its first class."""
    if rows == 1:
        return [(0, _data_url(png))]
    found = []
    with Image.open(io.BytesIO(png)) as whole:
        side = (whole.height + 1) // rows
        for i in range(rows):
            content = io.BytesIO()
            whole.crop((0, i * side, whole.width, min((i + 1) * side - 1, whole.height))).save(content, "PNG")
            found.append((i * across, _data_url(content.getvalue())))
    return found


def _names(names: Sequence[str], across: int) -> str:
    if not names:
        return ""
    spans = "".join(f'<span title="{html.escape(name)}">{html.escape(name)}</span>' for name in names)
    many = " many" if across > UPRIGHT else ""
    return f'<div class="names{many}" style="grid-template-columns:repeat({across},1fr)">{spans}</div>'
