"""The discriminator: a backbone, and the heads that an objective's terms ask for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from pydantic import BaseModel
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from sparring.errors import SparringError, one_line
from sparring.networks.contract import BACKBONE, class_name, shape_of, users_code
from sparring.networks.spectral import SpectralNormKind, spectral_norm

Conditioning = Literal["none", "projection"]


@dataclass
class Activations:
    """What one pass through the discriminator computes before its heads. All tensors have one row per sample."""

    features: Tensor
    blocks: list[Tensor] = field(default_factory=list)
    outputs: dict[str, Tensor] = field(default_factory=dict)  # heads that the network itself computed

    def rows(self, index: Tensor | slice) -> Activations:
        outputs = {name: output[index] for name, output in self.outputs.items()}
        return Activations(self.features[index], [rows_of(block, index) for block in self.blocks], outputs)

    def split(self, sizes: list[int]) -> list[Activations]:
        if len(sizes) == 1:
            return [self]
        features = self.features.split(sizes)
        blocks = [block.split(sizes) for block in self.blocks]
        outputs = {name: output.split(sizes) for name, output in self.outputs.items()}
        return [
            Activations(
                features[i], [block[i] for block in blocks], {name: output[i] for name, output in outputs.items()}
            )
            for i in range(len(sizes))
        ]


def rows_of(block: Tensor, index: Tensor | slice) -> Tensor:
    """`block[index]`, with a gradient in the memory order of the block.

    Plain indexing gives a channels-last block a gradient in the default order, which slows down everything before it.
    """
    if block.ndim == 4 and not block.is_contiguous() and block.is_contiguous(memory_format=torch.channels_last):
        return block.permute(0, 2, 3, 1)[index].permute(0, 3, 1, 2)
    return block[index]


def at_least_float32(values: Tensor) -> Tensor:
    """Values of 16 bits in float32, all others unchanged: a score near 8 in bfloat16 is a multiple of 1/16."""
    return values.float() if values.dtype in (torch.bfloat16, torch.float16) else values


def _without_autocast(device: str) -> AbstractContextManager[Any]:
    """Heads are one matrix each, so float32 costs next to nothing beside the backbone."""
    return torch.autocast(device, enabled=False) if torch.amp.is_autocast_available(device) else nullcontext()


class Discriminator(nn.Module):
    """A backbone with heads.

    backbone: `forward(images, labels=None) -> (features [B, channels], blocks)`, with an attribute `channels` and optionally
        `make_head(name, outputs) -> nn.Module` for heads of its own kind, `couples_batch`, `uses_labels` and
        `spectral_norm`, the normalisation of the library's default heads.
    heads: what the terms ask for, by name. conditioning: `projection` adds <features, embedding(label)> to the score
        (Miyato and Koyama, cGANs with Projection Discriminator, 2018); a sample whose label is negative has no class and
        gets no projection term.
    """

    def __init__(
        self,
        backbone: nn.Module,
        heads: Mapping[str, Head],
        *,
        num_classes: int = 0,
        conditioning: Conditioning = "none",
        spectral_norm_heads: SpectralNormKind | None = None,
    ):
        super().__init__()
        self.backbone, self.num_classes = backbone, num_classes
        channels = getattr(backbone, "channels", None)
        if not isinstance(channels, int) or isinstance(channels, bool) or channels < 1:
            raise SparringError(
                f"backbone {class_name(backbone)} needs `channels`, a whole number from 1, got {channels!r}: {BACKBONE}"
            )
        self.channels = channels
        couples = getattr(backbone, "couples_batch", None)
        norms = any(isinstance(m, _BatchNorm) for m in backbone.modules())
        self.couples_batch = norms if couples is None else bool(couples)
        self.uses_labels = bool(getattr(backbone, "uses_labels", False))
        kind: SpectralNormKind = spectral_norm_heads or getattr(backbone, "spectral_norm", "none")  # type: ignore[assignment]
        self.asked = dict(heads)
        self.embedding: nn.Module | None = None
        if conditioning == "projection":
            if not num_classes:
                raise SparringError("discriminator.conditioning=projection needs class labels, and the data have none")
            self.embedding = spectral_norm(_xavier(nn.Embedding(num_classes, self.channels)), kind)
        self.heads = nn.ModuleDict()
        self._outputs: dict[str, int] = {}
        for name, head in self.asked.items():
            if head.shared_with is None:
                outputs = (num_classes if head.outputs == "num_classes" else head.outputs) + head.extra_outputs
                self.heads[name], self._outputs[name] = self._make_head(name, outputs, kind), outputs
            elif self.embedding is None:
                raise SparringError(
                    f"head '{name}' shares the score's class embedding: set discriminator.conditioning=projection"
                )

    def _make_head(self, name: str, outputs: int, kind: SpectralNormKind) -> nn.Module:
        make = getattr(self.backbone, "make_head", None)
        if make is not None:
            who = f"make_head of backbone {class_name(self.backbone)}"
            with one_line(f"{who} failed for '{name}' with {outputs} outputs: "):
                head = make(name, outputs)
            if not isinstance(head, nn.Module):
                raise SparringError(
                    f"{who} returns {type(head).__name__} for '{name}', and a head is a torch.nn.Module"
                )
            return head
        return spectral_norm(_xavier(nn.Linear(self.channels, outputs)), kind)

    def extract(
        self, images: Tensor, labels: Tensor | None = None, call: Callable[..., Any] | None = None
    ) -> Activations:
        """Features and blocks of a batch, one pass; the heads are read from it with `read`. call: the backbone, compiled."""
        who, rows = f"backbone {class_name(self.backbone)}", len(images)
        with users_code(f"{who} on images {shape_of(images)}", images, BACKBONE, labels):
            found = (call or self.backbone)(images, labels)
        if not isinstance(found, tuple | list) or len(found) != 2:
            raise SparringError(f"{who} returns {shape_of(found)} for {rows} images: {BACKBONE}")
        features, blocks = found
        floats = isinstance(features, Tensor) and features.is_floating_point()
        if not floats or features.shape != (rows, self.channels):
            raise SparringError(
                f"{who} returns features {shape_of(features)} for {rows} images, and its `channels` promise "
                f"[{rows}, {self.channels}]: {BACKBONE}"
            )
        tensors = isinstance(blocks, tuple | list) and all(isinstance(block, Tensor) for block in blocks)
        if not tensors or any(block.shape[:1] != images.shape[:1] for block in blocks):
            raise SparringError(f"{who} returns blocks that are not a list of tensors with {rows} rows: {BACKBONE}")
        return Activations(features, list(blocks))

    def read(self, head: str, activations: Activations, labels: Tensor | None = None) -> Tensor:
        """A head's output: [B] for the score, else [B, outputs]; in float32 under autocast too."""
        if head not in self.asked:
            asked = ", ".join(sorted(self.asked))
            raise SparringError(f"no head '{head}': no term of the objective asks for it; the heads are {asked}")
        with _without_autocast(activations.features.device.type):
            return self._read(head, at_least_float32(activations.features), labels)

    def _read(self, head: str, features: Tensor, labels: Tensor | None) -> Tensor:
        if self.asked[head].shared_with is not None:
            assert self.embedding is not None
            table = self.embedding.weight
            assert isinstance(table, Tensor)
            return features @ table.t()
        output = self._output(head, features)
        if head != "score":
            return output
        score = output[:, 0]
        return score if self.embedding is None else score + self._projection(features, labels)

    def _output(self, name: str, features: Tensor) -> Tensor:
        """[B, outputs] of a head, which the backbone may have made."""
        who, expected = f"head '{name}' of backbone {class_name(self.backbone)}", [len(features), self._outputs[name]]
        with users_code(who, features):
            output: Tensor = self.heads[name](features)
        if not isinstance(output, Tensor) or list(output.shape) != expected:
            raise SparringError(
                f"{who} returns {shape_of(output)}, and make_head('{name}', {expected[1]}) means {expected}"
            )
        return output

    def _projection(self, features: Tensor, labels: Tensor | None) -> Tensor:
        if labels is None:
            raise SparringError("a projection discriminator scores an image for its label: pass labels")
        assert self.embedding is not None
        known = self.embedding(labels.clamp_min(0))
        return torch.where(labels >= 0, (features * known).sum(1), torch.zeros_like(features[:, 0]))

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """The score [B], or the class logits if no term asks for a score."""
        return self.read("score" if "score" in self.asked else "class_logits", self.extract(images, labels), labels)


def _xavier(layer: nn.Module) -> nn.Module:
    """The library's default heads start like the residual GANs': Xavier-uniform weights, zero bias."""
    assert isinstance(layer.weight, Tensor)
    nn.init.xavier_uniform_(layer.weight)
    if isinstance(getattr(layer, "bias", None), Tensor):
        nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


class Head(BaseModel, frozen=True, extra="forbid"):
    """An output that a term asks the discriminator for, a function of its features.

    `score` is [B] and depends on the class if the discriminator is conditional; every other head is
    [B, outputs + extra_outputs]. Two terms that ask for equal heads share one.
    """

    name: str
    outputs: int | Literal["num_classes"] = 1
    extra_outputs: int = 0
    shared_with: Literal["score"] | None = None  # logits = features @ (the score head's class embedding)^T
