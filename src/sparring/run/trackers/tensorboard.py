"""Writes for TensorBoard, into the run's folder: `tensorboard --logdir runs`. Needs the extra `tensorboard`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from sparring.errors import needs

with needs("TensorBoard is not installed", "tensorboard"):
    from torch.utils.tensorboard import SummaryWriter


class TensorBoard:
    """Event files in RUN/tensorboard. Those of a session that was killed end at a flush, so each tick is flushed."""

    def __init__(self, folder: Path, after: int | None):
        place = folder / "tensorboard"
        has_events = any(place.glob("events.*"))
        self.holds = after if has_events else None
        purged = (-1 if after is None else after) + 1  # readers then forget events from this step on in earlier files
        self._writer = SummaryWriter(str(place), purge_step=purged if has_events else None)

    def config(self, recipe: Mapping[str, Any]) -> None:
        self._writer.add_text("recipe", f"```\n{json.dumps(recipe, indent=2)}\n```", 0)

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def images(self, name: str, images: Tensor, step: int) -> None:
        self._writer.add_images(name, images, step)
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()
