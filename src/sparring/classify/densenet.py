"""DenseNet-BC, the classifier behind the AM score's CIFAR-10 protocol (depth 40, growth 40; NAT, section 4.2).

Huang, Liu, van der Maaten and Weinberger 2017 (arXiv 1608.06993), section 3: three dense blocks for 32x32 images, 1x1
bottlenecks of 4 growths, transitions that halve the channels, 2 growths of channels at the start. Train it as a classifier,
`network: densenet`, and give its run's folder as the extractor.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparring.errors import SparringError


class DenseLayer(nn.Module):
    """x, and behind it `growth` new channels: norm, ReLU, 1x1 to 4 growths, norm, ReLU, 3x3."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(channels), nn.Conv2d(channels, 4 * growth, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(4 * growth)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        new = self.conv1(F.relu(self.norm1(x)))
        return torch.cat([x, self.conv2(F.relu(self.norm2(new)))], dim=1)


class Transition(nn.Module):
    """Norm, ReLU, 1x1 to half of the channels, mean over 2x2."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm, self.conv = nn.BatchNorm2d(channels), nn.Conv2d(channels, channels // 2, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(self.conv(F.relu(self.norm(x))), 2)


class DenseNetBC(nn.Module):
    """Images [B, C, H, W] -> logits [B, K]. depth: number of layers, 6 n + 4 for n layers in each of 3 blocks.

    growth: channels that each layer adds. Depth 100 with growth 12 has 769,162 parameters for CIFAR-10.
    """

    def __init__(self, *, image_channels: int = 3, num_classes: int = 10, depth: int = 40, growth: int = 40) -> None:
        super().__init__()
        if depth < 10 or (depth - 4) % 6:
            raise SparringError(f"DenseNet-BC's depth is 6 n + 4, such as 40 or 100, got {depth}")
        channels = 2 * growth
        layers: list[nn.Module] = [nn.Conv2d(image_channels, channels, 3, padding=1, bias=False)]
        for block in range(3):
            if block:
                layers.append(Transition(channels))
                channels //= 2
            for _ in range((depth - 4) // 6):
                layers.append(DenseLayer(channels, growth))
                channels += growth
        self.features = nn.Sequential(*layers, nn.BatchNorm2d(channels), nn.ReLU())
        self.linear = nn.Linear(channels, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.linear(self.features(images).mean((2, 3)))
