"""A GAN's recipe: everything that determines a run. It is validated before the run starts and saved with it.

The input is YAML or Python, the output resolved JSON. The names of terms in the objective are stable keys: for merging,
overriding (`objective.sdp.weight=0.03`), removing (`r1: null`), logging and state. `extends` builds on other recipes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator
from torch import nn

from sparring import limits
from sparring.errors import nearest
from sparring.metrics import REGISTRY as METRICS
from sparring.metrics.base import Metric
from sparring.networks import BACKBONES, GENERATORS
from sparring.objective.objective import Objective
from sparring.plugins import find, find_class, name_of
from sparring.recipe.ada import ADA
from sparring.recipe.augment import make_augment
from sparring.recipe.base import (
    BaseRecipe,
    ClassesField,
    Network,
    NetworkField,
    Optimizer,
    Part,
    differences,
    flat,
    short_for,
    within,
)
from sparring.recipe.explain import network_options, trust_in
from sparring.recipe.objective import ObjectiveField
from sparring.schedule import Schedule, Scheduled
from sparring.terms import REGISTRY
from sparring.trust import VALIDATED, Trust, is_script

# Names of the default step in recipes and runs up to version 0.1. In two parts, since this module may not name the trainer.
USUAL_STEP = ("train_step", ".".join(("sparring", "training", "step:train_step")))

CONDITIONINGS = ("generator.network.conditioning", "discriminator.network.conditioning", "discriminator.conditioning")


class EMA(Part):
    """A moving average of the generator's parameters, updated after each step from `start` on. Buffers are copied."""

    decay: Scheduled = 0.999
    """How much of the average each step keeps: 0.999 averages about the last 1,000 steps. May be a schedule."""
    start: int = Field(0, ge=0)
    """The first step that is averaged."""

    @field_validator("decay")
    @classmethod
    def _a_share(cls, decay: Scheduled) -> Scheduled:
        return within(decay, 0, 1)


def _short_ema(value: Any) -> Any:
    return {"decay": value} if isinstance(value, int | float) and not isinstance(value, bool) else value


class Generator(Part):
    """The generator: its network, latents, optimiser and moving average."""

    network: NetworkField
    """The generator's network: a name, or a mapping with `kind` and options."""
    latent_size: int = Field(128, ge=1, le=limits.LATENT)
    """Number of latents, the random numbers that each image is made from."""
    optimizer: Optimizer = Optimizer()
    """The generator's optimiser."""
    ema: Annotated[EMA | None, BeforeValidator(_short_ema)] = None
    """A moving average of the weights: the generator that is sampled and measured. A number stands for its decay."""
    batch_size: int | None = Field(None, ge=1, le=limits.ROWS)
    """Fakes in the generator's update. Null means the recipe's `batch_size`."""
    labels: Literal["uniform", "data"] = "uniform"
    """Classes of training fakes: each equally often, or as often as in the data."""

    @field_validator("network")
    @classmethod
    def _known(cls, network: Network, info: ValidationInfo) -> Network:
        return _checked_network(network, GENERATORS, "generator", trust_in(info))


class Discriminator(Part):
    """The discriminator: its backbone, conditioning and optimiser. The objective's terms decide which heads it has."""

    network: NetworkField
    """The discriminator's backbone: a name, or a mapping with `kind` and options."""
    conditioning: Literal["none", "projection"] = "none"
    """How the class enters: `projection` adds the product of features and a class embedding to the score."""
    optimizer: Optimizer = Optimizer()
    """The discriminator's optimiser."""
    clip_weights: float | None = Field(None, gt=0)
    """Clip every weight to [-c, c] after each update, as in the first Wasserstein GAN."""

    @field_validator("network")
    @classmethod
    def _known(cls, network: Network, info: ValidationInfo) -> Network:
        return _checked_network(network, BACKBONES, "backbone", trust_in(info))


def _names(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_names)]


class Freeze(Part):
    """What training leaves unchanged, with `start_from`. Parts go by their names in the network; `*` stands for any text."""

    discriminator: Annotated[int, Field(ge=0)] | Names = ()
    """A number of blocks, from the image on, or names of parts such as `backbone.convs.0`."""
    generator: Names = ()
    """Names of parts such as `convs.2`."""


class Data(Part):
    """A source of images, as `sparring.data.sources.load` takes it.

    size, channels and num_classes default to the data's. If they are given, `show` does not need the data.
    """

    source: str
    """Where the images are: a folder, a zip, an `.npz`, a `.csv`, `torchvision:NAME` or a shipped data set."""
    split: str | None = None
    """The part of the source to use, such as `test`. Null means `train`, or the whole source if it has no parts."""
    size: int | None = Field(None, ge=1, le=limits.SIDE)
    """Images are cropped to a square and resized to this many pixels. Null keeps their size."""
    channels: Literal[1, 3] | None = None
    """1 for grey, 3 for colour. Null means the source's."""
    classes: ClassesField = None
    """The classes to keep: names, numbers or ranges. Null keeps all."""
    renumber: bool = False
    """Drop classes without images and renumber the others."""
    num_classes: int | None = Field(None, ge=0, le=limits.CLASSES)
    """The number of classes, if it should be checked. Null takes the data's."""
    flip: bool = False
    """Mirror half of the images at random."""
    labelled: float | None = Field(None, gt=0, le=1)
    """The share of each class's labels to keep. The other images are unlabelled."""
    skip_unreadable: bool = False
    """Leave out files that cannot be read, instead of stopping."""
    download: bool = False
    """Let torchvision download its data set."""


DataField = Annotated[Data, short_for("source")]


class Evaluation(Part):
    """When and how generated samples are measured. Part of the recipe, since the numbers depend on all of it."""

    every: int | None = Field(None, ge=1)
    """Measure after every so many steps. Null measures only at the end."""
    start: int = Field(0, ge=0)
    """The first step that `every` counts for."""
    n: int = Field(2_000, ge=2, le=limits.MEASURED)
    """Number of generated images."""
    extractor: str | None = None
    """The network whose features are compared. Null means the one that ships if it fits the data, otherwise none."""
    metrics: tuple[str, ...] | None = None
    """The metrics, in this order. Null means all that the extractor supports."""
    split: str | None = None
    """The split of the real images. Null means the training images."""
    labels: Literal["data", "uniform"] = "data"
    """Classes of conditional samples: as often as in the data, or each equally often."""
    n_real: int | None = Field(None, ge=2, le=limits.MEASURED)
    """Number of real images, drawn with `seed`. Null means all."""
    is_splits: int = Field(10, ge=1, le=limits.MEASURED)
    """Number of groups that the Inception score is averaged over."""
    batch_size: int = Field(250, ge=1, le=limits.ROWS)
    """Images in each pass. Numbers depend on it if the generator samples with batch statistics."""
    seed: int = 0
    """Seed of the latents, and of the drawn real images."""

    def is_due(self, step: int) -> bool:
        """Whether to measure after this step, apart from the last."""
        return self.every is not None and step >= self.start and step % self.every == 0

    @field_validator("metrics")
    @classmethod
    def _known_metrics(cls, metrics: tuple[str, ...] | None, info: ValidationInfo) -> tuple[str, ...] | None:
        for name in metrics or ():
            find_class(name, METRICS, "metric", Metric, trust_in(info))
        return metrics

    @field_validator("extractor")
    @classmethod
    def _allowed(cls, extractor: str | None, info: ValidationInfo) -> str | None:
        if extractor is not None and is_script(extractor):
            trust_in(info).folders(extractor, "TorchScript extractor")
        return extractor


class Recipe(BaseRecipe):
    """The recipe of a GAN's run. Steps are generator updates."""

    trains: ClassVar = "GAN"
    every: ClassVar = ("log_every", "samples_every", "checkpoint_every")

    data: DataField
    """The training images. Text stands for its `source`."""
    negatives: Annotated[Data | None, short_for("source")] = None
    """Images of none of the classes, for the term `negatives`."""
    unlabelled: Annotated[Data | None, short_for("source")] = None
    """Images without labels, for the term `semi_supervised`."""
    generator: Generator
    """The generator."""
    discriminator: Discriminator
    """The discriminator."""
    objective: ObjectiveField
    """The terms of the loss by name. Exactly one is the host, the adversarial loss; null removes a term."""
    augment: dict[str, Any] | None = None
    """An augmentation of every judged image, of both players."""

    steps: int = Field(ge=1)
    """Length of the run in generator updates."""
    batch_size: int = Field(64, ge=1, le=limits.ROWS)
    """Real images, and fakes, in each update, over all processes."""
    d_steps: int = Field(1, ge=1, le=limits.D_STEPS)
    """Discriminator updates in each step."""
    accumulate: int = Field(1, ge=1, le=limits.ACCUMULATE)
    """Micro-batches per update: less memory for the same gradients, but for terms that look across samples."""
    seed: int = 0
    """Seed of everything random in the run."""
    step: str | None = None
    """Your own training step, `package.module:function`. Null means the default one."""

    start_from: str | None = None
    """A run whose networks and optimiser state this one starts with."""
    freeze: Freeze | None = None
    """Parts of the networks that training leaves unchanged."""

    evaluation: Evaluation | None = Evaluation()
    """When and how samples are measured. Null measures nothing."""
    log_every: int = Field(50, ge=1)
    """Write losses to the log after every so many steps."""
    samples_every: int = Field(500, ge=1)
    """Write a picture of samples after every so many steps."""
    checkpoint_every: int = Field(1_000, ge=1)
    """Save a checkpoint after every so many steps."""
    keep_checkpoints: int = Field(2, ge=1)
    """How many of the newest checkpoints stay, besides the best. `sparring diagnose` shows how they change."""
    threads: int | None = Field(None, ge=1, le=limits.THREADS)
    """CPU threads. The bits of a run depend on it. Null means torch's default."""
    precision: Literal["float32", "tf32", "bfloat16"] = "float32"
    """Of the networks' passes. `tf32` and `bfloat16` trade bits of the numbers for speed on GPUs."""
    compile: bool = False
    """Compile the networks with `torch.compile`. Terms that differentiate twice cannot be compiled."""
    deterministic: bool = False
    """Use only algorithms that repeat to the bit on a GPU. On CPUs all do."""

    @field_validator("step")
    @classmethod
    def _known_step(cls, step: str | None, info: ValidationInfo) -> str | None:
        if step in USUAL_STEP:
            return None
        if step is not None:
            find(step, {}, "step", trust_in(info))
        return step

    @field_validator("augment")
    @classmethod
    def _known_augment(cls, augment: dict[str, Any] | None, info: ValidationInfo) -> dict[str, Any] | None:
        make_augment(augment, trust_in(info))
        return augment

    @model_validator(mode="after")
    def _passes(self) -> Recipe:
        if self.d_steps * self.accumulate > limits.PASSES:
            raise ValueError(f"d_steps times accumulate is at most {limits.PASSES}: lower one of them")
        return self

    @property
    def generator_batch_size(self) -> int:
        return self.generator.batch_size or self.batch_size

    @property
    def code(self) -> tuple[str, ...]:
        """Every name that this recipe was allowed to import, or opens as a script. Its other texts allow nothing."""
        named = [
            self.generator.network.kind,
            self.discriminator.network.kind,
            self.step,
            (self.augment or {}).get("kind"),
        ]
        named += [name_of(type(term), REGISTRY, "term") for term in self.objective.terms.values()]
        named += [] if self.evaluation is None else [self.evaluation.extractor, *(self.evaluation.metrics or ())]
        return tuple(filter(None, named))

    def image_sources(self) -> dict[str, str]:
        return {"data": "data", "negatives": "negatives", "unlabelled": "unlabelled"}

    def conditioning(self, key: str) -> str:
        """The value of one of CONDITIONINGS; "none" for networks of the user's own, which decide for themselves."""
        player, *rest = key.split(".")
        part = getattr(self, player)
        if rest == ["conditioning"]:
            return part.conditioning
        known = part.network.kind in (GENERATORS if player == "generator" else BACKBONES)
        return part.network.options.get("conditioning", "none") if known else "none"

    def without_classes(self, keys: Iterable[str] = CONDITIONINGS) -> Recipe:
        """The recipe with these conditionings set to none."""
        recipe = self
        for key in keys:
            player = key.split(".")[0]
            part = getattr(recipe, player)
            if recipe.conditioning(key) == "none":
                continue
            changes: dict[str, Any] = {"conditioning": "none"}
            if ".network." in key:
                changes = {"network": Network(kind=part.network.kind, **{**part.network.options, **changes})}
            recipe = recipe.model_copy(update={player: part.model_copy(update=changes)})
        return recipe

    def as_started(self, before: Recipe) -> Recipe:
        """Without classes if the run was started without, and with its `start_from` unless another is given."""
        recipe = self if self.start_from else self.model_copy(update={"start_from": before.start_from})
        return recipe.without_classes() if before.without_classes() == before else recipe

    def scaled(self, factor: float) -> Recipe:
        scaled = super().scaled(factor)
        changes: dict[str, Any] = {
            "objective": Objective({name: term.scaled(factor) for name, term in self.objective.terms.items()})
        }
        for player in ("generator", "discriminator"):
            part = getattr(self, player)
            part = part.model_copy(update={"optimizer": part.optimizer.scaled(factor)})
            if player == "generator" and part.ema is not None:
                part = part.model_copy(update={"ema": _scaled_ema(part.ema, factor)})
            changes[player] = part
        if self.evaluation is not None and self.evaluation.every is not None:
            counts = {
                "every": max(1, round(self.evaluation.every * factor)),
                "start": round(self.evaluation.start * factor),
            }
            changes["evaluation"] = self.evaluation.model_copy(update=counts)
        augment = make_augment(self.augment, VALIDATED)
        if isinstance(augment, ADA):
            ramp = max(1, round(augment.ramp_images * factor))
            changes["augment"] = {**(self.augment or {}), "ramp_images": ramp}
        return scaled.model_copy(update=changes)


def _scaled_ema(ema: EMA, factor: float) -> EMA:
    decay = ema.decay.scaled(factor) if isinstance(ema.decay, Schedule) else ema.decay
    return ema.model_copy(update={"decay": decay, "start": round(ema.start * factor)})


def _checked_network(network: Network, registry: Mapping[str, str], what: str, trust: Trust) -> Network:
    """The network, with its options converted to the types of its constructor."""
    options = network_options(
        find_class(network.kind, registry, what, nn.Module, trust), network.options, what=f"{what} '{network.kind}'"
    )
    return Network(kind=network.kind, **options)


__all__ = [
    "EMA", "Data", "Discriminator", "Evaluation", "Generator", "Network", "Optimizer", "Part", "Recipe",
    "differences", "flat", "nearest",
]  # fmt: skip
