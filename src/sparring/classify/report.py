"""The report of a classifier's run: one self-contained page with its classifiers side by side."""

from __future__ import annotations

import html
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sparring.classify.figures import confidence_histogram
from sparring.classify.results import Mistake, Results
from sparring.files import read_rows, write_atomically
from sparring.messages import counted
from sparring.recipe.files import beside_folder
from sparring.report.html import figure, heading, how_made, number_card, page, picture, section, table
from sparring.report.plots import image_grid, render

MISTAKES = '<div style="display:grid;gap:.8rem;grid-template-columns:repeat(auto-fill,minmax(7.5rem,1fr))">'


def write_classifier_report(
    folder: Path,
    facts: Mapping[str, Any],
    evaluations: Mapping[str, Results],
    warnings: Sequence[str],
    verdict: str,
    ended: str = "",
) -> Path:
    """Write report.html.

    facts: the content of recipe.json. evaluations: of each trained classifier. verdict: on the recipe's own classifier.
    ended: why the run ended before there was a verdict.
    """
    recipe = facts.get("recipe", {})
    name = str(recipe.get("name", folder.name))
    body = [_head(name, recipe, facts, warnings, verdict, ended)]
    if evaluations:
        body += [
            _cards(evaluations),
            section("Negative confidence rate: confident answers to images of no class", _ncr(evaluations)),
            section("Images of the classes", _positives(evaluations)),
            section("The largest probability", _histograms(evaluations)),
            _mistakes(evaluations),
        ]
    body += [_training(folder, recipe, evaluations), how_made(facts)]
    path = folder / "report.html"
    write_atomically(path, page(f"{name}: report", body))
    return path


def ncr_rows_of(results: Mapping[str, Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of the table of probes: a row for each probe and classifier. results: numbers by classifier."""
    thresholds: list[str] = []
    rows = []
    for probe in _probes(results):
        for name, numbers in results.items():
            found = numbers["probes"].get(probe)
            if found is None:
                continue
            thresholds = list(found["ncr"])
            row = [probe, _seen(found["seen_in_training"]), name, *(_rate(value) for value in found["ncr"].values())]
            row += [_rate(found["auroc"]), _rate(found["fpr95"]), _percent(found["caught_as_unknown"]), str(found["n"])]
            rows.append(row)
    rates = [f"NCR {t}" for t in thresholds]
    return ["probe", "seen in training", "classifier", *rates, "AUROC", "FPR95", "unknown", "n"], rows


def positive_rows_of(results: Mapping[str, Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of the table of test images: a row for each classifier. results: numbers by classifier."""
    thresholds: list[str] = []
    rows = []
    for name, numbers in results.items():
        thresholds = list(numbers["coverage"])
        threshold = numbers["threshold"]
        row = [name, f"{numbers['accuracy']:.2%}", _rate(numbers["ece"])]
        row += [_rate(value) for value in numbers["coverage"].values()]
        row += [_rate(threshold), _percent(numbers["false_alarms_on_test"]), str(numbers["n_test"])]
        rows.append(row)
    columns = ["classifier", "accuracy", "ECE", *(f"above {t}" for t in thresholds), "threshold", "false alarms", "n"]
    return columns, rows


def _numbers(evaluations: Mapping[str, Results]) -> dict[str, dict[str, Any]]:
    return {name: evaluation.numbers for name, evaluation in evaluations.items()}


def _probes(results: Mapping[str, Mapping[str, Any]]) -> list[str]:
    names: dict[str, None] = {}
    for numbers in results.values():
        names |= dict.fromkeys(numbers["probes"])
    return list(names)


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"


def _seen(share: float | None) -> str:
    return "–" if share is None else "yes" if share > 0.999 else "no" if share == 0 else f"{share:.0%} of it"


def _rate(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}" if 0 < value < 0.001 else f"{value:.3f}"


def _head(
    name: str, recipe: Mapping[str, Any], facts: Mapping[str, Any], warnings: Sequence[str], verdict: str, ended: str
) -> str:
    parts = [f"{counted(recipe['steps'], 'step')} of {counted(recipe['batch_size'], 'image')}"]
    listed = "".join(f"<li>{html.escape(warning)}</li>" for warning in warnings)
    return (
        heading(name, facts, parts, ended)
        + (f"\n<p><strong>{html.escape(verdict)}.</strong></p>" if verdict else "")
        + (f"<p>Warnings:</p><ul>{listed}</ul>" if listed else "")
    )


def _cards(evaluations: Mapping[str, Results]) -> str:
    cards = []
    results = _numbers(evaluations)
    trained_on = {p for numbers in results.values() for p, n in numbers["probes"].items() if n["seen_in_training"]}
    for name, numbers in results.items():
        cards.append(number_card(f"accuracy, {name}", f"{numbers['accuracy']:.1%}", f"{numbers['n_test']} test images"))
        unseen = [found for probe, found in numbers["probes"].items() if probe not in trained_on]
        if unseen:
            highest = list(unseen[0]["ncr"])[-1]
            mean = sum(probe["ncr"][highest] for probe in unseen) / len(unseen)
            cards.append(
                number_card(
                    f"NCR {highest}, {name}", f"{mean:.3f}", f"mean of {len(unseen)} unseen probes; lower is better"
                )
            )
    return f'<div class="numbers">{"".join(cards)}</div>'


def _ncr(evaluations: Mapping[str, Results]) -> str:
    note = (
        "<p>NCR t is the share of a probe's images whose largest probability exceeds t. Lower is better, but a classifier "
        "that is never sure has 0: read it with the accuracy and the share above t in the next table. AUROC tells the probe "
        "from the test images. FPR95 is the share of test images lost when 95% of the probe is caught. “unknown” is the "
        "share of the probe below the classifier's threshold. A probe that was seen in training says little.</p>"
    )
    columns, rows = ncr_rows_of(_numbers(evaluations))
    return note + table(columns, rows) if rows else "<p>The recipe names no probes.</p>"


def _positives(evaluations: Mapping[str, Results]) -> str:
    note = (
        "<p>“above t” is the share of test images whose largest probability exceeds t. Below the threshold the answer is "
        "“unknown”: it was chosen on held-out training images for the recipe's false-alarm rate. “false alarms” is the "
        "share of test images below it.</p>"
    )
    return note + table(*positive_rows_of(_numbers(evaluations)))


def _histograms(evaluations: Mapping[str, Results]) -> str:
    figures = []
    drawn = [("test images of the classes", {c: e.test_confidences for c, e in evaluations.items()})]
    for name in _probes(_numbers(evaluations)):
        values = {c: e.probe_confidences[name] for c, e in evaluations.items() if name in e.probe_confidences}
        drawn.append((name, values))
    for title, values in drawn:
        svg = render(confidence_histogram(values, title=title), "svg").decode()
        figures.append(f"<figure>{svg[svg.index('<svg') :]}</figure>")
    return f'<div class="curves">{"".join(figures)}</div>'


def _mistakes(evaluations: Mapping[str, Results]) -> str:
    parts = []
    for name, evaluation in evaluations.items():
        shown = {f"Confident mistakes on the classes: {name}": evaluation.test_mistakes}
        for probe, mistakes in evaluation.probe_mistakes.items():
            shown[f"Most confident answers to “{probe}”, images of no class: {name}"] = mistakes
        for title, mistakes in shown.items():
            if mistakes:
                pictures = "".join(_mistake(mistake) for mistake in mistakes)
                parts.append(section(title, f"{MISTAKES}{pictures}</div>"))
    return "\n".join(parts)


def _mistake(mistake: Mistake) -> str:
    content = io.BytesIO()
    image_grid(mistake.image[None], scale=1).save(content, "PNG", optimize=True)
    caption = f"{mistake.predicted} {mistake.confidence:.3f}"
    if mistake.probability_of_truth is not None:
        caption += f"; is {mistake.truth} {mistake.probability_of_truth:.3f}"
    return picture(content.getvalue(), caption)


def _training(folder: Path, recipe: Mapping[str, Any], evaluations: Mapping[str, Results]) -> str:
    series: dict[str, dict[str, tuple[list[float], list[float]]]] = {}
    own = recipe["criterion"]["kind"]
    for name in dict.fromkeys([*evaluations, *(each["kind"] for each in recipe["beside"]), own]):
        rows = read_rows((folder if name == own else folder / "beside" / beside_folder(name)) / "log.jsonl")
        for key in ("loss", "accuracy", "confidence on positives", "confidence on negatives"):
            points = [(row["step"], row[key]) for row in rows if key in row]
            if points:
                series.setdefault(key, {})[name] = ([s for s, _ in points], [v for _, v in points])
    figures = "".join(figure(curves, title=key) for key, curves in series.items())
    return section("Training", f'<div class="curves">{figures}</div>') if figures else ""
