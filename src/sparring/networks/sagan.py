"""SAGAN (Zhang et al., Self-Attention Generative Adversarial Networks, 2019), as the multi-hinge paper's authors ran it.

Parameters with 128 latents: at 128 pixels and 1000 classes 42,078,852 (G) and 39,463,618 (D, with score and projection; an
auxiliary class head adds 1,025,000), at 64 pixels 13,354,628 and 10,111,170, at 32 pixels and 10 classes 3,249,923 and
3,222,337. With `conditioning` none in both players it is the unconditional twin.

Widths: `width` = 64 channels at the full size of G and in D's first block, doubled at each halving up to 16 `width` at 128
pixels and 8 `width` at 64; at 32 pixels and below 4 `width` everywhere else. D halves down to the base, and its last block
keeps the size. One attention layer at a quarter of the image's size in each, above 32 pixels (above 56, with a base of 7).

Spectral norm is W / max(1, sigma) in convolutions, linear layers and class embeddings, and W / sigma in attention, as in the
authors' code (`spectral_norm: exact` for W / sigma throughout). Conditional scales and shifts are not normalised. All
weights start Xavier-uniform with gain 1, biases at 0. G's batch norm has eps 1e-3 and moves its running statistics by 0.001
a step (the TPU batch norm that they used), which takes thousands of steps: shorter runs want a larger
`batch_norm_momentum`, or `sampling_statistics: batch`.

Deviation: batch norm's statistics are per process, not shared between them as on their TPU.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparring.networks.layers import base_and_doublings, network
from sparring.networks.residual import ResidualBackbone, ResidualGenerator, Start
from sparring.networks.spectral import SpectralNormKind, spectral_norm

SMALL_UP_TO = 3  # doublings: up to 32 pixels the authors use other widths and no attention
EPS, MOMENTUM = 1e-3, 0.001


class SelfAttention(nn.Module):
    """x + sigma * o, where o [B, C, H, W] gathers values from all pixels by softmax(theta phi^T) (section 3 of the paper).

    theta has C/8 channels at every pixel; phi (C/8) and the values (C/2) are max-pooled 2x2; logits are not scaled; all
    convolutions are 1x1 without bias. sigma, one learned number, starts at 0: the layer starts as the identity.
    """

    def __init__(self, channels: int, kind: SpectralNormKind = "exact"):
        super().__init__()
        keys, values = max(1, channels // 8), max(1, channels // 2)

        def pointwise(inputs: int, outputs: int) -> nn.Module:
            conv = nn.Conv2d(inputs, outputs, 1, bias=False)
            nn.init.xavier_uniform_(conv.weight)
            return spectral_norm(conv, kind)

        self.theta, self.phi = pointwise(channels, keys), pointwise(channels, keys)
        self.values, self.out = pointwise(channels, values), pointwise(values, channels)
        self.sigma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        queries = self.theta(x).flatten(2)  # [B, C/8, HW]
        keys = F.max_pool2d(self.phi(x), 2).flatten(2)  # [B, C/8, HW/4]
        values = F.max_pool2d(self.values(x), 2).flatten(2)  # [B, C/2, HW/4]
        attention = torch.softmax(queries.transpose(1, 2) @ keys, -1)  # [B, HW, HW/4]
        gathered = (values @ attention.transpose(1, 2)).unflatten(2, x.shape[2:])
        return torch.addcmul(x, self.sigma, self.out(gathered))


def _has_attention(attention: bool | None, doublings: int) -> bool:
    return doublings > SMALL_UP_TO if attention is None else attention


def _attention_kind(kind: SpectralNormKind) -> SpectralNormKind:
    return "none" if kind == "none" else "exact"


def _widths(width: int, doublings: int) -> list[int]:
    """Channels of the stages from S pixels (G) or S/2 (D) down, `doublings` of them."""
    if doublings <= SMALL_UP_TO:
        return [width] + [width << (doublings - 1)] * (doublings - 1)
    return [width << halvings for halvings in range(doublings)]


@network
class SAGANGenerator(ResidualGenerator):
    """z [B, Z], labels [B] or None -> images [B, C, S, S] in [-1, 1], S being 4 to 7 times a power of 2.

    attention: whether there is a layer of self-attention; None is the authors', only above 32 pixels.
    """

    width: int = 64
    attention: bool | None = None
    spectral_norm: SpectralNormKind = "clamp"
    batch_norm_momentum: float = MOMENTUM
    """Share by which a step moves the running statistics. Shorter runs want a larger one."""

    def __post_init__(self) -> None:
        base, doublings = base_and_doublings(self.image_size, "sagan")
        widths = _widths(self.width, doublings)[::-1]
        ends: dict[int, nn.Module] = {}
        if _has_attention(self.attention, doublings):
            after = max(0, doublings - 3)  # the block that ends at a quarter of the size
            ends[after] = SelfAttention(widths[after], _attention_kind(self.spectral_norm))
        super().__post_init__()  # a class embedding starts after the attention
        start, momentum = Start(self.spectral_norm, gain=1), self.batch_norm_momentum
        self.make_layers(base, [widths[0], *widths], start, eps=EPS, momentum=momentum, stage_ends=ends)


@network
class SAGANBackbone(ResidualBackbone):
    """images [B, C, S, S] -> features [B, channels], summed over pixels; blocks: its residual blocks after the following
    ReLU, attention included. attention: whether there is a layer of self-attention; None is the authors', only above 32
    pixels.
    """

    width: int = 64
    attention: bool | None = None
    spectral_norm: SpectralNormKind = "clamp"

    def __post_init__(self) -> None:
        super().__post_init__()
        _, doublings = base_and_doublings(self.image_size, "sagan")
        widths = _widths(self.width, doublings)
        ends: dict[int, nn.Module] = {}
        if _has_attention(self.attention, doublings):
            after = min(1, doublings - 1)
            ends[after] = SelfAttention(widths[after], _attention_kind(self.spectral_norm))
        start = Start(self.spectral_norm, gain=1)
        self.make_layers([*widths, widths[-1]], doublings, start, hidden="outputs", stage_ends=ends)
