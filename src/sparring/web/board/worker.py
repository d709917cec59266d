"""The separate process that draws from runs' generators: `python -m sparring.web.board.worker`.

Each line of its standard input is a request in JSON, each line of its standard output the answer. It ends with its input.
"""

from __future__ import annotations

import base64
import io
import json
import os
import sys
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from sparring.errors import SparringError, is_out_of_memory

KEPT = 2  # generators in memory
_loaded: OrderedDict[tuple[Any, ...], Any] = OrderedDict()


def answer(request: Mapping[str, Any]) -> dict[str, Any]:
    """Images of a generator as PNGs, and a caption for each; or {"message": one line} for what does not work.

    request: `weights` (the file), `changed` (what tells its versions apart), `allow_code`, `first` (a seed), `count`,
        `label` (a class's number, None or "each": the same seed in every class), `truncation`.
    """
    try:
        return _drawn(request)
    except SparringError as error:
        return {"message": str(error)}
    except Exception as error:
        reason = "there is not enough memory" if is_out_of_memory(error) else f"{type(error).__name__}: {error}"
        return {"message": f"this generator cannot be sampled: {SparringError(reason)}"}


def _drawn(request: Mapping[str, Any]) -> dict[str, Any]:
    generator = _opened(request)
    first, count, label, truncation = (request[key] for key in ("first", "count", "label", "truncation"))
    if label == "each":
        classes = list(range(min(count, generator.num_classes)))
        if not classes:
            raise SparringError("this generator is unconditional: it has no classes to choose from")
        latents = generator.latents([first], truncation).expand(len(classes), -1)
        images = generator(latents, classes)
        captions = [f"seed {first}, {generator.class_name(k)}" for k in classes]
    else:
        seeds = range(first, first + count)
        images = generator.sample(seeds=seeds, labels=_label(generator, label), truncation=truncation)
        named = f", {generator.class_name(label or 0)}" if generator.num_classes else ""
        captions = [f"seed {seed}{named}" for seed in seeds]
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise SparringError("this generator makes no pictures")
    return {"images": [_png(image) for image in images], "captions": captions, "size": int(images.shape[-1])}


def _label(generator: Any, label: int | None) -> Any:
    """A class's number as the generator takes it: a position, whatever the classes are called."""
    import torch

    return None if label is None else torch.tensor(label)


def _opened(request: Mapping[str, Any]) -> Any:
    from sparring.run.saved import load_generator

    key = (request["weights"], *request["changed"], request["allow_code"])
    if key not in _loaded:
        while len(_loaded) >= KEPT:
            _loaded.popitem(last=False)
        _loaded[key] = load_generator(request["weights"], allow_code=request["allow_code"])
    _loaded.move_to_end(key)
    return _loaded[key]


def _png(image: Any) -> str:
    from PIL import Image

    pixels, content = image[0] if len(image) == 1 else image.permute(1, 2, 0), io.BytesIO()
    Image.fromarray(pixels.numpy()).save(content, "PNG")
    return base64.b64encode(content.getvalue()).decode()


def main() -> None:
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # so that nothing else gets among the answers
    for line in sys.stdin:
        out.write(json.dumps(answer(json.loads(line))) + "\n")
        out.flush()


if __name__ == "__main__":
    main()
