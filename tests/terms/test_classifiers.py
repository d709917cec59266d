"""Auxiliary classifiers, semi-supervision and feature matching against loops in plain floats."""

from math import exp, log

import pytest
import torch
import torch.nn.functional as F

from sparring.errors import SparringError
from sparring.networks.discriminator import Discriminator, Head
from sparring.objective.objective import Objective
from sparring.objective.term import Build
from sparring.terms.auxiliary_classifier import AuxiliaryClassifier
from sparring.terms.class_logits import crammer_singer
from sparring.terms.feature_matching import FeatureMatching
from sparring.terms.hinge import Hinge
from sparring.terms.multi_hinge import MultiHinge
from sparring.terms.nat_gan import NATGAN
from sparring.terms.non_saturating import NonSaturating
from sparring.terms.relativistic_pairing import RelativisticPairing
from sparring.terms.semi_supervised import SemiSupervised
from sparring.testing import round_of

REAL = [[2.0, -1.0, 0.5], [0.1, 0.2, 1.5], [-0.7, 0.9, 2.2], [0.0, 0.3, -1.1], [3.0, 0.2, 0.1]]
FAKE = [[0.3, 1.2, -0.4], [1.1, -0.2, 0.6], [-0.8, 0.4, 0.9]]
REAL_LABELS, FAKE_LABELS = [2, 2, 2, 0, 0], [1, 2, 2]


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def hinge_loss(margin):
    def loss(row, y):
        return max(0, margin - row[y] + max(v for k, v in enumerate(row) if k != y))

    return loss


def cross_entropy(row, y):
    return -log(exp(row[y]) / sum(exp(v) for v in row))


CASES = pytest.mark.parametrize(
    ("term", "loss"),
    [
        (MultiHinge(), hinge_loss(1)),
        (MultiHinge(on_fake=True), hinge_loss(1)),
        (MultiHinge(margin=0.25), hinge_loss(0.25)),
        (AuxiliaryClassifier(), cross_entropy),
        (AuxiliaryClassifier(on_fake=True, head="second"), cross_entropy),
    ],
    ids=["hinge", "hinge_on_fake", "margin", "ce", "ce_on_fake"],
)


@CASES
def test_auxiliary_losses_equal_the_formula(term, loss, equal, slopes, leaf):
    real, fake = leaf(REAL), leaf(FAKE)
    sides = {
        "real": {term.head: real, "labels": torch.tensor(REAL_LABELS)},
        "fake": {term.head: fake, "labels": torch.tensor(FAKE_LABELS)},
    }

    def on_real(rows):
        return mean(loss(row, y) for row, y in zip(rows, REAL_LABELS, strict=True))

    def on_fake(rows):
        return mean(loss(row, y) for row, y in zip(rows, FAKE_LABELS, strict=True))

    fake_slopes = slopes(on_fake, FAKE)
    value = on_real(REAL) + (on_fake(FAKE) if term.on_fake else 0)
    gradients = [(real, slopes(on_real, REAL)), (fake, fake_slopes if term.on_fake else torch.zeros_like(fake_slopes))]
    equal(term.discriminator_loss(round_of(**sides)), value, gradients)
    equal(term.generator_loss(round_of(**sides, player="generator")), on_fake(FAKE), [(fake, fake_slopes)])


@pytest.mark.parametrize("make", [MultiHinge, AuxiliaryClassifier])
def test_auxiliary_terms_ask_for_what_they_read(make):
    assert make().needs("discriminator", 0) == {"real"}
    assert make(on_fake=True).needs("discriminator", 0) == {"real", "fake"}
    assert make().needs("generator", 0) == {"fake"}
    assert make().heads() == (Head(name="class_logits", outputs="num_classes"),)
    assert make(head="c").heads() == (Head(name="c", outputs="num_classes"),)
    assert make(shared=True).heads() == (Head(name="class_logits", outputs="num_classes", shared_with="score"),)
    assert (make().weight, make().generator_weight) == (1, 0.1)
    assert make(weight=0).needs("generator", 0) == set()
    with pytest.raises(SparringError, match="no labels"):
        make().check(Build(steps=10, num_classes=3))
    make().check(Build(steps=10, num_classes=3, has_labels=True))


def test_multi_hinge_by_hand():
    logits = torch.tensor([[2.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 2.0, 1.0], [1.0, 0.5, 3.5]], requires_grad=True)
    values = crammer_singer(logits, torch.tensor([0, 0, 0, 2]))
    assert values.tolist() == [0, 1, 3, 0]
    values.sum().backward()
    assert logits.grad.tolist() == [[0, 0, 0], [-1, 1, 0], [-1, 1, 0], [0, 0, 0]]  # a tie goes to the first


def test_multi_hinge_equals_multi_margin_loss_only_where_one_wrong_class_is_active():
    one, two = torch.tensor([[1.0, 0.6, -3.0]]), torch.tensor([[1.0, 0.6, 0.7]])
    y = torch.tensor([0])
    torch.testing.assert_close(crammer_singer(one, y)[0], 3 * F.multi_margin_loss(one, y))
    assert crammer_singer(two, y)[0].item() == pytest.approx(0.7)
    assert 3 * F.multi_margin_loss(two, y).item() == pytest.approx(1.3)


def test_huge_logits_leave_classifiers_finite():
    logits = torch.tensor([[1e4, -1e4, 0.0], [-1e4, 1e4, 1e4]], requires_grad=True)
    for term in (MultiHinge(), AuxiliaryClassifier()):
        value = term.discriminator_loss(round_of(real={"class_logits": logits, "labels": torch.tensor([1, 0])}))
        (gradient,) = torch.autograd.grad(value, logits)
        assert value >= 0
        assert torch.isfinite(value)
        assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("term", [MultiHinge(), AuxiliaryClassifier()], ids=["hinge", "ce"])
def test_fakes_without_labels_are_an_error_that_says_so(term):
    r = round_of(fake={"class_logits": torch.zeros(2, 3)}, player="generator")
    with pytest.raises(SparringError, match="fake samples, which have no labels"):
        term.generator_loss(r)


# --- semi-supervised ---
class Features(torch.nn.Module):
    channels = 2

    def forward(self, images, labels=None):
        return images, []


def projection_discriminator(objective):
    module = Discriminator(Features(), objective.heads(), num_classes=3, conditioning="projection").double()
    with torch.no_grad():
        for i, parameter in enumerate(module.parameters()):
            parameter.copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(20 + i)))
    return module


def longhand_scores(module, images, labels):
    """w.x + b + E_y.x for each image."""
    w, b, E = module.heads["score"].weight[0], module.heads["score"].bias[0], module.embedding.weight
    return [torch.dot(w, x) + b + torch.dot(E[y], x) for x, y in zip(images, labels, strict=True)]


@pytest.mark.parametrize("weight", [1.0, 0.5])
def test_semi_supervised_is_eq_8_with_pseudo_labels_through_the_projection(weight):
    objective = Objective(hinge=Hinge(), multi_hinge=MultiHinge(), semi_supervised=SemiSupervised(weight=weight))
    module = projection_discriminator(objective)
    draw = torch.Generator().manual_seed(4)
    real, fake, unlabelled = (torch.randn(n, 2, generator=draw, dtype=torch.float64) for n in (4, 4, 5))
    labels, fake_labels = torch.tensor([2, 2, 0, 2]), torch.tensor([0, 1, 1, 2])
    d = objective.discriminator(
        objective.attach(module), real, fake, step=0, labels=labels, fake_labels=fake_labels, unlabelled=unlabelled
    )

    C = module.heads["class_logits"]
    pseudo = [max(range(3), key=lambda k: (torch.dot(C.weight[k], x) + C.bias[k]).item()) for x in unlabelled]
    assert len(set(pseudo)) > 1
    on_real = mean((1 - s).clamp_min(0) for s in longhand_scores(module, real, labels))
    on_unlabelled = mean((1 - s).clamp_min(0) for s in longhand_scores(module, unlabelled, pseudo))
    on_fake = mean((1 + s).clamp_min(0) for s in longhand_scores(module, fake, fake_labels))
    auxiliary = crammer_singer(C(real), labels).mean()
    expected = (1 - weight / 2) * on_real + weight / 2 * on_unlabelled + on_fake + auxiliary
    torch.testing.assert_close(d.loss, expected, rtol=1e-12, atol=1e-12)
    parameters = list(module.parameters())
    for got, want in zip(
        torch.autograd.grad(d.loss, parameters), torch.autograd.grad(expected, parameters), strict=True
    ):
        torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-12)


def test_the_shared_classifier_reads_the_class_embedding():
    objective = Objective(hinge=Hinge(), multi_hinge=MultiHinge(shared=True))
    module = projection_discriminator(objective)
    assert set(module.heads) == {"score"}
    real, labels = torch.randn(4, 2, dtype=torch.float64), torch.tensor([2, 2, 0, 1])
    d = objective.discriminator(objective.attach(module), real, real, step=0, labels=labels, fake_labels=labels)
    by_hand = crammer_singer(torch.stack([module.embedding.weight @ x for x in real]), labels).mean()
    torch.testing.assert_close(d.logs["multi_hinge"], by_hand.detach())


def test_pseudo_labels_leave_out_the_class_of_fakes():
    sides = {
        "real": {"score": torch.zeros(1), "class_logits": torch.zeros(1, 3), "labels": torch.tensor([0])},
        "unlabelled": {"score": torch.zeros(1), "class_logits": torch.tensor([[0.0, 1.0, 5.0]])},
    }
    seen = []

    class Spy(NonSaturating):
        def on_real(self, side):
            seen.append(side.labels.tolist())
            return super().on_real(side)

    SemiSupervised().discriminator_loss(round_of(**sides, host=Spy(), num_classes=2))
    SemiSupervised().discriminator_loss(round_of(**sides, host=Spy()))
    assert seen == [[1], [0], [2], [0]]


def test_semi_supervised_says_what_is_missing():
    def build(sides=("real", "fake", "unlabelled"), **terms):
        return Build(steps=10, num_classes=3, has_labels=True, sides=frozenset(sides), objective=Objective(**terms))

    term = SemiSupervised()
    term.check(build(h=Hinge(), c=AuxiliaryClassifier(), s=term))
    term.check(build(h=NATGAN(), s=term))
    with pytest.raises(SparringError, match=r"data\.labelled"):
        term.check(build(sides=("real", "fake"), h=Hinge(), c=MultiHinge(), s=term))
    with pytest.raises(SparringError, match="add multi_hinge or auxiliary_classifier"):
        term.check(build(h=Hinge(), s=term))
    with pytest.raises(SparringError, match="pairs reals with fakes"):
        term.check(build(h=RelativisticPairing(), c=MultiHinge(), s=term))
    assert term.needs("discriminator", 0) == {"real", "unlabelled"}
    assert term.needs("generator", 0) == set()


# --- feature matching ---
def test_feature_matching_by_hand_and_by_formula(equal, slopes, leaf):
    real, fake = [[1.0, 2.0], [3.0, -1.0], [0.5, 0.5]], [[0.2, -0.4], [1.4, 0.3]]

    def formula(rows):
        return sum((mean(row[j] for row in real) - mean(row[j] for row in rows)) ** 2 for j in range(2))

    real_leaf, fake_leaf = leaf(real), leaf(fake)
    r = round_of(real={"features": real_leaf}, fake={"features": fake_leaf}, player="generator")
    gradients = [(fake_leaf, slopes(formula, fake)), (real_leaf, torch.zeros(3, 2, dtype=torch.float64))]
    equal(FeatureMatching().generator_loss(r), formula(fake), gradients)
    # means (2, 1) and (0, 0): 4 + 1
    r = round_of(
        real={"features": torch.tensor([[1.0, 1.0], [3.0, 1.0]])},
        fake={"features": torch.tensor([[1.0, -1.0], [-1.0, 1.0]])},
        player="generator",
    )
    assert FeatureMatching().generator_loss(r).item() == 5
    assert FeatureMatching().needs("discriminator", 0) == set()
    assert FeatureMatching().needs("generator", 0) == {"real", "fake"}
    assert FeatureMatching.couples_samples
