"""What a run wrote while it trained: its curves, measurements and warnings, read on as its files grow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sparring.web.board.curves import Curves
from sparring.web.board.lines import Lines, Row
from sparring.web.board.opening import Place
from sparring.web.board.records import Records, text

NO_CURVES = ("step", "update", "images", "seconds")
WARNINGS = 500
PLAYERS = {"discriminator": "D", "generator": "G"}


class History:
    """The files of one run that grow. `look` reads what is new in them."""

    def __init__(self, place: Place):
        self._place = place
        self.curves: dict[str, Curves] = {}  # by file: one that is written anew takes only its own back
        self.records = Records()
        self.warnings: list[dict[str, Any]] = []
        self._lines: dict[str, Lines] = {}
        self._follow("log.jsonl", place, "")
        self._lines["metrics"] = Lines(place, "metrics.jsonl", self._measured, self._forget_measured)
        self._lines["vitals"] = Lines(place, "vitals.jsonl", self._checked, self._forget_checked)

    def look(self) -> bool:
        """Read on. Returns whether everything has been read."""
        for name in list(self._place.listing("beside"))[:20]:
            if f"beside/{name}" not in self._lines:
                self._follow(f"beside/{name}", self._place / "beside" / name, f"{name}: ")
        read = [lines.read() for lines in self._lines.values()]  # each of them
        return all(read)

    def plain_curves(self) -> list[dict[str, Any]]:
        """All curves for JSON, each with its name, what to call it, its group, and which direction is better."""
        return [
            {"name": name, **_named(name, self.records.newest.get(name)), **curve.plain()}
            for curves in self.curves.values()
            for name, curve in curves.by_name.items()
            if curve.count
        ]

    def _follow(self, key: str, place: Place, before: str) -> None:
        def take(row: Row) -> None:
            for name, value in row.items():
                if name not in NO_CURVES:
                    self.curves[key].add(f"{before}{name}", row["step"], value)

        def forget() -> None:
            self.curves[key] = Curves()

        forget()
        self._lines[key] = Lines(place, "log.jsonl", take, forget)

    # --- measurements ---
    def _measured(self, row: Row) -> None:
        if not isinstance(row.get("metric"), str):
            return
        self.records.add(row)
        self.curves["metrics"].add(row["metric"], row["step"], row.get("value"))

    def _forget_measured(self) -> None:
        self.records, self.curves["metrics"] = Records(), Curves()

    # --- vital signs ---
    def _checked(self, row: Row) -> None:
        curves = self.curves["vitals"]
        for key in ("diversity", "moved"):
            curves.add(f"vitals/{key}", row["step"], row.get(key))
        for part in ("train", "held_out"):
            shares = row.get(part)
            for kind, value in shares.items() if isinstance(shares, Mapping) else ():
                curves.add(f"vitals/accuracy/{kind}/{part}", row["step"], value)
        begun = row.get("warnings")
        for kind, words in begun.items() if isinstance(begun, Mapping) else ():
            if len(self.warnings) < WARNINGS:
                self.warnings.append({"step": row["step"], "kind": text(kind), "text": text(words)})

    def _forget_checked(self) -> None:
        self.warnings, self.curves["vitals"] = [], Curves()


def _named(name: str, record: Mapping[str, Any] | None) -> dict[str, Any]:
    """What to call a curve, and which ones belong together."""
    if record is not None:
        better = record.get("better") if record.get("better") in ("lower", "higher") else None
        return {"label": name, "group": "Measurements", "better": better}
    parts = name.split("/")
    if parts[0] == "vitals":
        return {"label": _vital(parts[1:]), "group": "Health", "better": None}
    if name.endswith("_score") and parts[0] in PLAYERS:
        return {
            "label": f"Score of {parts[-1].removesuffix('_score')} images",
            "group": "Losses and scores",
            "better": None,
        }
    if name.endswith("gradient_norm") and parts[0] in PLAYERS:
        return {"label": f"Gradient norm of {PLAYERS[parts[0]]}", "group": "Speed and size", "better": None}
    if name.endswith("steps_per_second"):
        before = name.removesuffix("steps_per_second")
        return {"label": f"{before}steps per second", "group": "Speed and size", "better": None}
    if parts[0] in PLAYERS:
        term = " ".join(parts[1:]).replace("_", " ")
        return {"label": f"{PLAYERS[parts[0]]}: {term}", "group": "Losses and scores", "better": None}
    return {"label": name, "group": "Losses and scores", "better": None}


def _vital(parts: list[str]) -> str:
    if parts[0] == "diversity":
        return "Diversity of samples, a share of real images'"
    if parts[0] == "moved":
        return "Grey levels that samples moved"
    images = "training" if parts[-1] == "train" else "held-out"
    return f"Accuracy of D ({' '.join(parts[1:-1])}) on {images} images"
