"""A side of a round: one batch under judgement."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from sparring.errors import SparringError
from sparring.networks.discriminator import Activations, at_least_float32

if TYPE_CHECKING:
    from sparring.objective.round import Round


class Side:
    """One batch, judged once.

    images [B, C, H, W] float32 in [-1, 1] (toy worlds: [B, D]); labels int64 [B], a class if >= 0, a sample without a
    class of the data if negative; None if unknown. In the generator's update the fake side's images carry its graph.
    Heads, features and blocks are float32 even under `precision: bfloat16`, and so are losses.
    """

    def __init__(self, r: Round, name: str | None, images: Tensor, labels: Tensor | None, total: int | None = None):
        self._round, self.name, self.images, self.labels = r, name, images, labels
        self.total = len(images) * r.context.parts if total is None else total  # rows in the whole update's batch
        self._input: Tensor | None = None
        self._activations: Activations | None = None
        self._heads: dict[str, Tensor] = {}
        self._gradient: Tensor | None = None
        self.gradient_scale = 1.0  # of the first backward pass, where the gradient is read from it

    def __len__(self) -> int:
        return len(self.images)

    @property
    def activations(self) -> Activations:
        if self._activations is None:
            self._round.judge_when_read(self)
        assert self._activations is not None
        return self._activations

    @property
    def is_judged(self) -> bool:
        return self._activations is not None

    @property
    def input(self) -> Tensor:
        """The tensor that the discriminator saw; if declared so, a leaf to differentiate with respect to."""
        if self._input is None:
            differentiated = self._round.is_differentiated(self.name)
            self._input = self.images.detach().requires_grad_() if differentiated else self.images
        return self._input

    @property
    def features(self) -> Tensor:
        """[B, channels], what the heads read."""
        activations = self.activations
        if not getattr(self._round.judge_network, "gives_features", True):
            raise SparringError(
                f"{self._round.reader} reads features, and this discriminator returns none: name the submodule that "
                "computes them with objective.attach(..., heads={'features': 'path.of.submodule'})"
            )
        return at_least_float32(activations.features)

    @property
    def blocks(self) -> list[Tensor]:
        """The activations [B, C_j, H_j, W_j] after each stage of the discriminator."""
        blocks = self.activations.blocks
        if not blocks:
            raise SparringError(
                f"{self._round.reader} reads blocks, and this discriminator returns none: "
                "name some with objective.attach(..., blocks=[...]), or return them from the backbone"
            )
        return [at_least_float32(block) for block in blocks]

    def __getitem__(self, head: str) -> Tensor:
        if head not in self._heads:
            twice = self._round.is_second_order(self.name)
            with self._round.precision(full=self._round.is_full(self.name), twice=twice):
                output = self._round.judge_network.read(head, self.activations, self.labels)
            self._heads[head] = at_least_float32(output)  # what losses are computed from
        return self._heads[head]

    @property
    def score(self) -> Tensor:
        """[B], the discriminator's scalar output, given the labels if it is conditional."""
        return self["score"]

    @property
    def class_logits(self) -> Tensor:
        """[B, classes (+ extra)]."""
        return self["class_logits"]

    @property
    def gradient(self) -> Tensor:
        """d mean host loss / d images [B, ...] at the weights before the first update.

        How AS-GAN gets its gradient for nothing: its `needs` declare `real.gradient`, so the side's `input` is a leaf and
        the pass of `judge_sides` runs from it. `Objective.prepare_gradients` finds that only the host adds to this leaf and
        notes the factor of the loss in `gradient_scale`. The first backward pass fills the leaf's grad. `Round.after_update`
        reads this property for the second update's round, where `ASGAN._attacked` finds it. If other terms add to the leaf,
        `prepare_gradients` computes the host's gradient alone instead.
        """
        if self._gradient is None:
            filled = self._input.grad if self._input is not None else None
            if filled is None:
                raise SparringError(f"{self._round.reader} reads {self.name}.gradient without declaring it in needs()")
            self._gradient = filled / self.gradient_scale if self.gradient_scale != 1 else filled
        return self._gradient

    def keep_gradient(self, gradient: Tensor) -> None:
        self._gradient = gradient

    def pick(self, index: Tensor) -> Side:
        """Some rows as their own side. They take their rows of this side's judgement.

        If the terms declare only this side's images, and there is no batch norm, just these rows are judged, when read.
        """
        labels = None if self.labels is None else self.labels[index]
        picked = Side(self._round, None, self.images[index], labels)
        judged = self._activations is not None or self._round.is_declared_judged(self.name)
        if judged or self._round.judge_network.couples_batch:
            picked._activations = self.activations.rows(index)
            picked._heads = {name: output[index] for name, output in self._heads.items()}
        return picked

    def relabel(self, labels: Tensor) -> Side:
        """The same samples under other labels: the features are kept, only the heads are read again."""
        if getattr(self._round.judge_network, "takes_labels", False) and self._round.judge_network.uses_labels:
            raise SparringError(
                f"{self._round.reader} scores samples under other labels from the same features, and this discriminator "
                "reads labels in its own forward: attach a sparring.networks.discriminator.Discriminator(backbone, "
                "objective.heads(), num_classes=..., conditioning='projection'), whose head is read again"
            )
        if self._round.judge_network.uses_labels:
            raise SparringError(
                f"{self._round.reader} relabels samples, which keeps their features, and this discriminator's features "
                "depend on the labels: use projection instead of a concatenated embedding"
            )
        other = Side(self._round, self.name, self.images, labels, self.total)
        other._activations, other._input = self.activations, self._input
        return other
