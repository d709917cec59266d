"""A classifier whose operations can be counted by hand."""

from torch import Tensor, nn


class Linear(nn.Module):
    def __init__(self, num_classes: int, image_size: int, image_channels: int):
        super().__init__()
        self.layer = nn.Linear(image_channels * image_size**2, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.layer(images.flatten(1))
