"""AM-GAN's pair (Zhou et al., Activation Maximization Generative Adversarial Nets, 2018), which NAT-GAN builds on.

With 100 latents at 32 pixels G has 4,743,846 parameters and D 1,559,382 with its 11 logits (1,558,868 with 10):

    G  z -> linear 768@4 -> 384@8 -> 192@16 -> 96@32, stride-2 3x3 transposed convolutions, batch norm, LeakyReLU 0.2
       -> 3x3 transposed convolution, tanh
    D  noise -> 3x3 64@32 -> 128@16 -> 256@8 -> 512@4, stride 2, batch norm but in the first, LeakyReLU 0.2, dropout 0.3
       -> average pool times 4 -> dropout -> linear

As in the authors' code:

- every layer is weight-normalised, w = g v / |v| per output unit: v uniform with standard deviation 0.01, g = 1 (the stride
  in transposed convolutions), biases 0. The small v makes Adam's steps large;
- padding is TensorFlow's SAME: a stride-2 3x3 convolution pads right and bottom alone, its transpose is cropped there;
- D sees (x + n) m in training, n from N(0, 0.1) and m from N(1, 0.1), both cut off at two standard deviations;
- dropout divides by sqrt(keep), which keeps the second moment, and not by keep, which would keep the mean;
- the pool over a base of 4 is four times the mean (at another base, that many times);
- batch norm has eps 1e-3, and G samples with the statistics of the batch.

Deviation: D keeps running statistics for evaluation (the authors always use the batch's).
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from sparring.errors import SparringError
from sparring.networks.layers import (
    ImageBackbone,
    ImageGenerator,
    Normalisation,
    Statistics,
    base_and_doublings,
    check_positive,
    network,
    norm_layer,
    normalised,
)
from sparring.networks.residual import backbone_widths, generator_widths

LEAK = 0.2
WEIGHT_STD = 0.01
EPS = 1e-3
CUT_OFF = 2.0  # standard deviations, of TensorFlow's truncated normal


class SameConv(nn.Conv2d):
    """A 3x3 convolution that keeps the size (stride 1) or halves an even one (stride 2), padded as TensorFlow's SAME."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__(inputs, outputs, 3, stride, padding=1 if stride == 1 else 0)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x if self.stride[0] == 1 else F.pad(x, (0, 1, 0, 1)))


class SameTransposedConv(nn.ConvTranspose2d):
    """The transpose of such a convolution: keeps the size (stride 1) or doubles it (stride 2)."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__(inputs, outputs, 3, stride, padding=1 if stride == 1 else 0)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        y = super().forward(x)
        return y if self.stride[0] == 1 else y[:, :, :-1, :-1]


def weight_normalised(layer: nn.Module) -> nn.Module:
    """w = g v / |v| for each output unit, started as the authors do; in place, returns the layer."""
    assert isinstance(layer.weight, Tensor) and isinstance(layer.bias, Tensor)
    transposed = isinstance(layer, nn.ConvTranspose2d)
    nn.init.uniform_(layer.weight, -WEIGHT_STD * 3**0.5, WEIGHT_STD * 3**0.5)
    nn.init.zeros_(layer.bias)
    weight_norm(layer, dim=1 if transposed else 0)
    with torch.no_grad():
        layer.parametrizations.weight.original0.fill_(layer.stride[0] if transposed else 1)  # type: ignore
    return layer


def truncated_normal(like: Tensor, mean: float, std: float) -> Tensor:
    """Normal numbers of the shape of `like`, redrawn beyond two standard deviations; from the global generator."""
    return nn.init.trunc_normal_(torch.empty_like(like), mean, std, mean - CUT_OFF * std, mean + CUT_OFF * std)


@network
class AMGANGenerator(ImageGenerator):
    """z [B, Z], labels [B] or None -> images [B, C, S, S] in [-1, 1], S being 4 to 7 times a power of 2.

    width: channels at the full size, doubled at each halving up to `max_width`.
    """

    width: int = 96
    max_width: int = 1024
    sampling_statistics: Statistics = "batch"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("amgan", width=self.width, max_width=self.max_width, image_channels=self.image_channels)
        self.base, doublings = base_and_doublings(self.image_size, "amgan")
        widths = generator_widths("pyramid", self.width, doublings, self.max_width)
        self.linear = weight_normalised(nn.Linear(self.input_size, widths[0] * self.base**2))
        self.convs = nn.ModuleList(weight_normalised(SameTransposedConv(a, b, 2)) for a, b in pairwise(widths))
        self.norms = nn.ModuleList(self.conditional_norm(channels, eps=EPS) for channels in widths)
        self.to_image = weight_normalised(SameTransposedConv(widths[-1], self.image_channels, 1))

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        h = self.linear(self.conditioned(z, labels)).unflatten(1, (-1, self.base, self.base))
        h = F.leaky_relu(normalised(self.norms[0], h, labels), LEAK)
        for conv, norm in zip(self.convs, self.norms[1:], strict=True):
            h = F.leaky_relu(normalised(norm, conv(h), labels), LEAK)
        return torch.tanh(self.to_image(h))


@network
class AMGANBackbone(ImageBackbone):
    """images [B, C, S, S] -> features [B, channels] after pooling and dropout; blocks: each stage's LeakyReLU.

    The blocks are taken before dropout. noise: standard deviation of the additive and the multiplicative noise on the
    images; 0 is none. dropout: share of the activations that are dropped. Both act in training alone, on numbers of the
    global generator.
    """

    width: int = 64
    max_width: int = 1024
    normalisation: Normalisation = "batch"
    noise: float = 0.1
    dropout: float = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("amgan", width=self.width, max_width=self.max_width, image_channels=self.image_channels)
        if not 0 <= self.dropout < 1:
            raise SparringError(f"amgan: dropout takes a share from 0 to below 1, got {self.dropout}")
        if self.noise < 0:
            raise SparringError(f"amgan: noise takes a standard deviation of 0 or more, got {self.noise}")
        self.base, doublings = base_and_doublings(self.image_size, "amgan")
        self.couples_batch = self.normalisation == "batch"
        widths = backbone_widths("pyramid", self.width, doublings, self.max_width)
        self.channels = widths[-1]
        self.convs = nn.ModuleList([weight_normalised(SameConv(self.image_channels, widths[0], 1))])
        self.convs += [weight_normalised(SameConv(a, b, 2)) for a, b in pairwise(widths)]
        self.norms = nn.ModuleList([nn.Identity()])
        self.norms += [norm_layer(self.normalisation, channels, eps=EPS) for channels in widths[1:]]

    def make_head(self, name: str, outputs: int) -> nn.Module:
        """A weight-normalised linear layer."""
        return weight_normalised(nn.Linear(self.channels, outputs))

    def forward(self, images: Tensor, labels: Tensor | None = None) -> tuple[Tensor, list[Tensor]]:
        h, blocks = self._noisy(images), []
        for conv, norm in zip(self.convs, self.norms, strict=True):
            h = F.leaky_relu_(norm(conv(h)), LEAK)
            blocks.append(h)
            h = self._dropped(h)
        return self._dropped(self.base * h.mean((2, 3))), blocks

    def _noisy(self, images: Tensor) -> Tensor:
        if not self.training or not self.noise:
            return images
        added = images + truncated_normal(images, 0, self.noise)
        return added * truncated_normal(images, 1, self.noise)

    def _dropped(self, h: Tensor) -> Tensor:
        if not self.training or not self.dropout:
            return h
        return F.dropout(h, self.dropout) * (1 - self.dropout) ** 0.5  # F.dropout divides by keep
