"""Writes for Weights & Biases. Needs the extra `wandb`; what it sends, and where, is set by its own WANDB_ variables.

With `WANDB_MODE=offline` nothing is sent: the run's folder gets wandb/offline-run-*, for `wandb sync`.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from sparring.errors import needs
from sparring.report.plots import image_grid

with needs("Weights & Biases is not installed", "wandb"):
    import wandb


class WandB:
    """One run there for one run here: its id is kept in RUN/wandb/id, so that a resumed run continues it.

    Offline, wandb loses its last rows if a run is killed. A resumed run therefore writes its offline run anew.
    """

    def __init__(self, folder: Path, after: int | None):
        kept = folder / "wandb" / "id"
        kept.parent.mkdir(parents=True, exist_ok=True)
        if not kept.is_file():
            kept.write_text(os.environ.get("WANDB_RUN_ID") or uuid.uuid4().hex[:8])
        before = [*kept.parent.glob("offline-run-*")]
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT") or "sparring",
            id=kept.read_text().strip(),
            name=folder.resolve().name,
            dir=folder,
            resume="allow",
            settings=wandb.Settings(console="off"),  # the terminal is the run's own
        )
        first = self._run.starting_step  # what it has from before ends here; offline it is always 0
        self.holds = first - 1 if first else None
        for old in before if self._run.offline else ():
            shutil.rmtree(old)

    def config(self, recipe: Mapping[str, Any]) -> None:
        self._run.config.update(dict(recipe), allow_val_change=True)

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        if self.holds is None or step > self.holds:
            self._run.log(dict(values), step=step)

    def images(self, name: str, images: Tensor, step: int) -> None:
        if self.holds is None or step > self.holds:
            self._run.log({name: wandb.Image(image_grid(images, scale=None if len(images) > 1 else 1))}, step=step)

    def close(self) -> None:
        self._run.finish()
