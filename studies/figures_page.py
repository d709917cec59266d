"""Write docs/figures.md from docs/figures/numbers.json and the words below: python studies/figures_page.py"""

from __future__ import annotations

import json
import math
import statistics
from typing import Any

from figure_runs import PLACES, RECIPES, ROOT, outside
from figures import FIGURES
from PIL import Image

NARROW = 850  # pixels; pictures below that stand side by side
PAGE = ROOT / "docs" / "figures.md"
GARMENTS, CIFAR = "embedded Fashion-MNIST, 8,000 images", "CIFAR-10 (JPEG), 50,000 images"

HEAD = """# The papers' figures, drawn from runs made here

Each result figure of the four papers has a command that draws its counterpart from runs that it trains first, if they are
not there. The runs are small: narrow networks (8 to 24 channels at the widest resolution), 300 to 1,200 steps, 32x32 images,
one seed each. They show what the tools draw; they cannot confirm or refute a paper's numbers. Where a figure's setting
departs from the paper's, or its numbers contradict the paper's finding, the text under its heading says so. Distances are
`fashion-FD` of 500 samples, which is no FID: no level here compares with a paper's. Scores
(`fashion-IS`) were computed when the runs were made. Since then samples are shuffled before they are split into groups,
which moves a score by chance: SAGAN's 5.09 is now 4.89.

```bash
python studies/figures.py         # trains what is missing on one thread, draws all, goes on where it was stopped
python studies/figures_page.py    # writes this page from docs/figures/numbers.json
```

Most figures need nothing but the package. Some need images of 32x32 pixels that are looked for beside the checkout:

| images | for | place | what lies in it | another place |
|---|---|---|---|---|
| CIFAR-10 | {} | `{}` | `train/<class>/*.jpg`, `test/<class>/*.jpg` | `--cifar10 SOURCE` |
| Tiny ImageNet | {} | `{}` | `train/<wnid>/*.JPEG` | `--tiny-imagenet SOURCE` |

SOURCE is a folder or a zip with images in such folders, or for CIFAR-10 `torchvision:CIFAR10`, which torchvision fetches; of
Tiny ImageNet the ten classes that `studies/figure_runs.py` names are enough. For a figure whose images are not there nothing
is trained; the command says what it lacks and ends with exit code 1.

The same figures of your own runs: `sparring diagnose RUN [RUN ...]` ([docs](diagnose.md)), `sparring evaluate RUN --versus
RUN` ([docs](measuring.md)), `sparring classify` ([docs](classify.md)), `sparring toy` ([docs](toy.md)). Figures that explain
a method and have no result in them (NAT 2; SDP 1; MHGAN 2, 3, 9; AS-GAN 3) have no counterpart here.
"""


CHANCE = ROOT / "studies" / "figure_chance.json"
CHANCE_WORDS = """## How large chance is

Figure 4 of MHGAN gives 8.80 for SAGAN, and a repeat on a CPU with AVX2 alone gave 8.06. {{again}}

| fashion-FD at step 1,200 | {seeds} |
|---|{lines}
{{runs}}

With AVX-512 8.80 comes out again. The instruction set alone moves the number: sums are rounded differently, and after some
hundred steps the two runs of one seed have nothing in common. Seed by seed the difference is {{between}} in the root mean
square and {{largest}} at most, in either direction; the standard deviation over seeds is {{spread}}. It does not
explain all of 0.74: this CPU held to AVX2 ends at {{here}} where the other ended at 8.06, so CPUs with the
same instructions differ as well.
Differences of one seed on this page that are below twice the spread, about {{twice}}, say nothing.
"""
CONTROL_WORDS = """The control of Figures 8 and 12, from SAGAN of the same seed, 600 steps more; fashion-FD, seed by seed:

| 600 steps more | {seeds} | median |
|---|{lines}---|
{{runs}}

{{words}}
"""


def _chance() -> tuple[str, str]:
    """What chance changes, and the control of MHGAN's fine-tuning: two parts of the page."""
    found = json.loads(CHANCE.read_text(encoding="utf-8"))
    by_run: dict[str, dict[int, float]] = {}
    for row in found["rows"]:
        by_run.setdefault(f"{row['run']}, {row['instructions']}", {})[row["seed"]] = row["fd"]
    wide, narrow = by_run.pop("sagan, AVX-512"), by_run.pop("sagan, AVX2")
    paired = [narrow[seed] - wide[seed] for seed in wide if seed in narrow]
    spread = statistics.stdev(wide.values())
    runs = [_line(name, values, wide) for name, values in (("AVX-512", wide), ("AVX2", narrow))]
    where = f"{found['hardware']}; {found['date']}, commit `{found['commit']}`"
    again = f"To see whether that explains it, the run was repeated on one CPU with either instruction set ({where})."
    noise = _with_seeds(CHANCE_WORDS, wide).format(
        again=again,
        runs="\n".join(runs),
        between=f"{math.sqrt(statistics.mean(d * d for d in paired)):.2f}",
        largest=f"{max(map(abs, paired)):.2f}",
        spread=f"{spread:.2f}",
        twice=f"{2 * spread:.1f}",
        here=f"{narrow[0]:.2f}",
    )
    seeds = next(iter(by_run.values()))
    lines = []
    for name, values in by_run.items():
        lines.append(
            _line(name.removesuffix(", AVX-512"), values, seeds) + f" {statistics.median(values.values()):.2f} |"
        )
    control = _with_seeds(CONTROL_WORDS, seeds).format(runs="\n".join(lines), words=found["control"])
    return noise, control


def _with_seeds(words: str, seeds: dict[int, float]) -> str:
    return words.format(seeds=" | ".join(f"seed {seed}" for seed in seeds), lines="---|" * len(seeds))


def _line(name: str, values: dict[int, float], seeds: dict[int, float]) -> str:
    return f"| {name} | " + " | ".join(f"{values[s]:.2f}" if s in values else "" for s in seeds) + " |"


def head() -> str:
    """The page's first part, with the figures that need images from outside."""
    words = []
    for key, place in PLACES.items():
        needing = [name for name, (_, runs) in FIGURES.items() if any(key in outside(run) for run in runs)]
        words += [", ".join(f"`{name}`" for name in needing), place]
    return HEAD.format(*words)


def _words() -> dict[str, tuple[str, str, list[str], str, str]]:
    """By figure: heading, what it shows, pictures, data, a command that draws the same of any run (figures_page.txt)."""
    found = {}
    for block in (ROOT / "studies" / "figures_page.txt").read_text(encoding="utf-8").strip().split("\n\n"):
        name, heading, words, pictures, data, command = block.strip().split("\n")
        found[name] = (heading, words, pictures.split(), data.format(GARMENTS=GARMENTS, CIFAR=CIFAR), command)
    return found


WORDS = _words()


def page() -> str:
    """All of docs/figures.md."""
    numbers = json.loads((PAGE.parent / "figures" / "numbers.json").read_text(encoding="utf-8"))
    chance, control = _chance()
    parts = [_part(name, numbers.get(name)) + (f"\n{control}" if name == "mhgan-12" else "") for name in WORDS]
    return "\n".join([head(), chance, *parts])


def _part(name: str, found: dict[str, Any] | None) -> str:
    heading, words, pictures, data, command = WORDS[name]
    lines = [f"## {heading}", "", words, ""]
    if found is None:
        lines += [f"*Not drawn yet: `python studies/figures.py {name}` trains what it needs and draws it.*", ""]
        return "\n".join(lines)
    for picture in pictures:
        with Image.open(PAGE.parent / "figures" / f"{picture}.png") as opened:
            narrow = opened.width < NARROW
        width = ("49%" if len(pictures) > 1 else "60%") if narrow else "100%"
        lines.append(f'<img src="figures/{picture}.png" width="{width}" alt="{heading}">')
    steps = ", ".join(f"{run} {count}" for run, count in found["steps"].items())
    of = f" Steps: {steps}; batches of {next(iter(RECIPES.values()))['batch_size']}." if steps else ""
    where = f"{found['date']}, commit `{found['commit']}`, {found['hardware']}"
    lines += ["", f"*{data}.{of} {where}. `python studies/figures.py {name}`; of any runs: `{command}`.*", ""]
    numbers = [f"- {key}: {_shown(value)}" for key, value in found["numbers"].items()]
    return "\n".join([*lines, *numbers, ""] if numbers else lines)


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{key} {_shown(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return " → ".join(map(_shown, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
