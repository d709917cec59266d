"""docs/studies/index.md has a line for every claim of every plan, with the verdict of the runs that are kept in studies/.

`python tests/study/test_claims_page.py` prints these lines.
"""

from __future__ import annotations

from pathlib import Path

from sparring.study.plan import Plan, shipped_plans
from sparring.study.results import RESULTS_FILE
from sparring.study.table import Table, open_study

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "studies" / "index.md"


def kept(name: str) -> Table | None:
    """What is kept of a plan's runs, if anything is."""
    folder = ROOT / "studies" / name
    return open_study(folder) if (folder / RESULTS_FILE).is_file() else None


def missing(table: Table) -> int:
    """How many of a study's runs have not ended yet: it has verdicts when all have."""
    return len(table.facts["rows"]) * len(table.facts["seeds"]) - len(table.results()) if table.facts else 0


def lines(name: str) -> list[str]:
    """The page's lines for the claims of a plan."""
    claims, page = Plan.load(name).claims, name.replace("/", "-") + ".md"
    link = f"[`{name}`]({page})" if (PAGE.parent / page).is_file() else f"`{name}`"
    ends = ["not run yet |  | "] * len(claims)
    table = kept(name) if claims else None
    if table is not None and (left := missing(table)):
        ends = [f"{left} of its runs are missing |  | "] * len(claims)
    elif table is not None:
        verdicts = {finding.says: finding.verdict for finding in table.findings}
        scales = " and ".join(sorted({result.scale for result in table.results()}))
        runs = [sorted({len(table.rows[label].results) for label in (claim.row, claim.against)}) for claim in claims]
        seeds = [" and ".join(map(str, some)) for some in runs]
        ends = [f"**{verdicts[claim.says]}** | {n} | {scales}" for claim, n in zip(claims, seeds, strict=True)]
    return [
        f"| {claim.says} | {claim.row} | {claim.against} | {end} | {link} |"
        for claim, end in zip(claims, ends, strict=True)
    ]


def test_every_claim_has_its_line() -> None:
    expected = [line for name in shipped_plans() for line in lines(name)]
    found = [line for line in PAGE.read_text().splitlines() if line.startswith("| ") and line.count(" | ") == 6]
    assert sorted(expected) == sorted(line for line in found if not line.startswith("| claim"))


def test_a_studys_page_has_its_tables() -> None:
    tables = {name: kept(name) for name in shipped_plans() if Plan.load(name).claims}
    complete = {name: table for name, table in tables.items() if table is not None and not missing(table)}
    assert "as-gan/figure-4" in complete
    for name, table in complete.items():
        assert table.markdown().strip() in (PAGE.parent / f"{name.replace('/', '-')}.md").read_text(), name


if __name__ == "__main__":
    print(*(line for name in shipped_plans() for line in lines(name)), sep="\n")
