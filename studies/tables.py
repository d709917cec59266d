"""Write the tables and pictures of the recorded studies into the docs: `python studies/tables.py`.

The runs are in studies/NAME/results.jsonl; a page holds a study's tables between <!-- NAME --> and <!-- end of NAME -->.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sparring.files import write_atomically
from sparring.report.plots import render
from sparring.study.drawing import draw
from sparring.study.opened import open_study
from sparring.study.results import read
from sparring.study.table import in_markdown, tabulate

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
TOY = {"distance": "Wasserstein-1", "modes": "modes", "high_quality": "high quality", "reached": "steps to the level"}
TOY |= {"did_reach": "reached it", "oscillation": "oscillation"}
WORLDS = ("nat-1d", "ring-8", "grid-25")
NAT = {"accuracy": "accuracy", "ece": "ECE", "coverage.0.4": "positives above 0.4", "coverage.0.9": "above 0.9"}
PROBES = {
    "Tiny ImageNet, unseen classes": 4100,
    "CIFAR-10, held-out classes": 2000,
    "Tiny ImageNet, trained classes, unseen images": 4150,
    "Tiny ImageNet, trained on": 2000,
    "noise N(0, 1)": 2000,
}


def tables(folder: Path, columns: Mapping[str, str]) -> str:
    """All metrics side by side, then the differences between rows."""
    found = tabulate(read(folder), open_study(folder).plan, list(columns))
    return "\n\n".join("\n".join(in_markdown(part)) for part in found.compact(columns))


def nat_tables() -> str:
    folder, parts = ROOT / "studies" / "nat_classifiers", []
    for probe, images in PROBES.items():
        columns = {f"ncr.{probe}.{t}": f"NCR {t}" for t in ("0.4", "0.6", "0.8", "0.9")}
        columns |= {f"auroc.{probe}": "AUROC", f"fpr95.{probe}": "FPR95"}
        parts.append(f"**{probe}** ({images:,} images)\n\n{tables(folder, columns)}")
    return "\n\n".join([tables(folder, NAT), *parts])


def toy_tables(world: str) -> str:
    one_mode = ("modes", "high_quality") if world == "nat-1d" else ()
    return tables(ROOT / "studies" / "toy" / world, {word: name for word, name in TOY.items() if word not in one_mode})


def pages() -> dict[Path, str]:
    """The pages of the docs with the tables as they are now."""
    written = {f"toy/{world}": toy_tables(world) for world in WORLDS} | {"nat_classifiers": nat_tables()}
    found = {}
    for path in (DOCS / "toy.md", DOCS / "nat_study.md"):
        text = path.read_text(encoding="utf-8")
        for name, content in written.items():
            start, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
            if start in text:
                text = f"{text[: text.index(start) + len(start)]}\n{content}\n\n{text[text.index(end) :]}"
        found[path] = text
    return found


def main() -> None:
    for path, text in pages().items():
        write_atomically(path, text)
    for world in WORLDS:
        found = open_study(ROOT / "studies" / "toy" / world)
        assert found.plan is not None
        picture = draw(found.table, found.plan.figures[0], found.folder)
        write_atomically(DOCS / "images" / f"toy-study-{world}.png", render(picture, "png"))


if __name__ == "__main__":
    main()
