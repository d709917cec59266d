"""Trains one classifier: its steps, what is logged, and its checkpoints, from which it resumes to the same bits."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sparring.classify.batches import NEGATIVE, Batches
from sparring.classify.criteria import criterion_class, takes_negatives
from sparring.classify.data import ClassifierData, Note
from sparring.classify.networks import Classifier, build_classifier, check_logits
from sparring.classify.recipe import ClassifierRecipe
from sparring.data.packed import PackedImages
from sparring.errors import NonFiniteLossError, SparringError, one_line
from sparring.networks.faulty_convolution import strided_1x1_refused
from sparring.randomness import seed_global_generators
from sparring.recipe.gan import Network
from sparring.run.loop import Loop
from sparring.run.optimizers import load_state_by_name, make_optimizer, set_learning_rate, state_by_name
from sparring.run.progress import Progress
from sparring.run.runtime import Runtime

SUMS = ("loss", "batches", "positives", "correct", "confidence on positives", "negatives", "confidence on negatives")


class ClassifierJob:
    """The training of one classifier: `run` trains it to the end, `classifier` is the result.

    write_report: called with the reason if training ends early. cure: how to continue the run, for messages.
    """

    ends_run, report_every = False, None  # measurements follow

    def __init__(
        self,
        recipe: ClassifierRecipe,
        criterion: Network,
        data: ClassifierData,
        device: torch.device | str = "cpu",
        write_report: Callable[[str], object] = lambda ended: None,
        cure: str = "continue it with --resume",
    ):
        self._write_report, self.cure = write_report, cure
        self.recipe, self.device, self.step = recipe, torch.device(device), 0
        self.num_classes = data.train.num_classes
        self.outputs = outputs_of(criterion, self.num_classes)
        self.classifier: Classifier = build_classifier(
            recipe.network.kind,
            recipe.network.options,
            image_size=data.train.size,
            image_channels=data.train.channels,
            outputs=self.outputs,
            seed=recipe.seed,
            **(channel_statistics(data.train) if recipe.normalise else {}),
        ).to(self.device)
        self.criterion = make_criterion(criterion, self.num_classes)
        self._whole = nn.ModuleDict({"classifier": self.classifier, "criterion": self.criterion.to(self.device)})
        self.optimizer = make_optimizer(self._whole, recipe.optimizer)
        negatives = data.negatives if takes_negatives(criterion.kind) else None
        self.batches = Batches(
            recipe, data.train.to(self.device), None if negatives is None else negatives.to(self.device)
        )
        self.sums = torch.zeros(len(SUMS), dtype=torch.float64, device=self.device)
        self.first_bad = torch.full((), -1, dtype=torch.int64, device=self.device)

    def train_step(self) -> None:
        """One forward pass of positives and negatives, and one optimiser step. Does not wait for the device."""
        recipe = self.recipe
        images, target = self.batches.at(self.step)
        seed_global_generators(recipe.seed, "modules", self.step)  # dropout, and users' modules
        logits = self.classifier(images)
        loss = self.criterion(logits, target)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        set_learning_rate(self.optimizer, recipe.optimizer.rate(self.step, recipe.steps))
        self.optimizer.step()
        self._note(logits.detach(), target, loss.detach())
        self.step += 1

    @torch.no_grad()
    def _note(self, logits: Tensor, target: Tensor, loss: Tensor) -> None:
        confidence = logits.float().softmax(1)[:, : self.num_classes].amax(1)
        positive = target >= 0
        correct = (logits.argmax(1) == target) & positive
        sums = [loss, torch.ones_like(loss), positive.sum(), correct.sum(), (confidence * positive).sum()]
        sums += [(~positive).sum(), (confidence * ~positive).sum()]
        self.sums += torch.stack([value.double() for value in sums])
        bad = (self.first_bad < 0) & ~torch.isfinite(loss)
        self.first_bad = torch.where(bad, self.step, self.first_bad)

    def check_finite(self) -> None:
        """Raise NonFiniteLossError, naming the first step, if a loss of this session was not finite."""
        if int(self.first_bad) >= 0:
            raise NonFiniteLossError(
                f"the loss was not finite at step {int(self.first_bad)}: the run stops, and nothing from that step on is "
                "saved. Lower optimizer.lr",
                int(self.first_bad),
            )

    def counters(self) -> dict[str, int]:
        return {"step": self.step}

    def means(self, *, regular: bool) -> dict[str, float]:
        """Means over the batches since the last regular tick; a regular tick resets them."""
        self.check_finite()
        found = dict(zip(SUMS, self.sums.tolist(), strict=True))
        if regular:
            self.sums.zero_()
        row = {"loss": found["loss"] / found["batches"], "accuracy": found["correct"] / max(found["positives"], 1)}
        for name in ("positives", "negatives"):
            if found[name]:
                row[f"confidence on {name}"] = found[f"confidence on {name}"] / found[name]
        return row

    def state_dict(self) -> dict[str, Any]:
        """Everything that training depends on besides recipe and data."""
        return {
            "step": self.step,
            "modules": self._whole.state_dict(),
            "optimizer": state_by_name(self.optimizer, self._whole),
            "sums": self.sums.cpu(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.step = int(state["step"])
        self._whole.load_state_dict(state["modules"])
        if left := load_state_by_name(self.optimizer, self._whole, state["optimizer"]):
            raise ValueError(f"the optimiser has another state for {left[0]}")
        self.sums = state["sums"].reshape(self.sums.shape).to(self.sums)

    def due_work(self, progress: Progress) -> Iterable[Callable[[], None]]:
        return ()

    def save_companions(self) -> None: ...

    def write_report(self, ended: str | None = None) -> None:
        self._write_report(ended or "")

    def finish(self) -> None:
        self.classifier.eval()

    def run(
        self,
        folder: Path,
        make_progress: Callable[[int, int], Progress],
        note: Note,
        *,
        resume_from: int | None = None,
        trackers: Sequence[Any] = (),
    ) -> None:
        """Train from the folder's newest checkpoint to the last step, or until an interrupt, which saves the run."""
        loop = Loop(self, folder, Runtime(self.device), trackers, note)
        loop.open(loop.load(resume_from))
        self.classifier.train()
        loop.go(make_progress)


def outputs_of(criterion: Network, num_classes: int) -> int:
    """The number of logits that a criterion needs for these classes."""
    return num_classes + int(getattr(criterion_class(criterion.kind), "extra_outputs", 0))


def make_criterion(criterion: Network, num_classes: int) -> nn.Module:
    """Build a criterion, with `num_classes` if its constructor takes it. Raises SparringError if it cannot be built."""
    found = criterion_class(criterion.kind)
    given = {"num_classes": num_classes} if "num_classes" in inspect.signature(found).parameters else {}
    with one_line(f"criterion '{criterion.kind}' cannot be built: ", "; check its options"):
        made = found(**given, **criterion.options)
    if not isinstance(made, nn.Module):
        raise SparringError(f"criterion '{criterion.kind}' is not a torch.nn.Module, but {type(made).__name__}")
    return made


def check_parts(recipe: ClassifierRecipe, num_classes: int, size: int, channels: int, note: Note) -> None:
    """Build the recipe's classifiers and criteria and try one step, so that a mistake stops the run before it starts.

    Leaves the global random generators unchanged. note: takes lines for people.

    Raises SparringError if a network or criterion cannot be built, if a network cannot be trained on two images, and if a
    criterion does not return a differentiable scalar.
    """
    with torch.random.fork_rng(devices=[]):
        for criterion in recipe.classifiers:
            network, outputs = recipe.network, outputs_of(criterion, num_classes)
            classifier = build_classifier(
                network.kind,
                network.options,
                image_size=size,
                image_channels=channels,
                outputs=outputs,
                seed=recipe.seed,
            )
            made = make_criterion(criterion, num_classes)
            target = torch.tensor([0, NEGATIVE] if takes_negatives(criterion.kind) else [0, 1][: recipe.batch_size])
            images = torch.zeros(len(target), channels, size, size).contiguous(memory_format=torch.channels_last)
            fails = f"network '{network.kind}' fails in training on images {list(images.shape)}: "
            once = note if criterion is recipe.criterion else None
            with strided_1x1_refused(f"network '{network.kind}'", once), one_line(fails):
                logits = classifier.train()(images)
            check_logits(logits, network.kind, len(target), outputs)
            if not logits.requires_grad:
                raise SparringError(
                    f"network '{network.kind}' returns logits without a gradient, so it cannot learn: avoid detach, "
                    "no_grad and argmax in its forward"
                )
            loss = _tried(made, criterion.kind, logits, target)
            with one_line(f"network '{network.kind}' with criterion '{criterion.kind}' fails in the backward pass: "):
                loss.backward()


def _tried(criterion: nn.Module, kind: str, logits: Tensor, target: Tensor) -> Tensor:
    """The criterion's loss. Raises SparringError unless it is a scalar with a gradient."""
    with one_line(f"criterion '{kind}' fails on (logits {list(logits.shape)}, target {target.tolist()}): "):
        loss = criterion(logits, target)
    if not (isinstance(loss, Tensor) and loss.ndim == 0 and loss.requires_grad):
        shape = list(loss.shape) if isinstance(loss, Tensor) else type(loss).__name__
        raise SparringError(
            f"criterion '{kind}' returns {shape}, not a scalar tensor with a gradient: let it return the mean of its "
            "losses"
        )
    return loss


def channel_statistics(packed: PackedImages) -> dict[str, Any]:
    """Mean and standard deviation of each channel, [C], of images in [-1, 1]."""
    levels = torch.arange(256, dtype=torch.float64) / 127.5 - 1
    shares = torch.stack(
        [torch.bincount(packed.images[:, c].reshape(-1).long(), minlength=256) for c in range(packed.channels)]
    ).double()
    shares /= shares.sum(1, keepdim=True)
    mean = shares @ levels
    std = ((shares @ levels.square()) - mean.square()).clamp(min=0).sqrt()
    return {"mean": mean.float(), "std": std.clamp(min=1e-3).float()}
