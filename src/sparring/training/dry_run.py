"""What a recipe is and costs, found by a dry run: networks without memory, one cycle of steps without numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from sparring.evaluation.extractors.choice import extractor_for
from sparring.evaluation.protocol import check_evaluation, metrics_of
from sparring.limits import PASSES
from sparring.messages import Note, no_note
from sparring.objective.context import Player
from sparring.objective.objective import LONGEST_CYCLE
from sparring.objective.round import SIDES
from sparring.objective.term import period
from sparring.recipe.gan import Recipe
from sparring.run.data import RunData, load_run_data
from sparring.run.own_images import fitted_to
from sparring.run.process import process_as_before
from sparring.run.runtime import Runtime
from sparring.schedule import Schedule, value_at
from sparring.training.operations import CountedOperations
from sparring.training.own_step import checked_step
from sparring.training.state import TrainingState, build
from sparring.training.step import train_step

PART = 16  # steps to take of a longer cycle, so that `show` answers within seconds
PLAYERS: tuple[Player, Player] = ("discriminator", "generator")


class _Shapes:
    """Images of the recipe's shape without content."""

    def __init__(self, size: int, channels: int, num_classes: int, count: int):
        self.size, self.channels, self.num_classes, self._count = size, channels, num_classes, count

    def __len__(self) -> int:
        return self._count

    def batch(self, index: Tensor, device: torch.device | None = None) -> tuple[Tensor, Tensor | None]:
        images = torch.empty(len(index), self.channels, self.size, self.size, device="meta")
        labels = torch.empty(len(index), dtype=torch.int64, device="meta") if self.num_classes else None
        return images, labels


def describe(recipe: Recipe, note: Note = no_note, typed: Iterable[str] = ()) -> dict[str, Any]:
    """The resolved recipe, parameter counts, the term table, and passes and rows through D and G per step.

    The data are loaded only where the recipe does not say their size, channels and number of classes. passes and rows are
    means over one cycle of steps at the end of the run, after every schedule has ended. typed: the keys of the
    user's overrides, as in `run.own_images.fitted_to`.
    """
    data = recipe.data
    classes = len(data.classes) if isinstance(data.classes, list) and data.num_classes is None else data.num_classes
    if data.size is None or data.channels is None or classes is None:
        real = load_run_data(recipe, note).real
        recipe = fitted_to(recipe, real, typed, note)
        shapes = _Shapes(real.size, real.channels, real.num_classes, len(real))
    else:
        shapes = _Shapes(data.size, data.channels, classes, max(50_000, recipe.batch_size))
    extra: dict[str, Any] = {
        name: shapes
        for name, wanted in (("negatives", recipe.negatives), ("unlabelled", recipe.unlabelled or data.labelled))
        if wanted is not None
    }
    state = build(recipe, shapes, runtime=Runtime(torch.device("meta")), note=note, **extra)
    costs = _costs(state)
    return {
        "name": recipe.name,
        "about": recipe.about,
        "paper": recipe.paper,
        "run_in_full": recipe.run_in_full,
        "images": {"size": shapes.size, "channels": shapes.channels, "num_classes": shapes.num_classes},
        "parameters": {
            player: sum(p.numel() for p in getattr(state, player).parameters()) for player in reversed(PLAYERS)
        },
        "terms": _term_table(state),
        "per_step": costs,
        "recipe": recipe.to_dict(),
    }


def measured_by(recipe: Recipe, images: RunData, note: Note = no_note) -> Sequence[str]:
    """The names of the metrics that a run on these images will be measured by; its networks are built without memory.

    Raises SparringError where the recipe, its evaluation or its networks do not fit the images.
    """
    recipe = fitted_to(recipe, images.real, (), note)
    others: dict[str, Any] = {"negatives": images.negatives, "unlabelled": images.unlabelled}
    meta, evaluation = Runtime(torch.device("meta")), recipe.evaluation
    generator = build(recipe, images.real, **others, runtime=meta, note=note).generator
    if evaluation is None or check_evaluation(images, evaluation, generator) is not None:
        return ()
    extractor = extractor_for(evaluation.extractor, images.real)
    assert extractor is not None  # check_evaluation would have said so
    return metrics_of(evaluation, images, extractor)


def _term_table(state: TrainingState) -> list[dict[str, Any]]:
    """A row per term: what it is, which players it acts on, its weight over time, and what it needs."""
    recipe, rows = state.recipe, []
    marks = [round(share * recipe.steps) for share in (0, 0.25, 0.5, 0.75, 1)]
    for name, term in state.objective.terms.items():
        needs: dict[str, list[str]] = {}
        weights: dict[str, Any] = {}
        for player in PLAYERS:
            needed = set().union(*(term.needs(player, update) for update in range(min(period([term]), LONGEST_CYCLE))))
            weight = term.weight_for(player)
            if needed and weight != 0:
                needs[player] = sorted(needed)
                changing = isinstance(weight, Schedule)
                weights[player] = {str(m): value_at(weight, m) for m in marks} if changing else weight
        rows.append(
            {
                "name": name,
                "kind": type(term).__name__,
                "host": name == state.objective.host_name,
                "players": list(needs),
                "weight": weights,
                "every": getattr(term, "every", 1),
                "heads": [head.name for head in term.heads()],
                "needs": needs,
                "second_update": term.has_second_update,
                "couples_samples": term.couples_samples,
            }
        )
    return rows


def _costs(state: TrainingState) -> dict[str, Any]:
    """Passes, rows and operations per step, counted over one cycle of real steps on networks without memory."""
    recipe, terms = state.recipe, state.objective.terms.values()
    cycle = period(terms)
    passes = recipe.d_steps * recipe.accumulate
    cycle = max(1, min(cycle if cycle <= LONGEST_CYCLE else PART, recipe.steps, PASSES // passes))
    state.step = (recipe.steps - cycle) // cycle * cycle
    state.updates = state.step * recipe.d_steps
    sources = state.objective.gradient_sources(state.objective.active("discriminator", state.step, state.updates))
    counted = {"discriminator": [0, 0], "generator": [0, 0]}

    def counting(player: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def count(first: Tensor, *rest: Any) -> Any:
            counted[player][0] += 1
            counted[player][1] += len(first)
            return function(first, *rest)

        return count

    state.discriminator.extract = counting("discriminator", state.discriminator.extract)  # type: ignore[method-assign]
    state.generator.forward = counting("generator", state.generator.forward)  # type: ignore[method-assign]
    step = checked_step(recipe, train_step)
    with process_as_before(), CountedOperations() as operations:
        for _ in range(cycle):
            step(state)
    free = {True: "free, from the first backward pass", False: "one more gradient with respect to the images"}
    return {player: {"passes": passes / cycle, "rows": rows / cycle} for player, (passes, rows) in counted.items()} | {
        "optimizer_steps": {
            "discriminator": recipe.d_steps * (1 + sum(t.has_second_update for t in terms)),
            "generator": 1,
        },
        "operations": round(operations.total / cycle),
        "host_gradient": {side: free[sources[side]] for side in SIDES if side in sources},
    }
