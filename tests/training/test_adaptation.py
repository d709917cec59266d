"""ADA's probability over training, against the paper's algorithm written out; transforms in the step."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from longhand import Hand, a_run, outputs, recipe
from torch import Tensor

from sparring.recipe.ada import ADA, DRAWS
from sparring.recipe.gan import Recipe
from sparring.run.runtime import Runtime
from sparring.training.adaptation import Adaptation
from sparring.training.dry_run import describe
from sparring.training.state import TrainingState
from sparring.training.step import train_step, update_discriminator, update_generator

NO_NORM = {"generator__network__normalisation": "none"}
QUICK = {"kind": "ada", "ramp_images": 160, "interval": 3, "target": 0.7}


def ada_run(objective: dict[str, Any], **changes: Any) -> TrainingState:
    return a_run(objective, augment=QUICK, **NO_NORM, **changes)


def test_hinge_and_p_are_those_of_the_algorithm_written_out() -> None:
    run, other = ada_run({"hinge": {}}), ada_run({"hinge": {}})
    hand, p, signs, seen, course = Hand(other), 0.1, 0.0, 0, []
    run.augment.p.fill_(p)
    for update in range(30):
        share = hand.batch("discriminator", update)
        fake = hand.fake(share, graph=False)
        judged = []
        for name, images in (("real", share.sides["real"][0]), ("fake", fake)):
            u = hand.uniform("discriminator", update, f"augment/{name}", 8, DRAWS)
            judged.append(hand.score(ADA(p=p)(images, lambda *shape, u=u: u)))
        real, fake_score = judged
        hand.step_d((1 - real).clamp_min(0).mean() + (1 + fake_score).clamp_min(0).mean())
        signs, seen = signs + sum(1 if score > 0 else -1 for score in real.tolist()), seen + 8
        if (update + 1) % 3 == 0:
            r_t = signs / seen
            p = min(1.0, max(0.0, p + (1 if r_t > 0.7 else -1 if r_t < 0.7 else 0) * 3 * 8 / 160))
            signs, seen = 0.0, 0
        course.append(p)
        update_discriminator(run)
        assert run.augment.p.item() == pytest.approx(p, abs=1e-6), update
    assert (min(course), max(course)) == (0, 1), course  # down, up and no further
    for a, b in zip(run.discriminator.parameters(), other.discriminator.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("objective", "boundary"),
    [
        ({"non_saturating": {}}, 0.0),
        ({"least_squares": {}}, 0.5),
        ({"wasserstein": {}}, None),
        ({"nat_gan": {}}, None),
        ({"relativistic_pairing": {}}, None),
    ],
)
def test_what_counts_as_real(objective: dict[str, Any], boundary: float | None) -> None:
    run = ada_run(objective, accumulate=2)
    seen: list[tuple[Tensor, Tensor]] = []
    plain = run.augment.follow

    def follow(rounds: Any, update: int) -> dict[str, Tensor]:
        host = run.objective.host(0)
        seen.append(tuple(torch.cat([host.realness(r.sides[side]) for r in rounds]) for side in ("real", "fake")))  # type: ignore[arg-type]
        return plain(rounds, update)

    run.augment.follow = follow
    for _ in range(2):
        update_discriminator(run)
    expected = 0.0
    for real, fake in seen:
        middle = boundary if boundary is not None else (sum(real) / len(real) + sum(fake) / len(fake)) / 2
        expected += sum(1 if value > middle else -1 for value in real)
    assert (run.augment.signs.item(), run.augment.images) == (expected, 16)


def test_each_interval_counts_afresh() -> None:
    adaptation, host = Adaptation(ADA(target=0.5, interval=1, ramp_images=8), Runtime()), SimpleNamespace(boundary=1.0)
    host.realness = lambda side: side.scores
    course = []
    for scores in ([2.0, 3.0], [4.0, 1.5], [0.0, 2.0], [-1.0, 0.5]):  # r_t of 1, 1, 0 and -1
        side = SimpleNamespace(is_judged=True, total=2, scores=torch.tensor(scores))
        adaptation.follow([SimpleNamespace(host=host, sides={"real": side})], 0)  # type: ignore[list-item]
        course.append(adaptation.p.item())
    assert course == [0.25, 0.5, 0.25, 0]


def test_the_generator_sees_the_same_p() -> None:
    run, other = ada_run({"wasserstein": {}}), ada_run({"wasserstein": {}})
    for each in (run, other):
        each.augment.p = torch.tensor(0.5)
    for _ in range(3):
        update_discriminator(run), update_discriminator(other)
    p = run.augment.p.item()
    hand = Hand(other)
    share = hand.batch("generator", 0, 2)
    fake = hand.fake(share, graph=True)
    u = hand.uniform("generator", 0, "augment/fake", 8, DRAWS)
    (gradient,) = torch.autograd.grad(
        -hand.score(ADA(p=p)(fake, lambda *shape: u)).mean(), next(iter(other.generator.parameters()))
    )
    before = run.optimizers["generator"]
    plain, found = before.step, []
    before.step = lambda: found.append(next(iter(run.generator.parameters())).grad.clone()) or plain()  # type: ignore
    update_generator(run)
    torch.testing.assert_close(found[0], gradient, rtol=1e-9, atol=1e-12)


def test_a_run_that_goes_on_has_its_p_and_its_bits() -> None:
    objective = {"hinge": {}, "r1": {"weight": 0.1, "every": 2}, "as_gan": {"eps": 0.1, "warmup": 1}}
    whole, first, rest = (ada_run(objective) for _ in range(3))
    for _ in range(11):
        train_step(whole)
    for _ in range(7):  # in the middle of an interval of three updates
        train_step(first)
    rest.load_state_dict(first.state_dict())
    for _ in range(4):
        train_step(rest)
    assert 0 < whole.augment.p < 1 and torch.equal(whole.augment.p, rest.augment.p)
    assert torch.equal(outputs(whole), outputs(rest))
    means = whole.term_log.means()
    assert 0 < means["discriminator/ada_p"] < 1 and -1 <= means["discriminator/ada_r"] <= 1


def test_micro_batches_make_one_batch() -> None:
    objective = {"non_saturating": {}, "negatives": {"per_batch": 3}}
    one, four = (ada_run(objective, negatives=20, accumulate=parts) for parts in (1, 4))
    for _ in range(9):
        train_step(one)
        train_step(four)
    assert one.augment.p > 0 and torch.equal(one.augment.p, four.augment.p)
    torch.testing.assert_close(outputs(one), outputs(four), rtol=0, atol=1e-10)


def test_a_fixed_p_stays_and_0_is_no_augmentation() -> None:
    fixed, none, plain = (
        a_run({"hinge": {}}, augment=augment, **NO_NORM)
        for augment in ({"kind": "ada", "p": 0.5}, {"kind": "ada", "p": 0}, None)
    )
    for run in (fixed, none, plain):
        for _ in range(3):
            train_step(run)
    assert torch.equal(outputs(none), outputs(plain)) and not torch.equal(outputs(fixed), outputs(plain))
    assert "augment" not in fixed.state_dict() and "discriminator/ada_p" not in fixed.term_log.means()


def test_a_dry_run_takes_the_steps_too() -> None:
    changes = {"data__size": 8, "data__channels": 1, "data__num_classes": 4}
    plain, augmented = (
        describe(recipe({"hinge": {}, "r1": {"every": 2}}, augment=augment, **changes)) for augment in (None, QUICK)
    )
    assert augmented["per_step"]["operations"] > plain["per_step"]["operations"]


def test_a_shorter_run_has_a_shorter_ramp() -> None:
    assert Recipe.load(ada_run({"hinge": {}}).recipe, ["scale=0.1"]).augment == {**QUICK, "ramp_images": 16}
    usual = Recipe.load(a_run({"hinge": {}}, augment={"kind": "ada"}).recipe, ["scale=0.1"])
    assert usual.augment == {"kind": "ada", "ramp_images": 50_000}
