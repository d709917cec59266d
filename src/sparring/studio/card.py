"""The model card of a shared generator: a README.md with the header that model hubs read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sparring.messages import counted

HEADER = """\
---
library_name: sparring
pipeline_tag: unconditional-image-generation
tags:
- gan
- image-generation
- sparring
# For the owner: choose a licence and name the data, then remove the "#".
# license: cc-by-4.0
# datasets:
# - NAME/DATA
---
"""
LEFT = """\
## For the owner to fill in

- **Licence of these weights:** not stated yet.
- **Data:** where the training images come from, under which licence, and whether people are shown: not stated yet.
- **Use:** what the images are meant for, and what they should not be used for: not stated yet.
"""
USE = """\
## Use

```python
import sparring

generator = sparring.load("THIS-FOLDER")
images = generator.sample(seeds="1-9")   # uint8 [9, C, H, W]
```

`sparring sample`, `interpolate`, `project`, `export` and `evaluate --real` take this folder as well. It holds data only:
opening it runs no code.
"""
MOST_CLASSES = 30  # that are listed by name


def model_card(
    description: Mapping[str, Any], recipe: Mapping[str, Any] | None, records: Sequence[Mapping[str, Any]]
) -> str:
    """The card as Markdown. description: of the generator. recipe, records: of its run; None and [] if unknown."""
    parts = [HEADER, f"# {_plain(description.get('recipe') or 'generator')}\n", _about(description, recipe)]
    parts += ["![Samples](samples.png)\n", _caption(description), USE]
    if recipe:
        parts.append(_training(description, recipe))
    if records:
        parts.append(_numbers(records))
    return "\n".join([*parts, LEFT])


def _about(description: Mapping[str, Any], recipe: Mapping[str, Any] | None) -> str:
    given = description.get("given", {})
    side = given.get("image_size")
    size = f" of {side}x{side} pixels" if side else ""
    colour = {1: "grey images", 3: "colour images"}.get(given.get("image_channels", 0), "images")
    about = (recipe or {}).get("about")
    return f"A GAN that draws {colour}{size}.{f' {_plain(about)}.' if about else ''}\n"


def _caption(description: Mapping[str, Any]) -> str:
    count, names = description.get("num_classes", 0), description.get("class_names") or []
    if not count:
        return "*The first 64 images of seed 0: nothing was picked by hand.*\n"
    listed = ", ".join(_plain(name) for name in names[:MOST_CLASSES]) + (", ..." if len(names) > MOST_CLASSES else "")
    return (
        "*The first 64 images of seed 0, the classes in turn: nothing was picked by hand.*\n\n"
        f"{counted(count, 'class', 'classes')}{f': {listed}' if names else ''}.\n"
    )


def _training(description: Mapping[str, Any], recipe: Mapping[str, Any]) -> str:
    data, terms = recipe.get("data", {}), [name for name, term in recipe.get("objective", {}).items() if term]
    rows = {
        "data": data.get("source"),
        "steps": f"{description.get('step'):,}" if isinstance(description.get("step"), int) else None,
        "batch size": recipe.get("batch_size"),
        "objective": ", ".join(terms),
        "generator": description["network"]["kind"],
        "moving average of the weights": "yes" if description.get("moving_average") else "no",
        "latents": f"{description.get('latent_size')}, standard normal",
    }
    lines = "".join(f"| {name} | {_plain(value)} |\n" for name, value in rows.items() if value)
    return f"## Training\n\nBy sparring; `recipe.yaml` has every setting.\n\n| | |\n|---|---|\n{lines}"


def _numbers(records: Sequence[Mapping[str, Any]]) -> str:
    lines = []
    for each in records:
        value = each.get("value")
        if isinstance(value, int | float) and not isinstance(value, bool):
            counts = [f"{each[key]:,}" if isinstance(each.get(key), int) else "" for key in ("n_fake", "n_real")]
            cells = [
                each.get("metric"),
                f"{value:.4g}",
                each.get("better"),
                *counts,
                each.get("data"),
                each.get("split"),
            ]
            lines.append("| " + " | ".join(_plain("" if cell is None else cell) for cell in cells) + " |\n")
    head = "| number | value | better | samples | real images | data | split |\n|---|---|---|---|---|---|---|\n"
    return (
        f"## Numbers\n\n{head}{''.join(lines)}\nOf exactly these weights. `metrics.json` says all that each number depends "
        "on. Numbers of different extractors cannot be compared.\n"
    )


def _plain(text: Any) -> str:
    """A name as text on one line of Markdown."""
    line = " ".join(str(text).split())
    return "".join(f"\\{char}" if char in "\\`*_[]<>|#" else char for char in line)
