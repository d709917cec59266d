"""The features for comparing images: from the recipe's extractor, or from the discriminator itself."""

from __future__ import annotations

from torch import Tensor

from sparring.evaluation.extractors.choice import extractor_for
from sparring.microscope.opened import OpenedRun


class Features:
    """Features [N, d] of uint8 images, and the name of their source."""

    def __init__(self, run: OpenedRun):
        choice = None if run.recipe.evaluation is None else run.recipe.evaluation.extractor
        self._extractor = extractor_for(choice, run.data.real)
        self._subject = run.subject()
        self.name = (
            "the discriminator's own features" if self._extractor is None else f"features of {self._extractor.name}"
        )

    def __call__(self, pixels: Tensor, labels: Tensor | None = None) -> Tensor:
        if self._extractor is not None:
            return self._extractor(pixels).features
        from sparring.data.packed import to_float

        return self._subject.read(to_float(pixels), labels, lambda side: side.features)
