"""The state of a run in training: networks, optimisers, counters, memory. `build` makes it from a recipe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from sparring.data.resident import where_they_fit
from sparring.errors import NonFiniteLossError, SparringError, one_line
from sparring.messages import counted
from sparring.networks import BACKBONES, GENERATORS
from sparring.networks.contract import images_of
from sparring.networks.discriminator import Discriminator
from sparring.networks.faulty_convolution import strided_1x1_refused
from sparring.networks.frozen import frozen
from sparring.objective.context import Player, StepContext
from sparring.objective.objective import Objective
from sparring.objective.round import Round
from sparring.objective.term import ActiveTerm, Build
from sparring.randomness import seed_global_generators
from sparring.recipe.networks import build_networks
from sparring.run.optimizers import load_state_by_name, make_optimizer, set_learning_rate, state_by_name
from sparring.run.runtime import Runtime
from sparring.schedule import value_at
from sparring.training.adaptation import Adaptation, augmentation_of
from sparring.training.compiled import CompiledJudge, check_compilable, compiled
from sparring.training.ema import MovingAverage
from sparring.training.feed import Feed, Share, Source
from sparring.training.freeze import freeze_parts
from sparring.training.size import check_size
from sparring.training.term_log import TermLog, gradient_norm

if TYPE_CHECKING:
    from sparring.recipe.gan import Recipe


@dataclass
class TrainingState:
    """A run between two steps. `train_step(state)` advances it; `state_dict` holds all of it."""

    recipe: Recipe
    objective: Objective
    discriminator: Discriminator
    generator: nn.Module
    optimizers: dict[str, torch.optim.Optimizer]
    feed: Feed
    runtime: Runtime
    average: MovingAverage | None = None
    augment: Callable[[Tensor, Callable[..., Tensor]], Tensor] | None = None
    term_log: TermLog = field(default_factory=TermLog)
    step: int = 0  # generator updates so far
    updates: int = 0  # discriminator updates so far, second ones not counted
    compiled_judge: CompiledJudge | None = None  # of training; with `compile: true`
    compiled_generator: Callable[..., Any] | None = None

    @property
    def evaluated_generator(self) -> nn.Module:
        """The generator that is sampled, measured and exported: the moving average if there is one."""
        return self.generator if self.average is None else self.average.module

    @property
    def images_seen(self) -> int:
        return self.updates * self.recipe.batch_size

    # --- the parts of a step ---
    def shares(self, player: Player, active: list[ActiveTerm]) -> Iterator[Share]:
        """This rank's micro-batches of the update; seeds the global generators for each."""
        sides = {need.split(".")[0] for a in active for need in a.needs}
        rows = {name: count for a in active for name, count in a.term.rows().items()}
        update = self.updates if player == "discriminator" else self.step
        last = max(0, self.updates - 1) if player == "generator" else None
        for share in self.feed.shares(player, update, sides, rows, last):
            self.seed_modules(self._context(player, share))
            yield share

    def _context(self, player: Player, share: Share) -> StepContext:
        update = self.updates if player == "discriminator" else self.step
        epoch = self.feed.updates_per_epoch
        return StepContext(
            player, self.step, update, self.recipe.seed, share.part, share.parts, updates_per_epoch=epoch
        )

    def seed_modules(self, context: StepContext) -> None:
        """Seed the global generators, from which dropout and users' modules draw."""
        seed_global_generators(context.seed, "modules", context.player, context.update, context.second, context.part)

    def generate(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        with self.runtime.autocast(full=False):
            return images_of(self.generator, latents, labels, self.compiled_generator).to(latents.dtype)

    def round(self, player: Player, share: Share, fake: Tensor, active: list[ActiveTerm]) -> Round:
        """The round of one share of an update."""
        r = Round(
            self.compiled_judge or self.discriminator,
            {**share.sides, "fake": (fake, share.fake_labels)},
            context=self._context(player, share),
            active=active,
            host=self.objective.host(self.step),
            num_classes=self.discriminator.num_classes,
            totals=share.totals,
            latents=share.latents,
            generate=self.generate,
            memory=self.objective.memory,
            augment=self.augment,
            autocast=self.runtime.autocast if self.runtime.is_mixed else None,
        )
        return r

    def apply(self, player: Player, rounds: list[Round]) -> None:
        """Finish an update: average gradients over ranks, one optimiser step, memory, clipping, logs."""
        network, optimizer = getattr(self, player), self.optimizers[player]
        part = getattr(self.recipe, player)
        acting = tuple((a.name, a.needs) for a in rounds[0].active)
        self.runtime.average_gradients(network.parameters(), (player, rounds[0].context.second, acting))
        if (self.step + 1) % self.recipe.log_every == 0 and not rounds[0].context.second:
            rounds[0].logs["gradient_norm"] = gradient_norm(network)
        set_learning_rate(optimizer, value_at(part.optimizer.lr, self.step))
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if player == "discriminator" and part.clip_weights is not None:
            clipped = [p for p in network.parameters() if p.requires_grad]
            with torch.no_grad():
                torch._foreach_clamp_max_(clipped, part.clip_weights)
                torch._foreach_clamp_min_(clipped, -part.clip_weights)
        for name in {name for r in rounds for name in r.proposed}:
            proposals = [r.proposed[name] for r in rounds]
            means = {key: torch.stack([p[key] for p in proposals]).mean(0) for key in proposals[0]}
            self.objective.memory[name] = {key: self.runtime.average(mean) for key, mean in means.items()}
        if isinstance(self.augment, Adaptation) and player == "discriminator" and not rounds[0].context.second:
            rounds[0].logs |= self.augment.follow(rounds, self.updates)
        self.term_log.note(player, self.step, rounds)

    def check_finite(self) -> None:
        """Raise NonFiniteLossError, on all ranks, if a loss since the last check or a weight is not finite."""
        self.term_log.check(self.runtime)
        for player in ("discriminator", "generator"):
            weights = [p.detach() for p in getattr(self, player).parameters()]
            if not torch.isfinite(torch.stack(torch._foreach_norm(weights, float("inf")))).all():
                raise NonFiniteLossError(
                    f"the {player}'s weights became infinite or NaN by step {self.step - 1}, at finite losses: a gradient "
                    "was not finite. The run stops; checkpoints, if any, are from before",
                    max(self.step - 1, 0),
                )

    # --- saving ---
    def state_dict(self) -> dict[str, Any]:
        """Everything that training depends on besides the recipe, as tensors and plain values."""
        return {
            "step": self.step,
            "updates": self.updates,
            "generator": self.generator.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "average": None if self.average is None else self.average.module.state_dict(),
            "optimizers": {p: state_by_name(o, getattr(self, p)) for p, o in self.optimizers.items()},
            "memory": self.objective.memory,
            "ledger": self.term_log.state_dict(),
            **({"augment": self.augment.state_dict()} if isinstance(self.augment, Adaptation) else {}),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Raises TypeError or ValueError for a state that is not of such a run, and what torch does."""
        self.step, self.updates = state["step"], state["updates"]
        if not isinstance(self.updates, int):
            raise TypeError(f"updates is {type(self.updates).__name__}")
        self.generator.load_state_dict(state["generator"])
        self.discriminator.load_state_dict(state["discriminator"])
        if self.average is not None:
            self.average.module.load_state_dict(state["average"])
        for player, optimizer in self.optimizers.items():
            if left := load_state_by_name(optimizer, getattr(self, player), state["optimizers"][player]):
                raise ValueError(f"the {player}'s optimiser has another state for {left[0]}")
        for name, memory in state["memory"].items():
            self.objective.memory[name] = {key: value.to(self.runtime.device) for key, value in memory.items()}
        self.term_log.load_state_dict(state["ledger"])
        if isinstance(self.augment, Adaptation):
            self.augment.load_state_dict(state["augment"])


def build(
    recipe: Recipe,
    real: Source,
    *,
    negatives: Source | None = None,
    unlabelled: Source | None = None,
    runtime: Runtime | None = None,
    image_size: int | None = None,
    image_channels: int | None = None,
    dtype: torch.dtype = torch.float32,
    note: Callable[[str], None] | None = None,
) -> TrainingState:
    """A run at step 0. Raises SparringError if recipe, networks and data do not fit together.

    note: takes lines for people.
    """
    runtime = runtime or Runtime(precision=recipe.precision)
    size = getattr(real, "size", 1) if image_size is None else image_size
    channels = getattr(real, "channels", 1) if image_channels is None else image_channels
    num_classes = real.num_classes
    discriminator, generator = _networks(recipe, size, channels, num_classes, runtime)
    _check_batches(recipe, real, unlabelled, runtime)
    resident = where_they_fit([real, negatives, unlabelled], runtime.device)
    feed = Feed(
        real=resident[0],
        negatives=resident[1],
        unlabelled=resident[2],
        batch_size=recipe.batch_size,
        generator_batch_size=recipe.generator_batch_size,
        latent_size=recipe.generator.latent_size,
        seed=recipe.seed,
        flip=recipe.data.flip,
        accumulate=recipe.accumulate,
        rank=runtime.rank,
        world=runtime.world,
        num_classes=num_classes,
        label_pool=_label_pool(recipe, real),
        device=runtime.device,
        dtype=dtype,
    )
    channels_last = torch.channels_last if any(p.ndim == 4 for p in generator.parameters()) else torch.preserve_format
    for network in (discriminator, generator):
        network.to(runtime.device, dtype, memory_format=channels_last)  # type: ignore[call-overload]
    objective = Objective(recipe.objective.terms)  # memory of this run's own
    if recipe.compile:
        check_compilable(objective)
    _check_objective(recipe, objective, discriminator, generator, feed, note)
    if recipe.freeze is not None:
        freeze_parts(recipe.freeze, discriminator, generator, feed)
    compiles = recipe.compile and runtime.device.type != "meta"  # a dry run computes nothing
    runtime.copy_from_main([*discriminator.state_dict().values(), *generator.state_dict().values()])
    return TrainingState(
        recipe=recipe,
        objective=objective,
        discriminator=discriminator,
        generator=generator,
        optimizers={
            "discriminator": make_optimizer(discriminator, recipe.discriminator.optimizer),
            "generator": make_optimizer(generator, recipe.generator.optimizer),
        },
        feed=feed,
        runtime=runtime,
        average=_average(recipe, generator),
        augment=augmentation_of(recipe, runtime),
        compiled_judge=CompiledJudge(discriminator) if compiles else None,
        compiled_generator=compiled(generator) if compiles else None,
    )


def _label_pool(recipe: Recipe, real: Source) -> Tensor | None:
    """The labels that fakes' are drawn from, for `generator.labels=data`. None: all classes are as likely."""
    if recipe.generator.labels == "uniform" or not real.num_classes:
        return None
    labels = getattr(real, "labels", None)  # toy worlds and dry runs keep none
    return None if labels is None else labels[labels >= 0].cpu()


def _average(recipe: Recipe, generator: nn.Module) -> MovingAverage | None:
    if recipe.generator.ema is None:
        return None
    with one_line(f"generator '{recipe.generator.network.kind}' cannot be copied for generator.ema: "):
        return MovingAverage(generator, recipe.generator.ema)


def _networks(
    recipe: Recipe, size: int, channels: int, num_classes: int, runtime: Runtime
) -> tuple[Discriminator, nn.Module]:
    """The networks, made on the CPU so that their weights are the same on every device, or on the meta device for a dry run.

    Raises SparringError if they do not fit into memory: shipped networks are made on the meta device first to find out.
    """

    def made(device: str) -> tuple[Discriminator, nn.Module]:
        return build_networks(recipe, image_size=size, image_channels=channels, num_classes=num_classes, device=device)

    shipped = recipe.generator.network.kind in GENERATORS and recipe.discriminator.network.kind in BACKBONES
    if not shipped and runtime.device.type != "meta":
        return made("cpu")
    networks = made("meta")
    check_size(recipe, *networks, channels * size**2, runtime)
    return networks if runtime.device.type == "meta" else made("cpu")


def _check_batches(recipe: Recipe, real: Source, unlabelled: Source | None, runtime: Runtime) -> None:
    """Check that batches split evenly over processes and micro-batches, and that the data fill one."""
    shares = runtime.world * recipe.accumulate
    processes = counted(runtime.world, "process", "processes")
    parts = f"{processes} x {counted(recipe.accumulate, 'micro-batch', 'micro-batches')}"
    for what, rows in (("batch_size", recipe.batch_size), ("generator.batch_size", recipe.generator_batch_size)):
        if rows % shares:
            raise SparringError(f"{what} {rows} does not split evenly over {parts}")
    for what, source in (("data", real), ("unlabelled", unlabelled)):
        if source is not None and len(source) < recipe.batch_size:
            raise SparringError(
                f"{what} has {counted(len(source), 'image')}, fewer than a batch of {recipe.batch_size}: lower batch_size"
            )


def _check_objective(
    recipe: Recipe,
    objective: Objective,
    discriminator: Discriminator,
    generator: nn.Module,
    feed: Feed,
    note: Callable[[str], None] | None,
) -> None:
    """Let each term check whether it can work in this run, and move the memory of terms to the device."""
    sides = {"real", "fake"} | ({"negative"} if feed.negatives else set())
    sides |= {"unlabelled"} if feed.unlabelled else set()
    objective.check(
        Build(
            steps=recipe.steps,
            d_steps=recipe.d_steps,
            updates_per_epoch=feed.updates_per_epoch,
            num_classes=feed.num_classes,
            has_labels=feed.num_classes > 0,
            sides=frozenset(sides),
            couples_batch=discriminator.couples_batch,
            has_blocks=_check_networks(discriminator, generator, feed, note),
        )
    )
    for memory in objective.memory.values():
        for name, value in memory.items():
            memory[name] = value.to(feed.device, feed.dtype if value.is_floating_point() else value.dtype)


@torch.no_grad()
def _check_networks(
    discriminator: Discriminator, generator: nn.Module, feed: Feed, note: Callable[[str], None] | None
) -> bool:
    """Whether the backbone returns blocks. Tries both networks on two samples and leaves them unchanged."""
    with torch.random.fork_rng(devices=[]), frozen(discriminator), frozen(generator):
        latents, labels = feed.latents(2, "check")
        with strided_1x1_refused("the generator", note):
            images = images_of(generator, latents, labels)
        real, real_labels = feed.real.batch(torch.arange(2), feed.device)
        if images.shape != real.shape:
            raise SparringError(
                f"the generator makes images {tuple(images.shape[1:])} and the data have {tuple(real.shape[1:])}: "
                "set data.size and data.channels, or the network's options"
            )
        with strided_1x1_refused("the discriminator", note):
            activations = discriminator.extract(real.to(latents.dtype), real_labels)
        for head in discriminator.asked:
            discriminator.read(head, activations, real_labels)
    return bool(activations.blocks)
