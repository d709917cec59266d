"""What `sparring.load` returns: a trained generator, its classes, and the ways to draw from it."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from sparring.data.classes import class_number
from sparring.data.packed import to_uint8
from sparring.errors import SparringError
from sparring.limits import MEASURED, check_memory
from sparring.messages import counted
from sparring.run.generator import draws_noise, generate, generate_uint8, whole_batches
from sparring.run.latents import as_latents, check_truncation, latent, read_seeds

ROWS = 50  # images per batch in sampling; fixed, since the last bit of a sum may depend on it
SHOWN = 16  # images in a notebook
LONGEST = 110  # characters of the text in a notebook or a terminal


@dataclass(frozen=True, repr=False)
class SavedGenerator:
    """A trained generator with all that sampling needs. `sparring.load` makes it; `description` is generator.json.

    `module` is the network itself: float latents [N, Z] and labels [N] in, float images in [-1, 1] out.
    """

    module: nn.Module
    description: dict[str, Any] = field(repr=False)

    @property
    def latent_size(self) -> int:
        return int(self.description["latent_size"])

    @property
    def num_classes(self) -> int:
        return int(self.description["num_classes"])

    @property
    def class_names(self) -> tuple[str, ...]:
        return tuple(self.description["class_names"])

    @property
    def blends_labels(self) -> bool:
        """Whether labels may be weights of the classes, so that an image can lie between two."""
        return bool(self.num_classes) and bool(getattr(self.module, "blends_labels", False))

    def __repr__(self) -> str:
        given, network = self.description.get("given", {}), self.description["network"]
        size = given.get("image_size")
        pixels = f", {given.get('image_channels', '?')}x{size}x{size}" if size else ""
        classes = f", {counted(self.num_classes, 'class', 'classes')}" if self.num_classes else ""
        made = f"{self.description.get('recipe')}, step {self.description.get('step')}"
        text = f"SavedGenerator({made}: {network['kind']}{pixels}, {self.latent_size} latents{classes})"
        return text if len(text) <= LONGEST else f"{text[: LONGEST - 4]}...)"

    def _repr_png_(self) -> bytes | None:
        """Some images, for notebooks; None for points in a plane."""
        from sparring.report.plots import image_grid
        from sparring.report.samples import layout

        images = self.sample(SHOWN)
        if images.ndim != 4 or images.shape[1] not in (1, 3):
            return None
        grid, content = layout(SHOWN, self.num_classes, rows=None), io.BytesIO()
        image_grid(images, columns=grid.columns, cells=grid.cells).save(content, "PNG")
        return content.getvalue()

    # --- drawing ---
    def sample(
        self,
        n: int | None = None,
        *,
        labels: Any = None,
        seed: int | None = None,
        seeds: str | Iterable[int] | None = None,
        truncation: float | None = None,
    ) -> Tensor:
        """Images uint8 [N, C, H, W]: n (by default 64) of one seed (by default 0), or the first image of each of `seeds`.

        The first m images of a seed are the same for any n >= m. `seeds` is a list, or a text such as "1-9,42".

        labels: one class for all, or a list of N; None: the classes in turn, if there are any, which for `seeds` is the
            first class. A label that equals a class's name is that class, also as an int; any other number is a position.
            Integer tensors and arrays hold positions.
        truncation: redraws what lies beyond this threshold in the latents: see `run.latents.latent`.
        """
        check_truncation(truncation)
        if seeds is not None:
            if n is not None or seed is not None:
                raise SparringError("seeds say which images and how many: leave n and seed out")
            return to_uint8(self._of_seeds(read_seeds(seeds), labels, truncation))
        n, seed = 64 if n is None else n, 0 if seed is None else seed
        self._check_count(n)
        chosen = self._labels(n, labels)
        made = whole_batches(self.module, n, ROWS)
        return generate_uint8(
            self.module, *self._moved(self._latents(seed, made, truncation), self._filled(chosen, made)), ROWS
        )[:n]

    def __call__(self, latents: Any, labels: Any = None) -> Tensor:
        """Images uint8 [N, C, H, W] for the given latents [N, Z]. Each image depends only on its latent and label.

        labels: as for `sample`, or, if the network `blends_labels`, weights of the classes, float [N, K].
        """
        return to_uint8(self.floats(latents, labels))

    def floats(self, latents: Any, labels: Any = None) -> Tensor:
        """As calling the generator, but float32 images in [-1, 1], which are not rounded to 8 bits."""
        given = as_latents(latents, self.latent_size)
        self._check_count(len(given))
        return self._each(given, self._labels(len(given), labels), [0] * len(given), None)

    def latents(self, seeds: str | Iterable[int], truncation: float | None = None) -> Tensor:
        """The latents float32 [N, Z] of the images of `sample(seeds=...)`."""
        check_truncation(truncation)
        return torch.stack([latent(self.latent_size, seed, 0, truncation) for seed in read_seeds(seeds)])

    def latents_of(
        self, n: int, seed: int | None, seeds: Iterable[int] | None, truncation: float | None = None
    ) -> Tensor:
        """The latents float32 [n, Z] of the images that `sample` makes of the same arguments."""
        return self._latents(seed or 0, n, truncation) if seeds is None else self.latents(seeds, truncation)

    def numbers(self, n: int, labels: Any, *, of_seeds: bool = False) -> Tensor | None:
        """The classes [n] of the images that `sample` makes of these labels; None if there are none."""
        return self._labels(n, torch.tensor(0) if of_seeds and labels is None and self.num_classes else labels)

    def _of_seeds(self, seeds: list[int], labels: Any, truncation: float | None) -> Tensor:
        self._check_count(len(seeds))
        chosen = self.numbers(len(seeds), labels, of_seeds=True)
        return self._each(self.latents(seeds, truncation), chosen, seeds, truncation)

    def _each(self, latents: Tensor, labels: Tensor | None, seeds: Sequence[int], truncation: float | None) -> Tensor:
        """Floats of latents [N, Z]: image i is what it would be as the first of its seed's images.

        Where images of a batch see each other, or draw numbers, each is made in a batch with its seed's further images.
        Elsewhere they share batches of the same size, in which the place of an image does not matter.
        """
        rows = whole_batches(self.module, 1, ROWS)
        coupled = getattr(self.module, "batch_statistics", False)
        if not coupled and not draws_noise(
            self.module, *self._moved(latents[:1], None if labels is None else labels[:1])
        ):
            made = whole_batches(self.module, len(latents), ROWS)
            padded = torch.cat([latents, latents.new_zeros(made - len(latents), self.latent_size)])
            moved = self._moved(padded, self._filled(labels, made))
            return generate(self.module, *moved, ROWS)[: len(latents)]
        others = lru_cache(1)(lambda seed: self._latents(seed, rows, truncation)[1:])
        images = []
        for i, seed in enumerate(seeds):
            block = torch.cat([latents[i : i + 1], others(seed)])
            moved = self._moved(block, None if labels is None else self._filled(labels[i : i + 1], rows))
            images.append(generate(self.module, *moved, rows)[:1])
        return torch.cat(images)

    def _latents(self, seed: int, count: int, truncation: float | None) -> Tensor:
        return torch.stack([latent(self.latent_size, seed, i, truncation) for i in range(count)])

    def _filled(self, labels: Tensor | None, count: int) -> Tensor | None:
        """The labels, followed by the classes in turn for what fills a batch."""
        if labels is None:
            return None
        more = torch.arange(len(labels), count) % self.num_classes
        if labels.is_floating_point():
            return torch.cat([labels, nn.functional.one_hot(more, self.num_classes).to(labels.dtype)])
        return torch.cat([labels, more])

    def _moved(self, latents: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor | None]:
        parameter = next(self.module.parameters())
        latents = latents.to(parameter.device, parameter.dtype)
        if labels is None:
            return latents, None
        return latents, labels.to(parameter.device, parameter.dtype if labels.is_floating_point() else labels.dtype)

    def _check_count(self, n: Any) -> None:
        if not isinstance(n, int) or isinstance(n, bool) or n < 1:
            raise SparringError(f"n is a whole number from 1, got {n!r}")
        size = int(self.description.get("given", {}).get("image_size", 1))
        held = n * (4 * self.latent_size + 3 * size * size)
        if n > MEASURED:
            raise SparringError(f"n is at most {MEASURED:,}, got {n}: draw several times, with other seeds")
        check_memory(held, f"{n:,} images and their latents", "draw fewer at a time")

    # --- labels ---
    def classes_in(self, text: str) -> list[int]:
        """The numbers of the classes that a text names: one, or several with commas between."""
        if not self.num_classes:
            raise SparringError("this generator is unconditional: it takes no labels")
        parts = [text] if text.strip() in self.class_names or "," not in text else text.split(",")
        return [self._class_number(part) for part in parts]

    def class_name(self, number: int) -> str:
        return self.class_names[number] if self.class_names else str(number)

    def _labels(self, n: int, labels: Any) -> Tensor | None:
        if not self.num_classes:
            if labels is not None:
                raise SparringError("this generator is unconditional: it takes no labels")
            return None
        if labels is None:
            return torch.arange(n) % self.num_classes
        if "float" in str(getattr(labels, "dtype", "")):
            return self._weights(n, labels)
        one = isinstance(labels, str | bytes) or not isinstance(labels, Iterable) or getattr(labels, "ndim", 1) == 0
        given = [labels] * n if one else list(labels)
        if len(given) != n:
            raise SparringError(f"{counted(len(given), 'label')} for {counted(n, 'image')}: give one, or one for each")
        return torch.tensor([self._class_number(label) for label in given])

    def _weights(self, n: int, weights: Any) -> Tensor:
        """Weights of the classes, float [n, K]."""
        if not self.blends_labels:
            raise SparringError("this network does not blend classes: give each image one label")
        weights = torch.as_tensor(weights).detach().cpu().float()
        if weights.shape != (n, self.num_classes) or not weights.isfinite().all():
            shape = [n, self.num_classes]
            raise SparringError(f"weights of classes are finite numbers {shape}, got {list(weights.shape)}")
        return weights

    def _class_number(self, label: Any) -> int:
        is_data = "int" in str(getattr(label, "dtype", "")) and getattr(label, "ndim", None) == 0
        if is_data:  # from an integer tensor or array: a position
            return class_number(int(label), (), self.num_classes, "the generator")
        if isinstance(label, bool) or not isinstance(label, str | int):
            raise SparringError(f"a label is a class by name or number, got {label!r}")
        return class_number(label, self.class_names, self.num_classes, "the generator")
