"""The extractor for the images that ship with the package: a small classifier trained on Fashion-MNIST's 60,000
train images, which the embedded 10,000 (its test split) never showed it.

Distances between its features are called "fashion-FD", scores of its predictions "fashion-IS": they say how well a
generator of garments does compared with another, and nothing about Inception's FID. `scripts/train_embedded_classifier.py`
trains it; the file's metadata states its accuracy.
"""

import json
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor, nn

from sparring.errors import SparringError
from sparring.evaluation.extractors.base import Features, sha256_of

WEIGHTS = Path(__file__).parent / "weights" / "fashion.safetensors"
CLASS_NAMES = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
WIDTHS = (16, 32, 32, 64, 64, 128)  # channels of the six 3x3 convolutions
STRIDES = (1, 2, 1, 2, 1, 2)  # 32x32 -> 32, 16, 16, 8, 8, 4


class FashionNet(nn.Module):
    """Six 3x3 convolutions, mean over space, one linear layer: 145 thousand parameters, 8 million multiplications.

    It is trained with batch norm and shipped with it folded into the convolutions.
    """

    def __init__(self, *, batch_norm: bool = False) -> None:
        super().__init__()
        stages, width_in = [], 1
        for width, stride in zip(WIDTHS, STRIDES, strict=True):
            norm = nn.BatchNorm2d(width) if batch_norm else nn.Identity()
            stages.append(nn.Sequential(nn.Conv2d(width_in, width, 3, stride, padding=1), norm, nn.ReLU()))
            width_in = width
        self.stages = nn.Sequential(*stages)
        self.classify = nn.Linear(width_in, len(CLASS_NAMES))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features [N, 128] and logits [N, 10] of images [N, 1, 32, 32], float32 in [-1, 1]."""
        features = self.stages(images).mean(dim=(2, 3))
        return features, self.classify(features)


class FashionExtractor:
    """Features [N, 128] and logits over the ten garments, for uint8 images [N, 1, 32, 32].

    Weights are stored in float16 and used in float32. The network lives on `device`, and so do its answers.
    """

    name = "fashion"
    resize = "none (1x32x32 only)"
    dimensions = WIDTHS[-1]
    cacheable = True
    class_names: tuple[str, ...] | None = CLASS_NAMES

    def __init__(self, device: torch.device | str = "cpu", weights: Path | str = WEIGHTS) -> None:
        self.weights_sha256 = sha256_of(weights)
        with safe_open(weights, framework="pt") as file:
            self.metadata: dict[str, str] = json.loads((file.metadata() or {}).get("sparring", "{}"))
            tensors = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118 (not a dict)
        with torch.device("meta"):  # no initialisation: that would draw from the global generator
            self.net = FashionNet()
        self.net.load_state_dict(tensors, assign=True)
        self.net.requires_grad_(False).eval().to(device)
        self.device = torch.device(device)

    @torch.inference_mode()
    def __call__(self, images: Tensor, *, batch_size: int = 500) -> Features:
        if images.dtype != torch.uint8 or images.ndim != 4:
            raise SparringError(
                f"the fashion extractor takes uint8 images [N, 1, 32, 32], got {images.dtype} {list(images.shape)}: "
                "convert with (x * 127.5 + 127.5).round().clamp(0, 255).to(torch.uint8)"
            )
        if images.shape[1:] != (1, 32, 32):
            raise SparringError(
                f"the fashion extractor is for the embedded 1x32x32 garments, got images of "
                f"{'x'.join(map(str, images.shape[1:]))}: choose another extractor for other data"
            )
        parts = [self.net(batch.to(self.device).float() / 127.5 - 1) for batch in images.split(batch_size)]
        features, logits = (torch.cat(part) for part in zip(*parts, strict=True))
        return Features(features, logits)
