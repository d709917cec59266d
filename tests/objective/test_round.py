"""Rounds: one plan of passes, declared needs, picked and relabelled sides, draws cut into shares."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from sparring import Hinge, NonSaturating, Objective
from sparring.errors import SparringError
from sparring.networks.discriminator import Activations
from sparring.objective.context import Player, StepContext
from sparring.objective.round import Round
from sparring.objective.term import Term


class Watched:
    """A discriminator that writes down what it is shown: a linear score, one block."""

    uses_labels = False

    def __init__(self, couples_batch: bool = False):
        torch.manual_seed(0)
        self.couples_batch = couples_batch
        self.layer = nn.Linear(3, 1).double()
        self.seen: list[Tensor] = []

    def extract(self, images: Tensor, labels: Tensor | None) -> Activations:
        self.seen.append(images)
        return Activations(images * 2, [images.view(-1, 3, 1, 1)])

    def read(self, head: str, activations: Activations, labels: Tensor | None) -> Tensor:
        score = self.layer(activations.features)[:, 0]
        return score if labels is None else score + labels


class Reads(Term):
    """Reads whatever it is told to."""

    sides: tuple[str, ...] = ("real",)

    def needs(self, player: Player, update: int) -> set[str]:
        return set(self.sides)

    def discriminator_loss(self, r: Round) -> Tensor:
        return sum(r.side(name.split(".")[0]).score.mean() for name in self.sides)  # type: ignore[return-value]


ROWS = {"real": 4, "fake": 3, "negative": 2, "unlabelled": 5}


def a_round(judge: Watched, objective: Objective, player: Player = "discriminator", **more: object) -> Round:
    generator = torch.Generator().manual_seed(1)
    sides = {
        name: (torch.randn(rows, 3, generator=generator, dtype=torch.float64), None) for name, rows in ROWS.items()
    }
    context = StepContext(player, 0, 0, seed=7)
    return Round(
        judge,
        sides,
        context=context,
        active=objective.active(player, 0, 0),
        host=objective.host(0),
        **more,  # type: ignore[arg-type]
    )


def passes(judge: Watched) -> list[int]:
    return [len(images) for images in judge.seen]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_one_joint_pass_whoever_reads_first(order: tuple[int, int]) -> None:
    terms = [("hinge", Hinge()), ("other", Reads(sides=("unlabelled", "negative")))]
    judge = Watched()
    r = a_round(judge, objective := Objective(dict(terms[i] for i in order)))
    objective.loss(r)
    assert passes(judge) == [4 + 3 + 2 + 5]
    assert torch.equal(judge.seen[0], torch.cat([r.sides[name].images for name in ROWS]))


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_coupled_batches_are_judged_in_three_passes_in_one_order(order: tuple[int, int]) -> None:
    terms = [("hinge", Hinge()), ("other", Reads(sides=("unlabelled", "negative")))]
    judge = Watched(couples_batch=True)
    r = a_round(judge, objective := Objective(dict(terms[i] for i in order)))
    objective.loss(r)
    assert passes(judge) == [4, 3 + 2, 5]


@pytest.mark.parametrize("couples_batch", [False, True])
def test_the_sides_are_judged_before_any_term_reads_them_and_once(couples_batch: bool) -> None:
    objective = Objective(hinge=Hinge(), other=Reads(sides=("unlabelled", "negative")))
    r = a_round(judge := Watched(couples_batch=couples_batch), objective)
    r.judge_sides()
    planned = passes(judge)
    assert planned == ([4, 3 + 2, 5] if couples_batch else [4 + 3 + 2 + 5])
    objective.loss(r)
    r.judge_sides()
    assert passes(judge) == planned


def test_a_side_that_is_differentiated_twice_has_a_pass_of_its_own_and_comes_first() -> None:
    judge = Watched()
    objective = Objective(hinge=Hinge(), other=Reads(sides=("fake.second_order", "negative")))
    objective.loss(r := a_round(judge, objective))
    assert passes(judge) == [3, 4 + 2]
    assert r.fake.input.requires_grad and not r.real.input.requires_grad


def test_only_declared_sides_are_in_the_round() -> None:
    r = a_round(judge := Watched(), objective := Objective(hinge=Hinge()))
    objective.loss(r)
    assert set(r.sides) == {"real", "fake"} and passes(judge) == [7]


def test_reading_an_undeclared_side_raises_and_says_what_to_add() -> None:
    class Careless(Term):
        def needs(self, player: Player, update: int) -> set[str]:
            return {"real"}

        def discriminator_loss(self, r: Round) -> Tensor:
            return r.fake.score.mean()

    objective = Objective(hinge=Hinge(), careless=Careless())
    with pytest.raises(SparringError, match=r"careless reads r\.fake without declaring it: add 'fake'"):
        objective.loss(a_round(Watched(), objective))


def test_reading_a_judgement_where_only_pixels_are_declared_raises() -> None:
    objective = Objective(hinge=Hinge(), pixels=Reads(sides=("unlabelled.images",)))
    with pytest.raises(SparringError, match="declares only its images"):
        objective.loss(a_round(Watched(), objective))


def test_pick_takes_rows_of_a_judgement_or_judges_them_on_demand() -> None:
    judge = Watched()
    objective = Objective(hinge=Hinge(), pixels=Reads(sides=("unlabelled.images",)))
    r = a_round(judge, objective)
    index = torch.tensor([2, 0, 2])
    assert torch.equal(r.real.pick(index).score, r.real.score[index])
    assert passes(judge) == [7]  # no further pass
    picked = r.unlabelled.pick(index[:2])
    assert torch.allclose(picked.score, judge.layer(2 * r.unlabelled.images[index[:2]])[:, 0])
    assert torch.equal(picked.blocks[0][:, :, 0, 0], r.unlabelled.images[index[:2]])
    assert passes(judge) == [7, 2]  # the two rows alone


def test_pick_judges_the_whole_batch_where_its_samples_see_each_other() -> None:
    judge = Watched(couples_batch=True)
    objective = Objective(hinge=Hinge(), pixels=Reads(sides=("unlabelled.images",)))
    r = a_round(judge, objective)
    r.unlabelled.pick(torch.tensor([1])).score  # noqa: B018
    assert passes(judge) == [4, 3, 5]


def test_relabel_keeps_the_features_and_reads_the_heads_again() -> None:
    r = a_round(judge := Watched(), Objective(hinge=Hinge()))
    labels = torch.tensor([3, 1, 0, 2])
    assert torch.allclose(r.real.relabel(labels).score, r.real.score + labels)
    assert len(judge.seen) == 1
    judge.uses_labels = True
    with pytest.raises(SparringError, match="projection"):
        r.real.relabel(labels)


def test_judge_with_differentiate_gives_a_leaf_and_keeps_the_graph_out_of_the_images() -> None:
    r = a_round(judge := Watched(), Objective(hinge=Hinge()))
    images = torch.ones(2, 3, dtype=torch.float64, requires_grad=True)
    side = r.judge(images * 1, differentiate=True)
    (gradient,) = torch.autograd.grad(side.score.sum(), side.input)
    assert torch.allclose(gradient, 2 * judge.layer.weight.expand(2, 3))
    assert side.input.is_leaf


def test_draws_are_those_of_the_whole_batch_cut_into_shares() -> None:
    class Draws(Term):
        def needs(self, player: Player, update: int) -> set[str]:
            return {"real"}

    objective = Objective(hinge=Hinge(), draws=Draws())

    def draw(part: int, parts: int, who: str = "draws", update: int = 3, seed: int = 7) -> Tensor:
        context = StepContext("discriminator", 0, update, seed, part, parts)
        images = torch.zeros(4 // parts, 3)
        active = objective.active("discriminator", 0, update)
        r = Round(Watched(), {"real": (images, None)}, context=context, active=active, host=Hinge())
        r.reader = who
        first = r.uniform(len(images), 2)
        second = r.normal(len(images), 2)
        assert not torch.equal(first, second)
        return torch.cat([first, second], 1)

    whole = draw(0, 1)
    assert torch.equal(torch.cat([draw(0, 2), draw(1, 2)]), whole)
    assert torch.equal(torch.cat([draw(i, 4) for i in range(4)]), whole)
    assert torch.equal(draw(0, 1), whole)
    for other in (draw(0, 1, who="hinge"), draw(0, 1, update=4), draw(0, 1, seed=8)):
        assert not torch.equal(other, whole)
    assert whole[:, :2].min() >= 0 and whole[:, :2].max() < 1


def test_the_second_round_keeps_images_gradients_and_kept_tensors_but_no_judgement() -> None:
    class Second(Term):
        def needs(self, player: Player, update: int) -> set[str]:
            return {"real.images", "real.gradient"}

        def discriminator_loss(self, r: Round) -> None:
            r.keep(doubled=2 * r.real.images)

        def second_update(self, r: Round) -> Tensor:
            assert torch.equal(r.kept_values["doubled"], 2 * r.real.images)
            return r.host.on_real(r.judge(r.real.images + r.real.gradient)).mean()

    judge, objective = Watched(), Objective(ns=NonSaturating(), second=Second())
    r = a_round(judge, objective)
    loss = objective.loss(r)
    objective.prepare_gradients(r)
    loss.backward()
    score = judge.layer(2 * r.real.images)[:, 0]
    expected = -torch.sigmoid(-score)[:, None] * 2 * judge.layer.weight / len(score)
    assert torch.allclose(r.real.gradient, expected)
    ((active, again),) = objective.second_rounds(r)
    before = len(judge.seen)
    value = objective.second_loss(active, again)
    assert torch.allclose(value, nn.functional.softplus(-judge.layer(2 * (r.real.images + expected))[:, 0]).mean())
    assert len(judge.seen) == before + 1 and again.context.second


def test_the_generators_side_needs_what_the_objective_does_not_have() -> None:
    r = a_round(Watched(), Objective(hinge=Hinge()))
    with pytest.raises(SparringError, match="latents="):
        r.latents  # noqa: B018
    with pytest.raises(SparringError, match="generate="):
        r.generate(torch.zeros(1), None)
