"""A discriminator's backbone without convolutions, for small images."""

from torch import Tensor, nn


class PooledMLP(nn.Module):
    """Images [B, C, H, W], averaged to 8x8 pixels, through two linear layers: features [B, width], no blocks."""

    def __init__(self, *, image_channels: int, width: int = 64):
        super().__init__()
        self.channels = width
        self.layers = nn.Sequential(
            nn.AdaptiveAvgPool2d(8),
            nn.Flatten(),
            nn.Linear(64 * image_channels, width),
            nn.LeakyReLU(0.2),
            nn.Linear(width, width),
        )

    def forward(self, images: Tensor, labels: Tensor | None = None) -> tuple[Tensor, list[Tensor]]:
        return self.layers(images), []
