"""One run on the board: how it is doing, and all that its folder shows. Nothing here imports torch."""

from __future__ import annotations

import io
import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from sparring.errors import SparringError
from sparring.limits import DESCRIPTION_BYTES, DESCRIPTION_NODES, RECIPE_BYTES
from sparring.parsing import parse_json
from sparring.run.status import Status, newest, status
from sparring.web.board.folders import Entry
from sparring.web.board.history import History
from sparring.web.board.opening import PICTURE_BYTES
from sparring.web.board.records import as_number, text

READ = ("recipe.json", "log.jsonl", "metrics.jsonl", "vitals.jsonl", "status.json", "results.json", "generator.json")
WRITTEN = (*READ, "classifier.json", "samples", "checkpoints", "diagnosis", "beside")
AGAIN = 3.0  # seconds after which a run that trains is looked at even if its files are the same
PICTURES = 5_000  # of samples, at most
DIAGNOSED = 200  # pictures of a diagnosis
SHEET = re.compile(r"step-(\d{1,15})\.png")
WEIGHTS = "generator.safetensors"


class Run:
    """A run's folder. `summary` is a line of the list; `detail` and `curves` are what its own page shows."""

    def __init__(self, entry: Entry):
        self.entry, self.place = entry, entry.place
        self._history: History | None = None
        self._known: tuple[Any, float, dict[str, Any]] | None = None  # signature, when, summary

    # --- the list ---
    def summary(self) -> dict[str, Any]:
        """How the run is doing, in a few words; looked at again only when it has written something."""
        signature = self._signature()
        if self._known is not None:
            before, at, found = self._known
            alive = found["state"] == "training" and time.monotonic() - at > AGAIN
            if before == signature and not alive:
                return found
        found = {"id": self.entry.id, "folder": self.entry.shown, "study": self.entry.study, **self._summary()}
        self._known = (signature, time.monotonic(), found)
        return found

    def _signature(self) -> list[tuple[int, int, int] | None]:
        found: list[tuple[int, int, int] | None] = []
        for name in WRITTEN:
            try:
                each = os.lstat(self.place.path / name)
                found.append((each.st_ino, each.st_mtime_ns, each.st_size))
            except OSError:
                found.append(None)
        return found

    def _summary(self) -> dict[str, Any]:
        sheets = self.sheets()
        last = max(sheets, default=None)
        shown = {"picture": None if last is None else {"step": last, "version": sheets[last]}}
        try:
            found = self._status()
        except SparringError as error:
            return {"name": self.entry.shown, "trains": "", "state": "damaged", "message": str(error), **shown}
        except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError, OSError) as error:
            said = f"its files are damaged ({type(error).__name__})"
            return {"name": self.entry.shown, "trains": "", "state": "damaged", "message": said, **shown}
        return {**_in_short(found), **shown, "seed": as_number(self._facts().get("recipe", {}).get("seed"))}

    def _status(self) -> Status:
        self._check_links()
        return status(self.place.path)

    def _check_links(self) -> None:
        """Raise SparringError if one of the run's files is a link, which may lead anywhere."""
        beside = os.listdir(self.place.path / "beside") if self.place.has("beside") else []
        inside = [f"beside/{name}{end}" for name in beside for end in ("", "/log.jsonl")]
        for name in (*WRITTEN, *inside):
            if os.path.islink(self.place.path / name):
                raise SparringError(f"its {name} is a link, and the board follows none: copy the file there instead")

    # --- its page ---
    def detail(self) -> dict[str, Any]:
        """All but curves: facts, numbers, warnings, and which pictures there are."""
        summary = self.summary()
        if summary["state"] == "damaged":
            return summary
        history, _ = self._read_on()
        facts = self._facts()
        return {
            **summary,
            "about": self._about(facts),
            "recipe": facts.get("recipe", {}),
            "numbers": history.records.numbers(facts),
            "shares": history.records.shares(),
            "warnings": [*self._general_warnings(), *history.warnings],
            "samples": {"steps": sorted(sheets := self.sheets()), "versions": {str(k): v for k, v in sheets.items()}},
            "columns": self._columns(sheets),
            "diagnosis": self._diagnosis(),
            "classifiers": self._classifiers(),
            "generator": self._generator_facts(),
        }

    @property
    def is_known(self) -> bool:
        """Whether `summary` has something to give without reading the run from the start."""
        return self._known is not None

    def curves(self) -> tuple[list[dict[str, Any]], bool]:
        """The run's curves, each in a bounded number of points, and whether its files have been read to their ends."""
        history, complete = self._read_on()
        return history.plain_curves(), complete

    def _read_on(self) -> tuple[History, bool]:
        if self._history is None:
            self._history = History(self.place)
        return self._history, self._history.look()

    def forget(self) -> None:
        """Let go of what was read, except for the line in the list."""
        self._history = None

    def sheets(self) -> dict[int, str]:
        """The version of each picture of samples, by its step."""
        return {step: version for step, (_, version) in self._sheets().items()}

    def sheet(self, step: int) -> bytes:
        """The picture of samples at a step. Raises SparringError if there is none."""
        found = self._sheets().get(step)
        if found is None:
            raise SparringError(f"there is no picture of step {step}")
        return self.place.read("samples", found[0], most=PICTURE_BYTES)

    def diagnosed(self, name: str) -> bytes:
        """A picture of the diagnosis. Raises SparringError if it has none of that name."""
        if name not in dict(self._diagnosed()):
            raise SparringError("there is no such picture")
        return self.place.read("diagnosis", name, most=PICTURE_BYTES)

    def weights(self) -> tuple[str, tuple[int, int, int]]:
        """The file of the run's generator, and what changes when it does. Raises SparringError if there is none."""
        found = self.place.signature(WEIGHTS)
        if found is None:
            raise SparringError("this run has no generator yet: it is written with the first checkpoint")
        return str(self.place.path / WEIGHTS), found

    # --- parts of it ---
    def _sheets(self) -> dict[int, tuple[str, str]]:
        found = {}
        for name, is_folder in self.place.listing("samples").items():
            matched = SHEET.fullmatch(name)
            if matched and not is_folder and (changed := self.place.signature("samples", name)):
                found[int(matched[1])] = (name, f"{changed[1]:x}")
        return dict(sorted(found.items())[-PICTURES:])

    def _facts(self) -> dict[str, Any]:
        """The content of recipe.json."""
        found = parse_json(self.place.read("recipe.json", most=RECIPE_BYTES), "recipe.json")
        return found if isinstance(found, dict) and isinstance(found.get("recipe", {}), dict) else {}

    def _json(self, name: str) -> dict[str, Any]:
        """The content of a JSON file; empty if there is none, or it is damaged."""
        try:
            found = parse_json(self.place.read(name, most=DESCRIPTION_BYTES), name, nodes=DESCRIPTION_NODES)
        except SparringError:
            return {}
        return found if isinstance(found, dict) else {}

    def _about(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        recipe, paper = facts.get("recipe", {}), facts.get("recipe", {}).get("paper")
        versions = facts.get("versions")
        known = versions.items() if isinstance(versions, dict) else ()
        rows = {
            "Data": _data_line(facts),
            "Machine": text(facts.get("hardware")),
            "Seed": text(recipe.get("seed")),
            "Versions": ", ".join(f"{text(k)} {text(v)}" for k, v in list(known)[:10]),
            "Commit": text(facts.get("commit")),
            "Command": text(facts.get("command")),
            "Folder": text(self.place.path),
        }
        title = text(paper.get("title")) if isinstance(paper, dict) else ""
        return {"text": text(recipe.get("about")), "paper": title, "rows": [[k, v] for k, v in rows.items() if v]}

    def _columns(self, sheets: Mapping[int, str]) -> dict[str, Any] | None:
        """Which classes the columns of the pictures of samples show."""
        if not sheets:
            return None
        from PIL import Image

        from sparring.report.keys import CLASSES_KEY

        try:
            with Image.open(io.BytesIO(self.sheet(max(sheets)))) as picture:
                found = parse_json(str(getattr(picture, "text", {}).get(CLASSES_KEY, "null")), "its classes")
        except (SparringError, OSError, ValueError, SyntaxError):
            return None
        names = found.get("classes") if isinstance(found, dict) else None
        sizes = [found.get(key) for key in ("columns", "width")] if names else []
        if not isinstance(names, list) or not all(type(size) is int and 0 < size < 1000 for size in sizes):
            return None
        return {"columns": sizes[0], "width": sizes[1], "classes": [text(name) for name in names[:200]]}

    def _diagnosed(self) -> Iterator[tuple[str, str]]:
        """Names and versions of the diagnosis's pictures, except curves, which the board draws itself."""
        count = 0
        for name, is_folder in self.place.listing("diagnosis").items():
            plain = name.endswith(".png") and not is_folder and not name.startswith(("curve-", "."))
            if plain and count < DIAGNOSED and (changed := self.place.signature("diagnosis", name)):
                count += 1
                yield name, f"{changed[1]:x}"

    def _diagnosis(self) -> list[dict[str, str]]:
        run = self.place.path.name
        return [
            {"name": name, "version": version, "title": name.removesuffix(".png").removesuffix(f"-{run}")}
            for name, version in self._diagnosed()
        ]

    def _general_warnings(self) -> list[dict[str, Any]]:
        said = self._json("results.json").get("warnings")
        lines = said if isinstance(said, list) else []
        return [{"step": None, "kind": "results", "text": text(line)} for line in lines[:50]]

    def _classifiers(self) -> dict[str, Any] | None:
        """A classifier's results: the verdict, and the numbers of each classifier."""
        found = self._json("results.json")
        by_name = found.get("classifiers")
        if not isinstance(by_name, dict):
            return None
        rows = [{"name": text(name), **_scalars(numbers)} for name, numbers in list(by_name.items())[:20]]
        return {"verdict": text(found.get("verdict")), "rows": rows}

    def generator(self) -> dict[str, Any]:
        """What can be chosen when the run's generator is sampled. Raises SparringError if it cannot be."""
        found = self._generator_facts()
        if found is None:
            raise SparringError("this run has no generator of images yet: it is written with the first checkpoint")
        return found

    def _generator_facts(self) -> dict[str, Any] | None:
        """What can be chosen when the run's generator is sampled; None if there is none, or it makes no pictures."""
        found, changed = self._json("generator.json"), self.place.signature(WEIGHTS)
        names, given = found.get("class_names"), found.get("given")
        size = given.get("image_size") if isinstance(given, dict) else None
        if changed is None or type(size) is not int:
            return None
        classes = [text(name) for name in names[:1000]] if isinstance(names, list) else []
        count = as_number(found.get("num_classes")) or 0
        known = {"classes": classes, "num_classes": count, "step": as_number(found.get("step")), "size": size}
        return known | {"version": f"{changed[1]:x}"}


def _in_short(found: Status) -> dict[str, Any]:
    """A run's status for the list."""
    own = list(found.parts)[-1]  # of classifiers: the recipe's, after those beside it
    numbers = [each for each in found.numbers if as_number(each.get("value")) is not None]
    number = next((each for each in numbers if each.get("of") in (None, own)), None)
    headline = None
    if number is not None:
        headline = {"metric": text(number.get("metric")), "value": as_number(number["value"])}
    return {
        **{"name": text(found.name), "trains": found.trains, "state": found.state, "message": found.message},
        **{"step": found.step, "steps": found.steps, "rate": as_number(found.rate), "seen": found.seen},
        **{"seconds": as_number(found.seconds), "seconds_left": as_number(found.seconds_left)},
        **{"resume": found.resume, "disk": found.disk_bytes, "headline": headline},
        "warned": [asdict(each) | {"text": text(each.text)} for each in newest(found.warnings)][:10],
    }


def _scalars(numbers: Any) -> dict[str, Any]:
    """A classifier's numbers, nested ones with a dot between."""
    found: dict[str, Any] = {}
    waiting = [("", numbers)]
    while waiting and len(found) < 200:
        before, part = waiting.pop(0)
        for key, value in part.items() if isinstance(part, dict) else ():
            if isinstance(value, dict):
                waiting.append((f"{before}{key}.", value))
            elif (number := as_number(value)) is not None:
                found[f"{before}{key}"] = number
    return {"numbers": found}


def _data_line(facts: Mapping[str, Any]) -> str:
    data = facts.get("data")
    if not isinstance(data, dict):
        source = facts.get("recipe", {}).get("data")
        return text(source.get("source")) if isinstance(source, dict) else ""
    size, images = data.get("size"), as_number(data.get("images"))
    parts = [text(data.get("name")), text(data.get("split"))]
    parts += [f"{images:,} images" if images is not None else "", f"{size} x {size} pixels" if size else ""]
    return ", ".join(part for part in [*parts, f"{data['classes']} classes" if data.get("classes") else ""] if part)
