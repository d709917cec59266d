"""A run's `report.html`: one file with its pictures inside, readable on a phone, in light and dark."""

from __future__ import annotations

import base64
import html
import json
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparring.errors import SparringError
from sparring.files import TIME_FIELDS, read_rows, write_atomically
from sparring.messages import counted
from sparring.parsing import read_json
from sparring.report.plots import curves, render, shrunk
from sparring.report.samples import data_url, strips
from sparring.report.styles import STYLE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHARE = 0.02  # of a run's time that drawing its curves may take
IN_A_ROW = 3  # earlier pictures of samples, spread over the run; at most two rows, both full
NOT_CURVES = {"step", "update", "images", *TIME_FIELDS}
CLASSES_NAMED = 12  # at most, in the line about the data
HEADLINES = 4  # numbers at the top
SOURCES = (  # what a number depends on: key in its record, in words
    ("extractor", "extractor"),
    ("weights_sha256", "its weights' SHA-256"),
    ("resize", "resize"),
    ("dtype", "precision"),
    ("seed", "seed"),
    ("version", "sparring"),
)

Points = tuple[list[float], list[float]]  # steps, values


class RunReport:
    """The report of a run that is training: written at each picture, its curves redrawn if that takes little time.

    unmeasured: why nothing is measured; "" if something is, or will be.
    """

    def __init__(self, run: Path):
        self.run, self.unmeasured = run, ""
        self.ended: str | None = None
        self._curves: str | None = None
        self._started, self._drawing = time.perf_counter(), 0.0

    def __fspath__(self) -> str:
        return str(self.run)

    def write(self, *, ended: str | None = None) -> None:
        """ended: why the run is over, "" if it reached its last step; None while it is training."""
        self.ended = ended
        write_report(self)

    def curves(self) -> str:
        """The current curves, or the last ones that were drawn."""
        before = time.perf_counter()
        if self.ended is not None or self._curves is None or self._drawing <= SHARE * (before - self._started):
            self._curves = _all_curves(self.run)
            self._drawing += time.perf_counter() - before
        return self._curves


def _all_curves(run: Path) -> str:
    drawn = [_curves(read_rows(run / "log.jsonl")), _measured_curves(read_rows(run / "metrics.jsonl"))]
    return "\n".join(filter(None, drawn))


def write_report(run: Path | str | RunReport) -> Path:
    """Write a run's report.html from the files beside it, and return its path. Missing files are left out."""
    live = run if isinstance(run, RunReport) else None
    run = Path(run)
    facts = _read_json(run / "recipe.json")
    log, metrics = read_rows(run / "log.jsonl"), read_rows(run / "metrics.jsonl")
    pictures = sorted((run / "samples").glob("step-*.png"))
    name = str(facts.get("recipe", {}).get("name", run.name))
    body = [
        _head(name, facts, log, live.ended or "" if live else ""),
        _headlines(metrics) or _unmeasured(facts, log, live.unmeasured if live else ""),
        _pictures(pictures),
        _warnings(read_rows(run / "vitals.jsonl")),
        live.curves() if live else _all_curves(run),
        _class_shares(metrics),
        _metrics_table(metrics),
        how_made(facts),
    ]
    path = run / "report.html"
    write_atomically(path, page(f"{name}: report", body))
    return path


def page(title: str, body: Iterable[str]) -> str:
    """A self-contained page made of these pieces of HTML."""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head>\n<body>\n" + "\n".join(part for part in body if part) + "\n</body></html>\n"
    )


def section(title: str, content: str) -> str:
    return f"<h2>{html.escape(title)}</h2>\n{content}"


def paragraphs(*lines: str) -> str:
    """A paragraph for each line that is not empty."""
    return "\n".join(f"<p>{html.escape(line)}</p>" for line in lines if line)


def number_card(label: str, value: str, note: str = "") -> str:
    """A headline number: its name, its value, and a remark."""
    label, value, note = html.escape(label), html.escape(value), html.escape(note)
    return f'<div class="number"><span>{label}</span><b>{value}</b><span>{note}</span></div>'


def picture(png: bytes, caption: str, *, css: str = "") -> str:
    """A PNG embedded in the page; grids are embedded without their enlargement."""
    data = base64.b64encode(shrunk(png)).decode()
    caption = html.escape(caption)
    image = f'<img class="{css}" alt="{caption}" src="data:image/png;base64,{data}">'
    return f"<figure>{image}<figcaption>{caption}</figcaption></figure>"


def figure(series: Mapping[str, tuple[Sequence[float], Sequence[float]]], *, title: str, ylabel: str = "") -> str:
    """Curves as an SVG embedded in the page."""
    return drawn(curves(series, title=title, ylabel=ylabel))


def drawn(figure: Figure) -> str:
    """A matplotlib figure as an SVG embedded in the page."""
    svg = render(figure, "svg").decode()
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg[svg.index("<svg") :])  # HTML needs no namespaces
    return f"<figure>{svg}</figure>"


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, value_column: int | None = None) -> str:
    head = "".join(f"<th>{html.escape(column)}</th>" for column in columns)
    body = "".join(
        "<tr>"
        + "".join(
            f"<td{' class=value' if i == value_column else ''}>{html.escape(str(cell))}</td>"
            for i, cell in enumerate(row)
        )
        + "</tr>\n"
        for row in rows
    )
    return f'<div class="scroll"><table><tr>{head}</tr>\n{body}</table></div>'


def shown(value: Any) -> str:
    """A number rounded for people."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


# --- the parts of a run's report ---


def _head(name: str, facts: Mapping[str, Any], log: list[dict[str, Any]], ended: str) -> str:
    recipe = facts.get("recipe", {})
    parts = []
    if log:
        done, steps = log[-1]["step"], recipe.get("steps", 0)
        parts.append(f"{done:,} of {counted(steps, 'step')} so far" if done < steps else counted(done, "step"))
        parts.append(f"{log[-1]['images']:,} real images seen")
    if log and "seconds" in log[-1]:
        parts.append(f"{log[-1]['seconds'] / 60:.1f} minutes")
    return heading(name, facts, parts, ended)


def heading(name: str, facts: Mapping[str, Any], parts: Sequence[str], ended: str) -> str:
    """The top of a run's report. facts: the content of recipe.json. parts: what to say of the training."""
    recipe = facts.get("recipe", {})
    made_on = [f"{before}{facts[key]}" for key, before in (("hardware", ""), ("commit", "commit ")) if facts.get(key)]
    trained = " · ".join([*parts, *made_on])
    lines = [str(recipe.get("about", "")), _data_line(facts), trained, f"Stopped: {ended}" if ended else ""]
    return f"<h1>{html.escape(name)}</h1>\n{paragraphs(*lines)}"


def _data_line(facts: Mapping[str, Any]) -> str:
    """A line about the images that a run was trained on; "" if its recipe.json does not say."""
    data = facts.get("data")
    if not isinstance(data, Mapping):
        source = (facts.get("recipe", {}).get("data") or {}).get("source")
        return f"Data: {source}" if source else ""
    named = f"{data['name']}{', ' + data['split'] if data['split'] else ''}"
    parts = [f"{counted(data['images'], 'image')} of {data['size']} x {data['size']} pixels"]
    parts.append("grey" if data["channels"] == 1 else "RGB")
    if data["classes"]:
        listed = ", ".join(data["class_names"][:CLASSES_NAMED])
        more = ", ..." if len(data["class_names"]) > CLASSES_NAMED else ""
        parts.append(counted(data["classes"], "class", "classes") + (f" ({listed}{more})" if listed else ""))
    else:
        parts.append("no classes")
    return f"Data: {named}: {', '.join(parts)}"


def _unmeasured(facts: Mapping[str, Any], log: list[dict[str, Any]], reason: str) -> str:
    """A line that says why there is no number."""
    if not facts:
        return ""
    recipe = facts.get("recipe", {})
    evaluation, steps, done = recipe.get("evaluation"), recipe.get("steps", 0), log[-1]["step"] if log else 0
    if not evaluation:
        text = "Nothing was measured: the recipe says evaluation=null."
    elif reason:
        text = reason[0].upper() + reason[1:]
    elif done < (due := evaluation.get("every") or steps):
        text = f"Nothing has been measured yet: the first measurement is due at step {due:,}."
    else:
        text = "Nothing was measured: the run said why when its evaluation was due."
    return paragraphs(text)


def _last_step(metrics: list[dict[str, Any]]) -> list[dict[str, Any]]:
    last = max((row["step"] for row in metrics), default=None)
    return [row for row in metrics if row["step"] == last]


def _headlines(metrics: list[dict[str, Any]]) -> str:
    cards: list[str] = []
    for row in _last_step(metrics):
        if isinstance(row["value"], int | float) and len(cards) < HEADLINES:
            cards.append(number_card(row["metric"], shown(row["value"]), _remark(row, metrics)))
    return f'<div class="numbers">{"".join(cards)}</div>' if cards else ""


def _remark(row: Mapping[str, Any], metrics: list[dict[str, Any]]) -> str:
    """Which direction is better, and the best value of the run if it is not the last."""
    if not row.get("better"):
        return ""
    same = [other for other in metrics if other["metric"] == row["metric"] and isinstance(other["value"], int | float)]
    best = (min if row["better"] == "lower" else max)(same, key=lambda other: other["value"])
    earlier = best["value"] != row["value"]
    return f"{row['better']} is better" + (f"; {shown(best['value'])} at step {best['step']}" if earlier else "")


def _pictures(paths: list[Path]) -> str:
    if not paths:
        return ""
    caption = f"the same latents at step {_step(paths[-1]):,}, the last"
    shown = f"<figure>{strips(paths[-1], caption)}<figcaption>{caption}</figcaption></figure>"
    last, before = section("Samples", shown), paths[:-1]
    if not before:
        return last
    count = len(before) if len(before) < IN_A_ROW else min(len(before) // IN_A_ROW, 2) * IN_A_ROW
    chosen = [before[round(i * (len(before) - 1) / max(count - 1, 1))] for i in range(count)]
    earlier = "".join(
        f'<figure><img alt="step {_step(path)}" src="{data_url(path)}"><figcaption>step {_step(path)}</figcaption></figure>'
        for path in chosen
    )
    return last + section("How training went", f'<div class="pictures">{earlier}</div>')


def _step(path: Path) -> int:
    return int(path.stem.removeprefix("step-"))


def _warnings(vitals: list[dict[str, Any]]) -> str:
    begun = [(row["step"], text) for row in vitals for text in row.get("warnings", {}).values()]
    listed = "".join(f"<li>step {step}: {html.escape(text)}</li>" for step, text in begun)
    return section("Warnings", f"<ul>{listed}</ul>") if begun else ""


def _curves(log: list[dict[str, Any]]) -> str:
    """A figure per term, since their ranges differ, and one that compares the scores."""
    scores: dict[str, Points] = {}
    terms: dict[str, Points] = {}
    for row in log:
        for key, value in row.items():
            if key in NOT_CURVES or not isinstance(value, int | float):
                continue
            player, _, term = key.partition("/")
            is_score = term.endswith("_score")
            curves_of, name = (scores, term.removesuffix("_score")) if is_score else (terms, f"{player}: {term}")
            steps, values = curves_of.setdefault(name, ([], []))
            steps.append(row["step"])
            values.append(value)
    figures = [figure({"": points}, title=name, ylabel="raw value") for name, points in sorted(terms.items())]
    if scores:
        figures.append(figure(scores, title="the discriminator's scores", ylabel="score"))
    note = "<p>The raw value of each term, before it is weighted.</p>"
    return section("Training", f'{note}<div class="curves">{"".join(figures)}</div>') if figures else ""


def _measured_curves(metrics: list[dict[str, Any]]) -> str:
    series: dict[str, Points] = {}
    for row in metrics:
        if isinstance(row["value"], int | float) and row.get("better"):
            steps, values = series.setdefault(row["metric"], ([], []))
            steps.append(row["step"])
            values.append(row["value"])
    figures = "".join(figure({"": points}, title=name) for name, points in series.items() if len(points[0]) > 1)
    return section("Measurements over time", f'<div class="curves">{figures}</div>') if figures else ""


def _class_shares(metrics: list[dict[str, Any]]) -> str:
    row = next((row for row in _last_step(metrics) if row["metric"].endswith("class-shares")), None)
    if row is None:
        return ""
    largest = max(row["value"]) or 1
    bars = "".join(
        f'<span>{html.escape(name)}</span><i style="width:{100 * share / largest:.1f}%"></i><span>{share:.1%}</span>'
        for name, share in zip(row["class_names"], row["value"], strict=True)
    )
    note = f"<p>{counted(row['n_fake'], 'sample')}, classified by “{html.escape(row['extractor'])}”</p>"
    return section("Classes of the samples", f'{note}<div class="shares">{bars}</div>')


def _metrics_table(metrics: list[dict[str, Any]]) -> str:
    rows, notes, sources = [], [], []
    for row in _last_step(metrics):
        source = "; ".join(f"{label} <b>{html.escape(str(row[key]))}</b>" for key, label in SOURCES if key in row)
        if source and source not in sources:
            sources.append(source)
        notes += [note for note in row.get("notes", []) if note not in notes]
        if not isinstance(row["value"], int | float):
            continue
        value = shown(row["value"]) + (f" ± {row['std']:.2g}" if row.get("std") is not None else "")
        value += f", {counted(row['groups'], 'group')}" if row.get("groups") else ""
        against = f"{row.get('data', '')} {row.get('split') or ''}".strip()
        rows.append((row["metric"], value, _count(row.get("n_fake")), _count(row.get("n_real")), against))
    if not rows:
        return ""
    numbers = table(("metric", "value", "generated", "real", "against"), rows, value_column=1)
    measured = "".join(f'<p class="sources">Measured with {source}.</p>' for source in sources)
    listed = f"<ul>{''.join(f'<li>{html.escape(note)}</li>' for note in notes)}</ul>" if notes else ""
    return section("Numbers and what they depend on", numbers + measured + listed)


def _count(n: Any) -> str:
    return f"{n:,}" if isinstance(n, int) else ""


def how_made(facts: Mapping[str, Any]) -> str:
    """The command, versions and recipe of a run, from the content of its recipe.json."""
    if not facts:
        return ""
    command = html.escape(str(facts.get("command") or "Started from Python."))
    versions = ", ".join(f"{name} {version}" for name, version in facts.get("versions", {}).items())
    recipe = html.escape(json.dumps(facts.get("recipe", {}), indent=2, ensure_ascii=False))
    details = f"<details><summary>The resolved recipe</summary><pre>{recipe}</pre></details>"
    content = f"<pre>{command}</pre><p>{html.escape(versions)}</p>{details}"
    return section("How to reproduce this run", content)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        values = read_json(path)
    except SparringError:
        return {}
    return values if isinstance(values, dict) else {}
