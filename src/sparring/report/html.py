"""The page that a run leaves: `report.html`, one file with its pictures inside, readable on a phone, light or dark."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sparring.files import write_atomically
from sparring.report.plots import curves, render, shrunk
from sparring.training.log import TIME_FIELDS, read_rows

IN_A_ROW = 3  # earlier pictures of samples, spread over the run; two rows at most, and only whole ones
NOT_CURVES = {"step", "update", "images", *TIME_FIELDS}
HEADLINES = 4  # numbers at the top
SOURCES = (  # keys of a record that its number depends on, in words
    ("extractor", "extractor"),
    ("weights_sha256", "its weights' SHA-256"),
    ("resize", "resize"),
    ("dtype", "precision"),
    ("seed", "seed"),
    ("version", "sparring"),
)

Points = tuple[list[float], list[float]]  # steps, values

STYLE = """
:root { color-scheme: light dark;
        --ink: #1d2126; --soft: #69707a; --line: #d9dde2; --paper: #fff; --card: #f5f6f8; --bar: #3b7ddd }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8eaed; --soft: #9aa1ab; --line: #363b42; --paper: #16181c; --card: #1f2227; --bar: #5c95e6 } }
* { box-sizing: border-box }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
       margin: 0 auto; max-width: 62rem; padding: 2rem 1.2rem 4rem }
h1 { font-size: 1.7rem; margin: 0 } h2 { font-size: 1.15rem; margin: 2.4rem 0 .8rem }
p { margin: .3rem 0; color: var(--soft) }
.numbers { display: grid; grid-template-columns: repeat(auto-fit, minmax(10rem, 1fr)); gap: .8rem; margin: 1.4rem 0 }
.number { background: var(--card); border-radius: .6rem; padding: .8rem 1rem }
.number b { display: block; font-size: 1.5rem; font-variant-numeric: tabular-nums }
.number span { color: var(--soft); font-size: .85rem }
.pictures, .curves { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 18rem), 1fr)) }
.curves { gap: 1.4rem 1.6rem } .pictures { grid-template-columns: repeat(auto-fill, minmax(min(47%, 18rem), 1fr)) }
figure { margin: 0; min-width: 0 } figcaption { color: var(--soft); font-size: .85rem; margin-top: .25rem }
img { width: 100%; image-rendering: pixelated; border-radius: .4rem; display: block }
.curves svg { width: 100%; height: auto }
.scroll { overflow-x: auto } table { border-collapse: collapse; font-size: .88rem; width: 100% }
.sources { font-size: .85rem; overflow-wrap: anywhere } .sources b { color: var(--ink); font-weight: 500 }
th, td { text-align: left; padding: .35rem .7rem .35rem 0; border-bottom: 1px solid var(--line); white-space: nowrap }
td.value { font-variant-numeric: tabular-nums; font-weight: 600 } th { color: var(--soft); font-weight: 500 }
.shares { display: grid; grid-template-columns: max-content 1fr max-content; gap: .25rem .8rem; align-items: center;
          font-size: .9rem }
.shares i { background: var(--bar); height: .8rem; border-radius: .2rem; display: block; min-width: 1px }
pre { background: var(--card); border-radius: .6rem; padding: 1rem; overflow-x: auto; font-size: .82rem; margin: .6rem 0 }
summary { cursor: pointer; color: var(--soft) } li { color: var(--soft) }
"""


def write_report(run: Path | str) -> Path:
    """Write a run's report.html from the files beside it, and return its path. Files that are missing are left out."""
    run = Path(run)
    facts = _read_json(run / "recipe.json")
    log, metrics = read_rows(run / "log.jsonl"), read_rows(run / "metrics.jsonl")
    pictures = sorted((run / "samples").glob("step-*.png"))
    name = str(facts.get("recipe", {}).get("name", run.name))
    body = [
        _head(name, facts, log),
        _headlines(metrics),
        _pictures(pictures),
        _warnings(read_rows(run / "vitals.jsonl")),
        _curves(log),
        _measured_curves(metrics),
        _class_shares(metrics),
        _metrics_table(metrics),
        _settings(facts),
    ]
    path = run / "report.html"
    write_atomically(path, page(f"{name}: report", body))
    return path


def page(title: str, body: Iterable[str]) -> str:
    """A whole page, self-contained, of these pieces of HTML."""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head>\n<body>\n" + "\n".join(part for part in body if part) + "\n</body></html>\n"
    )


def section(title: str, content: str) -> str:
    return f"<h2>{html.escape(title)}</h2>\n{content}"


def number_card(label: str, value: str, note: str = "") -> str:
    """A number to be read first: its name, its value, what it depends on."""
    label, value, note = html.escape(label), html.escape(value), html.escape(note)
    return f'<div class="number"><span>{label}</span><b>{value}</b><span>{note}</span></div>'


def picture(png: bytes, caption: str, *, css: str = "") -> str:
    """A PNG inside the page; grids go in without their enlargement."""
    data = base64.b64encode(shrunk(png)).decode()
    caption = html.escape(caption)
    image = f'<img class="{css}" alt="{caption}" src="data:image/png;base64,{data}">'
    return f"<figure>{image}<figcaption>{caption}</figcaption></figure>"


def figure(series: Mapping[str, tuple[Sequence[float], Sequence[float]]], *, title: str, ylabel: str = "") -> str:
    """Curves as an SVG inside the page."""
    svg = render(curves(series, title=title, ylabel=ylabel), "svg").decode()
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg[svg.index("<svg") :])  # names that a page knows: no address in it
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
    """A number as people read it."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


# --- the parts of a run's report ---


def _head(name: str, facts: Mapping[str, Any], log: list[dict[str, Any]]) -> str:
    recipe = facts.get("recipe", {})
    parts = [f"{log[-1]['step']} steps, {log[-1]['images']:,} real images seen"] if log else []
    if log and "seconds" in log[-1]:
        parts.append(f"{log[-1]['seconds'] / 60:.1f} minutes")
    parts += [str(facts[key]) for key in ("hardware", "commit") if facts.get(key)]
    about = html.escape(str(recipe.get("about", "")))
    return f"<h1>{html.escape(name)}</h1>\n<p>{about}</p>\n<p>{html.escape(' · '.join(parts))}</p>"


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
    """Which way is better, and the best of the run where that is not the last."""
    if not row.get("better"):
        return ""
    same = [other for other in metrics if other["metric"] == row["metric"] and isinstance(other["value"], int | float)]
    best = (min if row["better"] == "lower" else max)(same, key=lambda other: other["value"])
    earlier = best["value"] != row["value"]
    return f"{row['better']} is better" + (f"; {shown(best['value'])} at step {best['step']}" if earlier else "")


def _pictures(paths: list[Path]) -> str:
    if not paths:
        return ""
    last = section(
        "Samples", picture(paths[-1].read_bytes(), f"the same latents at step {_step(paths[-1])}, the last", css="last")
    )
    if len(paths) == 1:
        return last
    before = paths[:-1]
    count = len(before) if len(before) < IN_A_ROW else min(len(before) // IN_A_ROW, 2) * IN_A_ROW
    chosen = [before[round(i * (len(before) - 1) / max(count - 1, 1))] for i in range(count)]
    earlier = "".join(picture(path.read_bytes(), f"step {_step(path)}") for path in chosen)
    return last + section("How they came about", f'<div class="pictures">{earlier}</div>')


def _step(path: Path) -> int:
    return int(path.stem.removeprefix("step-"))


def _warnings(vitals: list[dict[str, Any]]) -> str:
    begun = [(row["step"], text) for row in vitals for text in row.get("warnings", {}).values()]
    listed = "".join(f"<li>step {step}: {html.escape(text)}</li>" for step, text in begun)
    return section("Warnings", f"<ul>{listed}</ul>") if begun else ""


def _curves(log: list[dict[str, Any]]) -> str:
    """A figure per term, since their sizes differ, and one in which the scores are side by side."""
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
        figures.append(figure(scores, title="how real the discriminator finds them", ylabel="score"))
    note = "<p>The raw value of each term, before its weight.</p>"
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
    note = f"<p>of {row['n_fake']:,} samples, as the classifier “{html.escape(row['extractor'])}” sees them</p>"
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
        value = shown(row["value"]) + (f" ± {shown(row['std'])}" if row.get("std") is not None else "")
        value += f", {row['groups']} groups" if row.get("groups") else ""
        against = f"{row.get('data', '')} {row.get('split') or ''}".strip()
        rows.append((row["metric"], value, _count(row.get("n_fake")), _count(row.get("n_real")), against))
    if not rows:
        return ""
    numbers = table(("metric", "value", "generated", "real", "against"), rows, value_column=1)
    measured = "".join(f'<p class="sources">Measured with {source}.</p>' for source in sources)
    listed = f"<ul>{''.join(f'<li>{html.escape(note)}</li>' for note in notes)}</ul>" if notes else ""
    return section("Numbers, and what they depend on", numbers + measured + listed)


def _count(n: Any) -> str:
    return f"{n:,}" if isinstance(n, int) else ""


def _settings(facts: Mapping[str, Any]) -> str:
    if not facts:
        return ""
    command = html.escape(str(facts.get("command", "")))
    versions = ", ".join(f"{name} {version}" for name, version in facts.get("versions", {}).items())
    recipe = html.escape(json.dumps(facts.get("recipe", {}), indent=2, ensure_ascii=False))
    details = f"<details><summary>The resolved recipe</summary><pre>{recipe}</pre></details>"
    content = f"<pre>{command}</pre><p>{html.escape(versions)}</p>{details}"
    return section("How to make it again", content)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
