"""Classifiers by name. Each is built with its options and those of image_size, image_channels and num_classes that it takes,
and maps images [B, C, H, W] to logits [B, num_classes]. Your own is `package.module:Class` and gets contiguous images.

    resnet18           the usual form for CIFAR's 32x32: a first 3x3 convolution of stride 1 and no max-pooling; `width` and
                       `blocks` make it smaller. He, Zhang, Ren and Sun, "Deep Residual Learning", 2015.
    densenet           DenseNet-BC for 32x32 images; `depth` and `growth` make it smaller. `sparring.classify.densenet`.
    small_cnn          six 3x3 convolutions with batch normalisation
    torchvision:NAME   any of torchvision's classifiers, untrained, such as torchvision:mobilenet_v3_small
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparring.errors import SparringError, nearest, needs, one_line
from sparring.limits import check_memory
from sparring.networks.frozen import evaluating
from sparring.networks.layers import check_positive
from sparring.plugins import find_class
from sparring.randomness import seed_for
from sparring.recipe.explain import given_to
from sparring.trust import VALIDATED, Trust

NETWORKS: dict[str, str] = {
    "resnet18": "sparring.classify.networks:ResNet",
    "densenet": "sparring.classify.densenet:DenseNetBC",
    "small_cnn": "sparring.classify.networks:SmallCNN",
}
TORCHVISION = "torchvision:"


class Strided1x1(nn.Conv2d):
    """A 1x1 convolution of every `stride`-th pixel without bias: [B, I, H, W] -> [B, O, H / stride, W / stride], rounded up.

    It takes the pixels first, since torch's own is faulty on some CPUs (`sparring.networks.faulty_convolution`).
    """

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__(inputs, outputs, 1, bias=False)
        self.every = stride

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x[:, :, :: self.every, :: self.every] if self.every > 1 else x)


class BasicBlock(nn.Module):
    """3x3, norm, ReLU, 3x3, norm; plus x, after a normalised 1x1 if the shape changes; ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(Strided1x1(inputs, outputs, stride), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return F.relu(h + self.shortcut(x))


class ResNet(nn.Module):
    """Stages of `blocks` with width, 2 width, 4 width, ... channels, all but the first halving the size; mean; linear.

    blocks: number of residual blocks in each stage; (2, 2, 2, 2) with width 64 is ResNet-18, with 11,173,962 parameters
    for three channels and ten classes.
    """

    def __init__(self, *, image_channels: int, num_classes: int, blocks: Sequence[int] = (2, 2, 2, 2), width: int = 64):
        super().__init__()
        check_positive("the network", width=width, blocks=min(blocks, default=0))
        self.conv = nn.Conv2d(image_channels, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        channels, stages = width, []
        for stage, count in enumerate(blocks):
            for block in range(count):
                outputs = width << stage
                stages.append(BasicBlock(channels, outputs, 2 if stage and not block else 1))
                channels = outputs
        self.stages = nn.Sequential(*stages)
        self.linear = nn.Linear(channels, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        h = self.stages(F.relu(self.norm(self.conv(images))))
        return self.linear(h.mean((2, 3)))


class SmallCNN(nn.Module):
    """Six 3x3 convolutions, every second one halving the size, with 1, 1, 2, 2, 4 and 4 times `width` channels."""

    def __init__(self, *, image_channels: int, num_classes: int, width: int = 16):
        super().__init__()
        check_positive("the network", width=width)
        layers: list[nn.Module] = []
        channels = image_channels
        for i in range(6):
            outputs = width << i // 2
            convolution = nn.Conv2d(channels, outputs, 3, stride=1 + i % 2, padding=1, bias=False)
            layers += [convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
            channels = outputs
        self.features = nn.Sequential(*layers)
        self.linear = nn.Linear(channels, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.linear(self.features(images).mean((2, 3)))


class OfTorchvision(nn.Module):
    """One of torchvision's classifiers. It sees grey images as three equal channels."""

    def __init__(self, name: str, *, image_size: int, image_channels: int, num_classes: int, **options: Any):
        super().__init__()
        builder = torchvision_builder(name)
        if "weights" in options or "pretrained" in options:
            raise SparringError(f"network torchvision:{name} is trained from scratch: leave its weights out")
        if "aux_logits" in inspect.signature(builder).parameters or name in ("googlenet", "inception_v3"):
            options = {"aux_logits": False, "init_weights": True, **options}
        if name.startswith("vit_"):  # their builders take image_size as a keyword that no signature shows
            options = {"image_size": image_size, **options}
        self.grey = image_channels == 1
        try:
            self.model = builder(weights=None, num_classes=num_classes, **options)
        except TypeError as error:
            raise SparringError(f"network torchvision:{name} refuses its options: {error}") from None

    def forward(self, images: Tensor) -> Tensor:
        return self.model(images.expand(-1, 3, -1, -1) if self.grey else images)


def torchvision_builder(name: str) -> Any:
    """torchvision's function that builds a classifier. Raises SparringError, with the nearest, for an unknown name."""
    with needs("torchvision's networks need torchvision", "torchvision"):
        from torchvision import models
    names = models.list_models(module=models)
    if name not in names:
        raise SparringError(f"torchvision has no classifier '{name}': {nearest(name, names)}")
    return models.get_model_builder(name)


def network_class(kind: str, trust: Trust) -> Any:
    """The class or function that builds a network. Raises SparringError, with the nearest, for an unknown name."""
    if kind.startswith(TORCHVISION):
        return torchvision_builder(kind.removeprefix(TORCHVISION))
    registry = {**NETWORKS, TORCHVISION + "resnet18": TORCHVISION + "resnet18"} if ":" not in kind else NETWORKS
    return find_class(kind, registry, "network", nn.Module, trust)


class Classifier(nn.Module):
    """A network and the normalisation of its input: images [B, C, H, W], float in [-1, 1] -> logits [B, K].

    mean, std: of each channel over the training images in [-1, 1]; 0 and 1 without normalisation. channels_last: whether the
    network takes either memory format; one that may call `view` gets contiguous images. The logits are plain, so
    pytorch-ood's detectors can wrap this module.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, mean: Tensor, std: Tensor, *, channels_last: bool = True):
        super().__init__()
        self.network, self.channels_last = network, channels_last
        self.register_buffer("mean", mean.clone())
        self.register_buffer("std", std.clone())

    def forward(self, images: Tensor) -> Tensor:
        return self.of_normalised((images - self.mean[:, None, None]) / self.std[:, None, None])

    def of_normalised(self, images: Tensor) -> Tensor:
        """Logits [B, K] of normalised input [B, C, H, W]."""
        return self.network(images if self.channels_last else images.contiguous())


def build_classifier(
    kind: str,
    options: dict[str, Any],
    *,
    image_size: int,
    image_channels: int,
    outputs: int,
    seed: int,
    mean: Tensor | None = None,
    std: Tensor | None = None,
    trust: Trust = VALIDATED,
) -> Classifier:
    """Build a classifier with `outputs` logits, initialised from the seed. The global random generators stay unchanged.

    trust: the code that may be imported; VALIDATED for a recipe's. Shipped networks and torchvision's run channels-last;
    your own may call `view`, and gets contiguous images.
    """
    facts = {"image_size": image_size, "image_channels": image_channels, "num_classes": outputs}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for(seed, "initialisation"))
        found = network_class(kind, trust)
        if kind.startswith(TORCHVISION):
            found = partial(OfTorchvision, kind.removeprefix(TORCHVISION))
        with one_line(f"network '{kind}' cannot be built: ", "; check its options"):
            given = {**given_to(found, **facts), **options}
            if kind in NETWORKS or kind.startswith(TORCHVISION):
                with torch.device("meta"):
                    size = 4 * sum(parameter.numel() for parameter in found(**given).parameters())
                check_memory(4 * size, f"network '{kind}' in training", "lower its options")
            network = found(**given)
        classifier = Classifier(
            network,
            torch.zeros(image_channels) if mean is None else mean,
            torch.ones(image_channels) if std is None else std,
            channels_last=kind in NETWORKS or kind.startswith(TORCHVISION),
        )
        if classifier.channels_last:
            classifier.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        _check(classifier, kind, image_size, image_channels, outputs)
    return classifier


@torch.no_grad()
def _check(classifier: Classifier, kind: str, size: int, channels: int, outputs: int) -> None:
    """Try the network on two images, without changing it."""
    taken = f"network '{kind}' does not take images {channels} x {size} x {size}: "
    with evaluating(classifier), one_line(taken, "; choose another data.size or another network"):
        logits = classifier(torch.zeros(2, channels, size, size))
    check_logits(logits, kind, 2, outputs)


def check_logits(logits: object, kind: str, count: int, outputs: int) -> None:
    """Raise SparringError unless these are logits [count, outputs]."""
    if not isinstance(logits, Tensor) or logits.shape != (count, outputs):
        shape = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise SparringError(
            f"network '{kind}' returns {shape} for {count} images, and a classifier's logits are [{count}, {outputs}]: "
            "it is built with num_classes outputs"
        )
