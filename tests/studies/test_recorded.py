"""The recorded studies: the engine's table gives the numbers that were published, and the docs hold its numbers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sparring.study.results import read
from sparring.study.table import open_study, tabulate

ROOT = Path(__file__).parents[2]
PUBLISHED = Path(__file__).parent / "published"  # the tables as they stood in the docs until 2026-11-30
NUMBER = r"[-+]?\d+\.?\d*"
TOY = {
    "Wasserstein-1": "distance",
    "sliced Wasserstein-1": "distance",
    "modes": "modes",
    "high quality": "high_quality",
    "steps to the level": "reached",
    "oscillation": "oscillation",
}
NAT = {"accuracy": "accuracy", "ECE": "ece", "positives above 0.4": "coverage.0.4", "above 0.9": "coverage.0.9"}


def published(name):
    """(title, heads, cells) of every row of the published tables."""
    title, heads = "", []
    for line in (PUBLISHED / name).read_text(encoding="utf-8").splitlines():
        if found := re.match(r"\*\*(.+?)\*\*", line):
            title = found[1]
        cells = [cell.strip().strip("*") for cell in line.strip("|").split("|")] if line.startswith("|") else []
        if cells and not cells[0].startswith("---"):
            if cells[0] in ("method", "classifier", "difference to the baseline"):
                heads = cells
            else:
                yield title, heads, cells


def check(said, value):
    """A number as it was printed, within one unit of its last digit, as halves were rounded by others' rules."""
    places = len(said.partition(".")[2])
    assert abs(float(said) - value) <= 0.51 * 10**-places, (said, value)


def table_of(folder, *words):
    plan = open_study(ROOT / "studies" / folder).plan.model_copy(update={"metrics": words})
    return tabulate(read(ROOT / "studies" / folder), plan)


def spread_of(table, word, row):
    return next(cell for cell in table.metrics[word].rows if cell.row == row)


@pytest.fixture(scope="module")
def toys():
    return {
        world: table_of(f"toy/{world}", *dict.fromkeys(TOY.values()), "did_reach")
        for world in ("nat-1d", "ring-8", "grid-25")
    }


def test_the_toy_study_comes_out_as_published(toys):
    checked = {"row": 0, "difference": 0}
    for world, heads, cells in published("toy.md"):
        table = toys[world]
        for head, cell in list(zip(heads, cells, strict=True))[1:]:
            if head == "seeds":
                assert cell == str(len(table.rows[cells[0]].results))
                continue
            word = TOY[head.partition(" (")[0]]
            if heads[0] == "method":
                mean, sd, median = re.match(rf"({NUMBER}) ± ({NUMBER}), median ({NUMBER})", cell).groups()
                found = spread_of(table, word, cells[0])
                for said, value in ((mean, found.spread.mean), (sd, found.spread.sd), (median, found.spread.median)):
                    check(said, value)
                if share := re.search(r"\((\d+)% did\)", cell):
                    check(share[1], 100 * spread_of(table, "did_reach", cells[0]).spread.mean)
                if word == "distance":
                    least, most = re.search(rf", ({NUMBER}) to ({NUMBER})", cell).groups()
                    check(least, min(found.seeds.values()))
                    check(most, max(found.seeds.values()))
                checked["row"] += 1
            else:
                row, _, against = cells[0].partition(" - ")
                both = next(d for d in table.metrics[word].differences if (d.row, d.against) == (row, against))
                check(re.match(NUMBER, cell)[0], both.found.mean)
                checked["difference"] += 1
    assert checked == {"row": 4 * 3 + 15 * 5, "difference": 3 * 3 + 10 * 5}


def test_runs_that_ran_away_are_a_group_of_their_own(toys):
    for row, ways in (("nat_gan", "9 at 1025 to 2035"), ("nat_gan-negatives", "10 at 1122 to 2030")):
        assert any(
            note.startswith(f"distance of {row} ends in two groups") and ways in note for note in toys["ring-8"].notes
        )


def test_the_classifier_study_comes_out_as_published():
    """Its intervals, too: they were Student's t of pairs before."""
    checked, tables = 0, {}
    for title, heads, cells in published("nat_classifiers.md"):
        for head, cell in list(zip(heads, cells, strict=True))[1:]:
            if head == "seeds" or not cell:
                continue
            word = head.removesuffix(" against the baseline")
            against = head != word or head == "against the baseline"
            word = "accuracy" if head == "against the baseline" else word
            kind, _, threshold = word.lower().partition(" ")  # "NCR 0.4", "AUROC"
            key = NAT.get(word) or f"{kind}.{title}{f'.{threshold}' if threshold else ''}"
            if key not in tables:
                tables[key] = table_of("nat_classifiers", key)
            table = tables[key]
            if against:
                both = next(d for d in table.metrics[key].differences if d.row == cells[0])
                values = (both.found.mean, both.found.low, both.found.high)
            else:
                found = spread_of(table, key, cells[0]).spread
                values = (found.mean, found.sd)
            for said, value in zip(re.findall(NUMBER, cell), values, strict=False):
                check(said, value)
            checked += 1
    assert checked == 6 * 4 + 5 + 5 * (6 * 6 + 5 * 2)


def in_docs(page, name):
    """(title, heads, cells) of every row of a study's tables in the docs."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    title, heads = "", []
    for line in text[text.index(f"<!-- {name} -->") : text.index(f"<!-- end of {name} -->")].splitlines():
        if found := re.match(r"\*\*(.+?)\*\*", line):
            title = found[1]
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        if cells and cells[0] in ("row", "row - other"):
            heads = cells
        elif cells and not cells[0].startswith("---"):
            yield title, heads, cells


def check_in_docs(table, word, head, row, cell):
    if head == "row - other":
        found = next(each.found for each in table.metrics[word].differences if f"{each.row} - {each.against}" == row)
        assert cell.count("[") == 1
        for said, value in zip(re.findall(NUMBER, cell), (found.mean, found.low, found.high), strict=True):
            check(said, value)
        return
    found = spread_of(table, word, row).spread
    if cell.endswith("%"):
        check(cell.removesuffix("%"), 100 * found.mean)
        return
    words, _, rest = cell.partition(": ")
    for said, value in zip(re.findall(NUMBER, words), (found.mean, found.sd, found.median), strict=found.n > 2):
        check(said, value)
    assert found.two_humped == words.startswith("two groups")
    if rest and not found.two_humped:
        for said, value in zip(rest.split(), spread_of(table, word, row).seeds.values(), strict=True):
            check(said, value)


@pytest.mark.parametrize("world", ["nat-1d", "ring-8", "grid-25"])
def test_the_docs_hold_the_toy_studys_numbers(toys, world):
    table, rows = toys[world], {"row": [], "row - other": []}
    for _, heads, (row, *cells) in in_docs("toy.md", f"toy/{world}"):
        rows[heads[0]].append(row)
        for head, cell in zip(heads[1:], cells, strict=True):
            if head == "runs":
                assert cell == str(len(table.rows[row].results))
            else:
                word = "did_reach" if head == "reached it" else TOY[head] if head in TOY else TOY[f"sliced {head}"]
                check_in_docs(table, word, heads[0], row, cell)
    assert rows["row"] == list(table.rows)
    assert rows["row - other"] == [f"{each.row} - {each.against}" for each in table.metrics["distance"].differences]


def test_the_docs_hold_the_classifier_studys_numbers():
    tables, checked = {}, 0
    for title, heads, (row, *cells) in in_docs("nat_study.md", "nat_classifiers"):
        for head, cell in zip(heads[1:], cells, strict=True):
            if head == "runs":
                continue
            kind, _, threshold = head.lower().partition(" ")
            word = NAT.get(head) or f"{kind}.{title}{f'.{threshold}' if threshold else ''}"
            if word not in tables:
                tables[word] = table_of("nat_classifiers", word)
            check_in_docs(tables[word], word, heads[0], row, cell)
            checked += 1
    assert checked == (6 + 5) * (4 + 5 * 6)
