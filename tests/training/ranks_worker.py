"""What each of two processes does for test_ranks.py: `torchrun --nproc-per-node 2 ranks_worker.py FOLDER`."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch

sys.path[:0] = [
    str(Path(__file__).parent),
    str(Path(__file__).parents[1]),
    str(Path(__file__).parents[1] / "evaluation"),
]
from two_sets import Corners  # noqa: E402

import sparring  # noqa: E402
from sparring.data.arrays import write_npz  # noqa: E402
from sparring.evaluation import protocol  # noqa: E402
from sparring.recipe.gan import Recipe  # noqa: E402
from sparring.report import html  # noqa: E402
from sparring.run.lock import only_writer  # noqa: E402
from sparring.run.runtime import Runtime  # noqa: E402
from sparring.run.votes import Votes  # noqa: E402
from sparring.training import job  # noqa: E402
from sparring.training.state import TrainingState, build  # noqa: E402
from sparring.training.step import train_step  # noqa: E402
from tiny import tiny_images, tiny_recipe  # noqa: E402

SGD = {"kind": "sgd", "lr": 0.05}  # so that a difference in the weights is one in the gradients
STEPS = 3
NO_NORM = {"kind": "dcgan", "width": 4, "normalisation": "none"}

SCENARIOS: dict[str, dict[str, Any]] = {
    "hinge": {"objective": {"hinge": {}}},
    "wgan-gp": {"objective": {"wasserstein": {}, "gradient_penalty": {}}, "d_steps": 2},
    "r1-only updates": {"objective": {"hinge": {"weight": 1e-30}, "r1": {"every": 2, "weight": 3.0}}, "d_steps": 2},
    "an unused head": {"objective": {"hinge": {}, "auxiliary_classifier": {"generator_weight": 0, "weight": 0.0}}},
    "uneven negatives": {"objective": {"hinge": {}, "negatives": {"per_batch": 3}}, "augment": {"kind": "diffaugment"}},
    "no negatives on a rank": {"objective": {"hinge": {}, "negatives": {"per_batch": 1}, "r1": {"every": 2}}},
    "projection, spectral norm": {
        "objective": {"hinge": {}, "as_gan": {"eps": 0.1, "warmup": 1}, "lecam": {"weight": 0.3, "start": 1}},
        "discriminator": {
            "network": {**NO_NORM, "spectral_norm": "exact"},
            "conditioning": "projection",
            "optimizer": SGD,
        },
        "augment": {"kind": "diffaugment"},
    },
    "ADA": {
        "objective": {"hinge": {}, "r1": {"every": 2}},
        "augment": {"kind": "ada", "ramp_images": 60, "interval": 2, "target": 0.1},
        "d_steps": 2,
    },
    "ADA without a boundary": {
        "objective": {"wasserstein": {}},
        "augment": {"kind": "ada", "ramp_images": 60, "interval": 1, "target": -0.5},
    },
    "frozen parts": {
        "objective": {"hinge": {}, "r1": {"every": 2}},
        "freeze": {"discriminator": 1, "generator": "convs.0"},
    },
    "terms that come and go": {
        "objective": {
            "hinge": {},
            "r1": {"every": 3},
            "as_gan": {"eps": 0.1, "warmup": 2},
            "auxiliary_classifier": {"weight": {"knots": [[0, 0.0], [1, 0.0], [2, 1.0], [6, 0.0]]}},
        },
        "d_steps": 2,
    },
}


def run(name: str, runtime: Runtime, steps_taken: int = STEPS, **changes: Any) -> TrainingState:
    """Some steps of a scenario in float64."""
    generator = {"network": NO_NORM, "latent_size": 6, "optimizer": SGD, "ema": 0.9}
    discriminator = {"network": NO_NORM, "optimizer": SGD}
    recipe = Recipe.load(
        tiny_recipe(generator=generator, discriminator=discriminator) | SCENARIOS[name] | changes | {"steps": 100}
    )
    negatives = tiny_images(11, seed=5) if "negatives" in recipe.objective.terms else None
    state = build(recipe, tiny_images(), negatives=negatives, runtime=runtime, dtype=torch.float64)
    for _ in range(steps_taken):
        train_step(state)
    state.check_finite()
    return state


def outcome(state: TrainingState) -> dict[str, Any]:
    weights = state.state_dict()
    wanted = ("generator", "discriminator", "average", "memory", "ledger", "augment")
    return {key: weights[key] for key in wanted if key in weights}


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    html.write_report = lambda path: Path(path, "report.html").write_text("")  # drawing takes longer than training
    runtime = Runtime.start("cpu")
    for number, name in enumerate(SCENARIOS):
        torch.save(outcome(run(name, runtime)), folder / f"{number}-{runtime.rank}.pt")
    torch.save(outcome(run("hinge", runtime, accumulate=2)), folder / f"accumulated-{runtime.rank}.pt")
    refused = []
    for change in ({"batch_size": 7}, {"accumulate": 3}):
        try:
            run("hinge", runtime, **change)
        except sparring.SparringError as error:
            refused.append(str(error))
    torch.save(refused, folder / f"refused-{runtime.rank}.pt")
    try:
        runtime.average_gradients([_lonely(runtime.rank)])
    except RuntimeError as error:
        (folder / f"lonely-{runtime.rank}").write_text(str(error))
    for steps in (4, 6):
        recipe = tiny_recipe(steps=steps, checkpoint_every=2, samples_every=2)
        trackers = [_Steps(folder / f"tracked-{runtime.rank}")]
        sparring.train(
            recipe, out=folder / "run", data=tiny_images(), device="cpu", resume=steps == 6, trackers=trackers
        )
    torch.save(_votes_of_a_schedule(runtime), folder / f"votes-{runtime.rank}.pt")
    torch.save(_one_rank_changes(runtime), folder / f"changed-{runtime.rank}.pt")
    (folder / f"interrupted-{runtime.rank}").write_text(_one_rank_is_interrupted(folder / "interrupted"))
    torch.save(_measured_together(folder, runtime), folder / f"measured-{runtime.rank}.pt")
    (folder / f"locked-{runtime.rank}").write_text(_refused_by_a_lock(folder / "locked", runtime))
    (folder / f"stopped-{runtime.rank}").write_text(_one_rank_stops(runtime))


class _Steps:
    """A tracker that keeps the steps that it is given in a file."""

    def __init__(self, path: Path):
        self.path = path

    def config(self, recipe: Any) -> None: ...

    def scalars(self, values: Any, step: int) -> None:
        with self.path.open("a") as file:
            file.write(f"{step} ")

    def images(self, name: str, images: Any, step: int) -> None: ...

    def close(self) -> None: ...


@contextmanager
def _counted() -> Iterator[dict[str, int]]:
    """The number of all-reduces, and of votes among them."""
    counts = {"all-reduces": 0, "votes": 0}
    plain, vote = torch.distributed.all_reduce, Votes.vote

    def counted_reduce(values: torch.Tensor, **more: Any) -> Any:
        counts["all-reduces"] += not more  # signs of life have a group of their own
        return plain(values, **more)

    def counted_vote(votes: Votes, *flags: bool) -> list[int]:
        counts["votes"] += 1
        return vote(votes, *flags)

    torch.distributed.all_reduce, Votes.vote = counted_reduce, counted_vote  # type: ignore[method-assign]
    try:
        yield counts
    finally:
        torch.distributed.all_reduce, Votes.vote = plain, vote  # type: ignore[method-assign]


def _votes_of_a_schedule(runtime: Runtime) -> dict[str, Any]:
    """Votes in steps whose terms come and go, and the outcome."""
    with _counted() as counts:
        state = run("terms that come and go", runtime, steps_taken=8)
        first = dict(counts)
        for _ in range(24):
            train_step(state)
    later = {key: counts[key] - first[key] for key in counts}
    state.term_log.check(runtime)
    return {"first": first, "later": later, "state": outcome(state)}


def _one_rank_changes(runtime: Runtime) -> list[Any]:
    """Means of gradients that exist, that no longer exist on any rank, and the error if one is missing on one rank."""
    a, b, found = torch.nn.Parameter(torch.zeros(3)), torch.nn.Parameter(torch.zeros(2)), []
    for missing_on in ((), (0, 1), (1,)):
        a.grad = torch.full((3,), 1.0 + runtime.rank)
        b.grad = None if runtime.rank in missing_on else torch.full((2,), 10.0 * runtime.rank)
        try:
            runtime.average_gradients([a, b], "terms")
            found.append([None if p.grad is None else p.grad.clone() for p in (a, b)])
        except RuntimeError as error:
            found.append(str(error))
    a.grad, b.grad = torch.tensor([float("nan"), 1.0, 2.0]), None
    runtime.average_gradients([a, b], "terms")  # a gradient that is NaN stays one
    return [*found, a.grad.clone()]


def _one_rank_is_interrupted(folder: Path) -> str:
    """What a rank hears after Ctrl-C on rank 1 in its 14th step, with the number of votes until then."""
    plain = job.step_function

    def step_function(recipe: Recipe) -> Callable[[TrainingState], None]:
        def step(s: TrainingState) -> None:
            if s.step == 13 and s.runtime.rank == 1:
                os.kill(os.getpid(), signal.SIGINT)
            plain(recipe)(s)

        return step

    job.step_function = step_function  # type: ignore[assignment]
    try:
        with _counted() as counts:
            recipe = tiny_recipe(steps=40, checkpoint_every=40, samples_every=40, log_every=40)
            sparring.train(recipe, out=folder, data=tiny_images(), device="cpu")
    except KeyboardInterrupt as error:
        return f"{counts['votes']} votes: {error}"
    finally:
        job.step_function = plain  # type: ignore[assignment]
    return "no interrupt"


class Counting(Corners):
    """Counts the generated and real images that this rank looks at."""

    seen = 0

    def __call__(self, images: torch.Tensor) -> Any:
        Counting.seen += len(images)
        return super().__call__(images)


def measured_recipe(folder: Path, **changes: Any) -> dict[str, Any]:
    evaluation = {"every": 2, "n": 230, "batch_size": 50, "metrics": ["fd", "kd", "is"], "is_splits": 3}
    return tiny_recipe(steps=4, evaluation=evaluation, data=str(folder / "images.npz"), **changes)


def _measured_together(folder: Path, runtime: Runtime) -> dict[str, Any]:
    """How many images a rank looked at, and a network's buffers within a measurement and after it."""
    with runtime.together():
        if runtime.is_main:
            write_npz(folder / "images.npz", tiny_images())
    plain, protocol.extractor_for = protocol.extractor_for, lambda *arguments, **options: Counting()  # type: ignore
    sparring.train(measured_recipe(folder), out=folder / "measured", device="cpu")
    protocol.extractor_for = plain
    sparring.train(measured_recipe(folder) | {"evaluation": None}, out=folder / "unmeasured", device="cpu")
    norm = torch.nn.BatchNorm1d(2)
    norm.running_mean.fill_(1.0 + runtime.rank)  # type: ignore[union-attr]
    with runtime.buffers_of_main(norm):
        within = norm.running_mean.tolist()  # type: ignore[union-attr]
    return {"seen": Counting.seen, "within": within, "after": norm.running_mean.tolist()}  # type: ignore[union-attr]


def _refused_by_a_lock(folder: Path, runtime: Runtime) -> str:
    """What a rank says where another process, here rank 0 itself, holds the folder."""
    with ExitStack() as held:
        if runtime.is_main:
            held.enter_context(only_writer(folder, work="recipe.json"))
        try:
            sparring.train(tiny_recipe(steps=1), out=folder, data=tiny_images(), device="cpu")
        except sparring.SparringError as error:
            runtime.agree(True)  # only then is the lock given up
            return str(error)
    return "no error"


def _one_rank_stops(runtime: Runtime) -> str:
    """What a rank hears where another one fails at its part of the work."""
    try:
        with runtime.together():
            if runtime.is_main:
                raise sparring.SparringError("the disk is full")
    except sparring.SparringError as error:
        return str(error)
    return "no error"


def _lonely(rank: int) -> torch.Tensor:
    parameter = torch.nn.Parameter(torch.zeros(2))
    parameter.grad = torch.ones(2) if rank else None
    return parameter


if __name__ == "__main__":
    main(Path(sys.argv[1]))
