"""Write docs/figures.md from docs/figures/numbers.json and the text below: python studies/figures_page.py"""

from __future__ import annotations

import json
import math
import statistics
from typing import Any

from figure_runs import PLACES, RECIPES, ROOT, outside
from figures import FIGURES
from PIL import Image

NARROW = 850  # pixels; narrower pictures are placed side by side
PAGE = ROOT / "docs" / "figures.md"
GARMENTS, CIFAR = "embedded Fashion-MNIST, 8,000 images", "CIFAR-10 (JPEG), 50,000 images"

HEAD = """# The papers' figures, drawn from runs made here

For each result figure of the four papers, a command draws the counterpart from small runs, and trains them first if they
are missing. The networks are narrow (8 to 24 channels at the widest resolution), with 300 to 1,200 steps, 32x32 images
and one seed each. The figures show what the tools can draw. They can neither confirm nor refute a paper's numbers. If a
setting differs from the paper's, or a result contradicts the paper's, the text below the heading says so. Distances are
`fashion-FD` of 500 samples. This is not FID, so levels cannot be compared with a paper's. Scores (`fashion-IS`) are from
the time of the runs. Since then, samples are shuffled before they are split into groups, which changes a score by chance:
SAGAN's 5.09 is now 4.89.

```bash
python studies/figures.py         # train what is missing on one thread and draw all; continues after an interruption
python studies/figures_page.py    # write this page from docs/figures/numbers.json
```

Most figures need only the package. Some need 32x32 images, which are read from a folder next to the checkout:

| images | for | path | contents | to use another path |
|---|---|---|---|---|
| CIFAR-10 | {} | `{}` | `train/<class>/*.jpg`, `test/<class>/*.jpg` | `--cifar10 SOURCE` |
| Tiny ImageNet | {} | `{}` | `train/<wnid>/*.JPEG` | `--tiny-imagenet SOURCE` |

SOURCE is a folder or zip file with images in such folders. For CIFAR-10 it can be `torchvision:CIFAR10`, which
torchvision downloads. Of Tiny ImageNet, the ten classes named in `studies/figure_runs.py` are enough. If the images of a
figure are missing, the command trains nothing for it, says what is missing and ends with exit code 1.

To draw the same figures for your own runs, use `sparring diagnose RUN [RUN ...]` ([docs](diagnose.md)), `sparring
evaluate RUN --versus RUN` ([docs](measuring.md)), `sparring classify` ([docs](classify.md)) and `sparring toy`
([docs](toy.md)). Figures that explain a method and show no results (NAT 2; SDP 1; MHGAN 2, 3, 9; AS-GAN 3) have no
counterpart here.
"""


CHANCE = ROOT / "studies" / "figure_chance.json"
CHANCE_WORDS = """## Noise between seeds and CPUs

Figure 4 of MHGAN has 8.80 for SAGAN. A repeat on a CPU with only AVX2 gave 8.06. {{again}}

| fashion-FD at step 1,200 | {seeds} |
|---|{lines}
{{runs}}

AVX-512 reproduces 8.80. The instruction set alone changes the result: sums are rounded differently, and after a few
hundred steps the two runs of a seed have nothing in common. Per seed, they differ by {{between}} (root mean square) and
by at most {{largest}}, in either direction. The standard deviation over seeds is {{spread}}. The instruction set does not
explain the whole difference of 0.74: with AVX2 this CPU ends at {{here}}, the other at 8.06, so CPUs with the same
instructions differ, too. On this page, a difference between single seeds means nothing if it is below twice the standard
deviation, about {{twice}}.
"""
CONTROL_WORDS = """The control for Figures 8 and 12: 600 extra steps from SAGAN of the same seed. fashion-FD by seed:

| 600 extra steps | {seeds} | median |
|---|{lines}---|
{{runs}}

{{words}}
"""


def _chance() -> tuple[str, str]:
    """Two parts of the page: the noise between seeds and CPUs, and the control for MHGAN's fine-tuning."""
    found = json.loads(CHANCE.read_text(encoding="utf-8"))
    by_run: dict[str, dict[int, float]] = {}
    for row in found["rows"]:
        by_run.setdefault(f"{row['run']}, {row['instructions']}", {})[row["seed"]] = row["fd"]
    wide, narrow = by_run.pop("sagan, AVX-512"), by_run.pop("sagan, AVX2")
    paired = [narrow[seed] - wide[seed] for seed in wide if seed in narrow]
    spread = statistics.stdev(wide.values())
    runs = [_line(name, values, wide) for name, values in (("AVX-512", wide), ("AVX2", narrow))]
    where = f"{found['hardware']}; {found['date']}, commit `{found['commit']}`"
    again = (
        f"To test whether this explains the difference, one CPU repeated the run with both instruction sets ({where})."
    )
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
    """The first part of the page, with the figures that need images from outside the package."""
    words = []
    for key, place in PLACES.items():
        needing = [name for name, (_, runs) in FIGURES.items() if any(key in outside(run) for run in runs)]
        words += [", ".join(f"`{name}`" for name in needing), place]
    return HEAD.format(*words)


def _words() -> dict[str, tuple[str, str, list[str], str, str]]:
    """By figure: heading, text, pictures, data, and the command for other runs. Read from figures_page.txt."""
    found = {}
    for block in (ROOT / "studies" / "figures_page.txt").read_text(encoding="utf-8").strip().split("\n\n"):
        name, heading, words, pictures, data, command = block.strip().split("\n")
        found[name] = (heading, words, pictures.split(), data.format(GARMENTS=GARMENTS, CIFAR=CIFAR), command)
    return found


WORDS = _words()


def page() -> str:
    """The text of docs/figures.md."""
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
    lines += ["", f"*{data}.{of} {where}. `python studies/figures.py {name}`; for your own runs: `{command}`.*", ""]
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
