"""docs/studies/index.md has a line for every claim of every plan, with the verdict of the runs that are kept in studies/.

`python tests/study/test_claims_page.py` prints these lines.
"""

from __future__ import annotations

from pathlib import Path

from sparring.study.plan import Plan, shipped_plans
from sparring.study.results import RESULTS_FILE
from sparring.study.table import open_study

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "studies" / "index.md"


def lines(name: str) -> list[str]:
    """The page's lines for the claims of a plan."""
    claims, kept, page = Plan.load(name).claims, ROOT / "studies" / name, name.replace("/", "-") + ".md"
    link = f"[`{name}`]({page})" if (PAGE.parent / page).is_file() else f"`{name}`"
    ends = ["not run yet |  | "] * len(claims)
    if claims and (kept / RESULTS_FILE).is_file():
        table = open_study(kept)
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
    kept = [
        name
        for name in shipped_plans()
        if Plan.load(name).claims and (ROOT / "studies" / name / RESULTS_FILE).is_file()
    ]
    assert "as-gan/figure-4" in kept
    for name in kept:
        page = (PAGE.parent / f"{name.replace('/', '-')}.md").read_text()
        assert open_study(ROOT / "studies" / name).markdown().strip() in page, name


if __name__ == "__main__":
    print(*(line for name in shipped_plans() for line in lines(name)), sep="\n")
