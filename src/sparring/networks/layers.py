"""What several networks share: options, normalisation, class conditioning of a generator, and image sizes."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import ClassVar, Literal, TypeVar, dataclass_transform, get_type_hints

import torch
from torch import Tensor, nn

from sparring.errors import SparringError

Normalisation = Literal["none", "batch", "layer"]
ClassConditioning = Literal["none", "conditional_batch_norm", "concat"]
Statistics = Literal["running", "batch"]  # what batch norm uses in evaluation

SMALLEST_BASE, LARGEST_BASE = 4, 7


def base_and_doublings(image_size: int, network: str, *, at_least: int = 1) -> tuple[int, int]:
    """`image_size` as base * 2**doublings with a base of 4 to 7: 32 is (4, 3), 48 is (6, 3), 28 is (7, 2).

    Raises SparringError if the size is not such a number, or has fewer doublings than the network needs.
    """
    base, doublings = image_size, 0
    while base > LARGEST_BASE and base % 2 == 0:
        base, doublings = base // 2, doublings + 1
    if not SMALLEST_BASE <= base <= LARGEST_BASE or doublings < at_least:
        sizes = sorted(b << k for b in range(SMALLEST_BASE, LARGEST_BASE + 1) for k in range(at_least, at_least + 8))
        close = min(sizes, key=lambda size: abs(size - image_size))
        raise SparringError(
            f"{network} makes square images of {SMALLEST_BASE} to {LARGEST_BASE} pixels doubled {at_least} times or more, "
            f"got image_size={image_size}: set data.size={close}"
        )
    return base, doublings


def check_positive(network: str, **options: int) -> None:
    """Raise SparringError for an option below 1."""
    for name, value in options.items():
        if value < 1:
            raise SparringError(f"{network}: {name} takes a whole number of at least 1, got {value}")


def of_class(table: nn.Embedding, labels: Tensor) -> Tensor:
    """The rows of a table for labels [B], or, for weights of the classes [B, K], the rows' weighted sums."""
    return labels @ table.weight if labels.is_floating_point() else table(labels)


class ConditionalBatchNorm2d(nn.Module):
    """Batch norm whose scale and shift belong to the class (de Vries et al., Modulating early visual processing by
    language, 2017): out = gamma[y] * (x - mean) / sqrt(var + eps) + beta[y]. Gamma starts at 1 and beta at 0 for every
    class, which is plain batch norm.
    """

    def __init__(
        self,
        channels: int,
        num_classes: int,
        *,
        eps: float = 1e-5,
        momentum: float = 0.1,
        statistics: Statistics = "running",
    ):
        super().__init__()
        self.normalise = nn.BatchNorm2d(
            channels, eps=eps, momentum=momentum, affine=False, track_running_stats=statistics == "running"
        )
        self.gamma = nn.Embedding(num_classes, channels, _weight=torch.ones(num_classes, channels))
        self.beta = nn.Embedding(num_classes, channels, _weight=torch.zeros(num_classes, channels))

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """x [B, C, H, W], labels [B] in 0..num_classes-1 or weights of the classes [B, num_classes]."""
        gamma, beta = of_class(self.gamma, labels)[:, :, None, None], of_class(self.beta, labels)[:, :, None, None]
        return torch.addcmul(beta, gamma, self.normalise(x))


def norm_layer(
    kind: Normalisation,
    channels: int,
    *,
    num_classes: int = 0,
    eps: float = 1e-5,
    momentum: float = 0.1,
    statistics: Statistics = "running",
) -> nn.Module:
    """A normalisation of [B, C, H, W], to be called through `normalised`.

    batch: per channel over the batch; conditional if num_classes > 0. layer: per sample over C, H and W with a scale
    and shift per channel, which does not couple samples (as a gradient penalty asks; Gulrajani et al., Improved Training of
    Wasserstein GANs, 2017). eps and momentum are torch's defaults; statistics="batch" keeps no running ones.
    """
    if kind == "none":
        return nn.Identity()
    if kind == "layer":
        return nn.GroupNorm(1, channels, eps=eps)
    if num_classes:
        return ConditionalBatchNorm2d(channels, num_classes, eps=eps, momentum=momentum, statistics=statistics)
    return nn.BatchNorm2d(channels, eps=eps, momentum=momentum, track_running_stats=statistics == "running")


def normalised(norm: nn.Module, x: Tensor, labels: Tensor | None) -> Tensor:
    """`norm(x)`, with the labels if the norm is conditional."""
    return norm(x, labels) if isinstance(norm, ConditionalBatchNorm2d) else norm(x)


class ClassLatent(nn.Module):
    """A learned embedding of the class beside the latents: [B, Z], [B] or weights [B, K] -> [B, Z + embedding_size]."""

    def __init__(self, num_classes: int, embedding_size: int):
        super().__init__()
        self.embedding = nn.Embedding(num_classes, embedding_size)  # N(0, 1), as the latents are

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        return torch.cat([z, of_class(self.embedding, labels)], 1)


Made = TypeVar("Made", bound=nn.Module)


@dataclass_transform(kw_only_default=True, eq_default=False, field_specifiers=(field,))
def network(made: type[Made]) -> type[Made]:
    """A class whose fields are its constructor's keywords, a recipe's options; `__post_init__` makes the layers."""
    made = dataclass(kw_only=True, eq=False, repr=False)(made)
    hints = get_type_hints(made)  # fields may come from other modules, whose names `__init__` does not know
    made.__init__.__annotations__ = {each.name: hints[each.name] for each in fields(made) if each.init}  # type: ignore[arg-type, misc]
    return made


@network
class ConditionalGenerator(nn.Module):
    """What the library's generators share: latents, and how the class enters.

    conditioning: how the class enters; `conditional_batch_norm` chooses each batch norm's scale and shift by the class,
    `concat` appends a learned embedding of the class, as long as the latents, to them. sampling_statistics: what batch
    norm uses in evaluation; with `batch` no running statistics exist and an image depends on the others of its batch.
    Labels may be weights of the classes, float [B, K]: the embeddings are then blended.
    """

    blends_labels: ClassVar[bool] = True

    latent_size: int = 128
    num_classes: int = 0
    conditioning: ClassConditioning = "none"
    normalisation: Normalisation = "batch"
    sampling_statistics: Statistics = "running"

    def __post_init__(self) -> None:
        super().__init__()
        latent_size, num_classes, conditioning = self.latent_size, self.num_classes, self.conditioning
        check_positive("the generator", latent_size=latent_size)
        if conditioning != "none" and not num_classes:
            raise SparringError(f"generator conditioning={conditioning} needs class labels, and the data have none")
        if conditioning == "conditional_batch_norm" and self.normalisation != "batch":
            raise SparringError(
                f"conditioning=conditional_batch_norm needs normalisation=batch, got {self.normalisation}"
            )
        self.batch_statistics = self.normalisation == "batch" and self.sampling_statistics == "batch"
        self.class_latent = ClassLatent(num_classes, latent_size) if conditioning == "concat" else None
        self.input_size = 2 * latent_size if conditioning == "concat" else latent_size
        self.norm_classes = num_classes if conditioning == "conditional_batch_norm" else 0

    def conditioned(self, z: Tensor, labels: Tensor | None) -> Tensor:
        """The input of the first layer [B, input_size]. Raises SparringError if labels are needed and missing."""
        if self.conditioning != "none" and labels is None:
            raise SparringError(
                f"a generator with conditioning={self.conditioning} makes images of a class: pass labels"
            )
        return z if self.class_latent is None else self.class_latent(z, labels)


@network
class ImageGenerator(ConditionalGenerator):
    """A generator of images [B, C, S, S] in [-1, 1]."""

    image_size: int
    image_channels: int = 3

    def conditional_norm(self, channels: int, *, eps: float = 1e-5, momentum: float = 0.1) -> nn.Module:
        """The normalisation of so many channels that the options ask for, perhaps conditional."""
        return norm_layer(
            self.normalisation,
            channels,
            num_classes=self.norm_classes,
            eps=eps,
            momentum=momentum,
            statistics=self.sampling_statistics,
        )


@network
class ImageBackbone(nn.Module):
    """A backbone on images [B, C, S, S]."""

    image_size: int
    image_channels: int = 3
    num_classes: int = 0

    uses_labels = False

    def __post_init__(self) -> None:
        super().__init__()
