"""NATLoss against Eq. 1-4 in plain floats, worked numbers, and the prior art that has the same gradient."""

from math import exp, log

import pytest
import torch
from torch import nn

from sparring.classify.criteria import Baseline, ExtraClass
from sparring.classify.nat_loss import NATLoss
from sparring.errors import SparringError
from sparring.terms.divergences import TO_UNIFORM
from sparring.terms.nat_gan import NATGAN
from sparring.testing import round_of

# three classes, unbalanced, the last one among them; negatives are spelt in three ways
LOGITS = [[2.0, -1.0, 0.5], [0.1, 0.2, 1.5], [-0.7, 0.9, 2.2], [0.0, 0.3, -1.1], [1.3, -0.4, 0.2]]
TARGET = [2, -1, 0, -100, 2]
MIXES = {"mixed": TARGET, "no negatives": [2, 1, 0, 2, 2], "no positives": [-1, -2, -1, -1, -7]}


def softmax(row):
    total = sum(exp(v) for v in row)
    return [exp(v) / total for v in row]


def distance(name, p):
    u = 1 / len(p)
    middle = [(u + v) / 2 for v in p]
    return {
        "kl": sum(u * log(u / v) for v in p),
        "reverse_kl": sum(v * log(v / u) for v in p),
        "js": sum(u * log(u / m) for m in middle) / 2 + sum(v * log(v / m) for v, m in zip(p, middle, strict=True)) / 2,
        "squared_error": sum((v - u) ** 2 for v in p),
    }[name]


def losses(rows, target, weight, divergence):
    """One loss per sample, by Eq. 1."""
    found = []
    for row, y in zip(rows, target, strict=True):
        p = softmax(row)
        found.append(-log(p[y]) if y >= 0 else weight * distance(divergence, p))
    return found


def reduced(rows, target, weight=1.0, divergence="kl", normalize="batch", reduction="mean"):
    found = losses(rows, target, weight, divergence)
    if reduction == "sum":
        return sum(found)
    if normalize == "batch":
        return sum(found) / len(found)
    pos = [v for v, y in zip(found, target, strict=True) if y >= 0]
    neg = [v for v, y in zip(found, target, strict=True) if y < 0]
    return sum(pos) / max(len(pos), 1) + sum(neg) / max(len(neg), 1)


def slope(formula, rows, h=1e-5):
    """Central differences of formula(rows), float64."""
    found = torch.zeros(len(rows), len(rows[0]), dtype=torch.float64)
    for i, row in enumerate(rows):
        for j in range(len(row)):
            for sign in (1, -1):
                moved = [list(r) for r in rows]
                moved[i][j] += sign * h
                found[i, j] += sign * formula(moved) / (2 * h)
    return found


@pytest.mark.parametrize("target", MIXES.values(), ids=MIXES)
@pytest.mark.parametrize("normalize", ["batch", "separate"])
@pytest.mark.parametrize("divergence", TO_UNIFORM)
def test_value_and_gradient_equal_the_formula(divergence, normalize, target):
    logits = torch.tensor(LOGITS, dtype=torch.float64, requires_grad=True)
    loss = NATLoss(neg_weight=0.7, normalize=normalize, divergence=divergence)(logits, torch.tensor(target))
    loss.backward()

    def formula(rows):
        return reduced(rows, target, 0.7, divergence, normalize)

    torch.testing.assert_close(
        loss.detach(), torch.tensor(formula(LOGITS), dtype=torch.float64), rtol=1e-12, atol=1e-12
    )
    torch.testing.assert_close(logits.grad, slope(formula, LOGITS), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.uint32, torch.uint64, torch.int16])
@pytest.mark.parametrize("normalize", ["batch", "separate"])
def test_a_target_of_any_integers_is_taken(dtype, normalize):
    logits, target = torch.randn(4, 3), torch.tensor([0, 2, 1, 1])
    criterion = NATLoss(normalize=normalize)
    assert torch.equal(criterion(logits, target.to(dtype)), criterion(logits, target))
    assert torch.equal(Baseline()(logits, target.to(dtype)), Baseline()(logits, target))
    more = torch.randn(4, 4)
    assert torch.equal(ExtraClass()(more, target.to(dtype)), ExtraClass()(more, target))
    with pytest.raises(SparringError, match="label 3 is out of range"):
        criterion(logits, (target + 1).to(dtype))


def test_reductions():
    logits, target = torch.tensor(LOGITS, dtype=torch.float64), torch.tensor(TARGET)
    each = torch.tensor(losses(LOGITS, TARGET, 1.0, "kl"), dtype=torch.float64)
    torch.testing.assert_close(NATLoss(reduction="none")(logits, target), each)
    torch.testing.assert_close(NATLoss(reduction=None)(logits, target), each)
    torch.testing.assert_close(NATLoss(reduction="sum")(logits, target), each.sum())
    torch.testing.assert_close(NATLoss()(logits, target), each.mean())


def test_a_batch_worked_by_hand():
    """Logits (0, log 3): p = (1/4, 3/4). Positive of class 1: log 4/3. Negative: (log 2 - log 1.5) / 2 = log(4/3) / 2."""
    logits = torch.tensor([[0.0, log(3)], [0.0, log(3)]], dtype=torch.float64, requires_grad=True)
    loss = NATLoss()(logits, torch.tensor([1, -1]))
    loss.backward()
    assert loss.item() == pytest.approx((log(4 / 3) + log(4 / 3) / 2) / 2, rel=1e-12)
    expected = torch.tensor([[0.25, -0.25], [-0.25, 0.25]], dtype=torch.float64) / 2  # p - onehot and p - 1/2
    torch.testing.assert_close(logits.grad, expected)


def test_a_uniform_answer_costs_a_negative_nothing_and_a_shift_of_the_logits_changes_nothing():
    for c in (2, 7, 1000):
        assert abs(float(NATLoss()(torch.full((3, c), 5.0, dtype=torch.float64), torch.full((3,), -1)))) < 1e-12
    logits, target = torch.randn(6, 4, dtype=torch.float64), torch.tensor([0, -1, 3, -1, 2, -1])
    torch.testing.assert_close(NATLoss()(logits, target), NATLoss()(logits + 50, target))


def test_the_gan_term_and_the_criterion_are_one_function():
    logits = torch.randn(4, 5, dtype=torch.float64)
    for divergence in TO_UNIFORM:
        side = round_of(fake={"class_logits": logits}).fake
        on_fakes = NATGAN(divergence=divergence).on_fake(side)
        criterion = NATLoss(reduction="none", divergence=divergence)(logits, torch.full((4,), -1))
        assert torch.equal(on_fakes, criterion)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_single(dtype):
    logits = torch.tensor([[60.0, -60.0, 3.0], [-60.0, 60.0, 3.0]], dtype=dtype, requires_grad=True)
    loss = NATLoss(reduction="none")(logits, torch.tensor([1, -1]))
    loss.sum().backward()
    assert loss.dtype == torch.float32
    # float16 alone has log p = -inf or 0
    torch.testing.assert_close(loss, torch.tensor([120.0, (120 + 57) / 3 - log(3)]))
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("divergence", TO_UNIFORM)
def test_extreme_logits_stay_finite_in_value_and_gradient(divergence):
    logits = torch.tensor([[1e4, -1e4, 0.0], [1e4, -1e4, 0.0]], requires_grad=True)
    loss = NATLoss(divergence=divergence)(logits, torch.tensor([1, -1]))
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(logits.grad).all() and loss > 0


@pytest.mark.parametrize("divergence", TO_UNIFORM)
def test_an_impossible_class_costs_a_positive_of_another_one_nothing(divergence):
    """A logit of -inf, or one that is as far below: value and gradient are those without the class."""
    for low in (float("-inf"), -3e38):
        logits = torch.tensor([[low, 1.0, 3e38 if low == -3e38 else 2.0]], requires_grad=True)
        loss = NATLoss(divergence=divergence)(logits, torch.tensor([2]))
        loss.backward()
        p = logits.detach()[0, 1:].softmax(0)
        torch.testing.assert_close(loss.detach(), -p[1].log())
        torch.testing.assert_close(logits.grad, torch.tensor([[0.0, p[0], p[1] - 1]]))


@pytest.mark.parametrize(
    ("divergence", "value"),
    [
        ("kl", float("inf")),
        ("reverse_kl", log(2)),  # log c
        ("js", 0.5 * (0.5 * log(1 / 2 / (3 / 4)) + 0.5 * log(1 / 2 / (1 / 4))) + 0.5 * log(1 / (3 / 4))),
        ("squared_error", 0.5),
    ],
)
@pytest.mark.parametrize("row", [[3e38, -3e38], [0.0, float("-inf")]])
def test_a_negative_that_is_wholly_of_one_class(divergence, value, row):
    logits = torch.tensor([row], requires_grad=True)
    loss = NATLoss(divergence=divergence)(logits, torch.tensor([-1]))
    loss.backward()
    torch.testing.assert_close(loss.detach(), torch.tensor(value))
    torch.testing.assert_close(logits.grad, torch.tensor([[0.5, -0.5] if divergence == "kl" else [0.0, 0.0]]))


@pytest.mark.parametrize("divergence", TO_UNIFORM)
def test_what_is_no_number_stays_none(divergence):
    assert NATLoss(divergence=divergence)(torch.tensor([[float("nan"), 0.0]]), torch.tensor([-1])).isnan()


@pytest.mark.parametrize("divergence", TO_UNIFORM)
def test_of_one_class_there_is_nothing_to_learn(divergence):
    logits = torch.tensor([[3.0], [-50.0], [0.0]], requires_grad=True)
    losses = NATLoss(reduction="none", divergence=divergence)(logits, torch.tensor([0, -1, -1]))
    losses.sum().backward()
    torch.testing.assert_close(losses.detach(), torch.zeros(3), rtol=0, atol=1e-6)
    torch.testing.assert_close(logits.grad, torch.zeros(3, 1))


@pytest.mark.parametrize("normalize", ["batch", "separate"])
def test_an_empty_batch_gives_a_zero_that_can_be_differentiated(normalize):
    logits = torch.zeros(0, 3, requires_grad=True)
    loss = NATLoss(normalize=normalize)(logits, torch.zeros(0, dtype=torch.long))
    loss.backward()
    assert loss.item() == 0 and logits.grad.shape == (0, 3)


def test_pixels_are_samples():
    logits = torch.randn(2, 4, 3, 5, dtype=torch.float64)
    target = torch.randint(-1, 4, (2, 3, 5))
    flat = NATLoss()(logits.permute(0, 2, 3, 1).reshape(-1, 4), target.reshape(-1))
    torch.testing.assert_close(NATLoss()(logits, target), flat)
    assert NATLoss(reduction="none")(logits, target).shape == target.shape


def test_targets_are_left_as_they_are_and_may_be_small_integers():
    target = torch.tensor(TARGET, dtype=torch.int8)
    assert torch.equal(NATLoss()(torch.tensor(LOGITS), target), NATLoss()(torch.tensor(LOGITS), torch.tensor(TARGET)))
    assert target.tolist() == TARGET


@pytest.mark.parametrize("mix", MIXES)
@pytest.mark.parametrize("classes", [2, 10])
def test_the_gradient_is_the_entropic_open_set_losss_and_outlier_exposures(mix, classes):
    """Prior art: the values differ by the constant n_neg / N log c, the gradients not at all."""
    prior = pytest.importorskip("pytorch_ood.loss")
    generator = torch.Generator().manual_seed(5)
    start = torch.randn(5, classes, generator=generator)
    target = torch.tensor([min(y, classes - 1) for y in MIXES[mix]])
    share = float((target < 0).float().mean())

    def value_and_gradient(criterion):
        logits = start.clone().requires_grad_()
        loss = criterion(logits, target)
        loss.backward()
        return loss.detach(), logits.grad

    value, gradient = value_and_gradient(NATLoss())
    open_set, open_set_gradient = value_and_gradient(prior.EntropicOpenSetLoss())
    torch.testing.assert_close(gradient, open_set_gradient, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(value, open_set - share * log(classes))
    _, exposure_gradient = value_and_gradient(prior.OutlierExposureLoss(alpha=1.0))
    torch.testing.assert_close(gradient, exposure_gradient, rtol=1e-5, atol=1e-7)
    each = prior.OutlierExposureLoss(alpha=1.0, reduction="none")(start, target)
    negatives = (target < 0) * log(classes)
    torch.testing.assert_close(NATLoss(reduction="none")(start, target), each - negatives, rtol=1e-5, atol=1e-6)


def test_it_drops_into_a_training_loop_and_back():
    """One optimiser step on a batch with negatives lowers their largest probability and the positives' loss."""
    torch.manual_seed(3)
    model = nn.Linear(6, 4)
    images, target = torch.randn(12, 6), torch.tensor([0, 1, 2, 3, 0, 1, 2, 3, -1, -1, -1, -1])
    criterion = NATLoss()
    before = criterion(model(images), target)
    optimiser = torch.optim.SGD(model.parameters(), 0.5)
    before.backward()
    optimiser.step()
    with torch.no_grad():
        assert criterion(model(images), target) < before
    assert not criterion.state_dict() and "neg_weight=1" in repr(criterion)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"reduction": "man"}, "did you mean 'mean'"),
        ({"reduction": ""}, "unknown reduction '': choose one of mean, none, sum"),
        ({"reduction": 0}, "unknown reduction 0: choose one of mean, none, sum"),
        ({"normalize": "seperate"}, "did you mean 'separate'"),
        ({"divergence": "lk"}, "did you mean 'kl'"),
        ({"neg_weight": -1}, "from 0, got -1"),
        ({"neg_weight": float("nan")}, "got nan"),
        ({"neg_weight": None}, "got None"),
        ({"neg_weight": "1"}, "got '1'"),
    ],
)
def test_wrong_settings_are_named(arguments, words):
    with pytest.raises(SparringError, match=words):
        NATLoss(**arguments)


@pytest.mark.parametrize(
    ("logits", "target", "words"),
    [
        (torch.zeros(2, 3), torch.tensor([0, 3]), r"label 3 is out of range: logits of 3 classes allow 0 to 2"),
        (torch.zeros(2, 3), torch.tensor([0.0, 1.0]), "a target of integers"),
        (torch.zeros(2, 3), torch.tensor([True, False]), "a target of integers"),
        (torch.zeros(2, 3), torch.tensor([0, 1, 2]), r"go with a target \[2\], got \[3\]"),
        (torch.zeros(2, 3), torch.tensor([[0], [1]]), r"go with a target \[2\], got \[2, 1\]"),
        (torch.zeros(2, 0), torch.tensor([0, 0]), "at least 1 column,"),
        (torch.zeros(2, 3), [0, 1], "takes tensors, logits and target, got Tensor and list"),
        (torch.zeros(3), torch.tensor([0, 0, 0]), r"logits \[B, C\]"),
        (torch.zeros(2, 3, dtype=torch.long), torch.tensor([0, 0]), "of floats"),
    ],
)
def test_wrong_input_is_one_clear_line(logits, target, words):
    with pytest.raises(SparringError, match=words) as caught:
        NATLoss()(logits, target)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("normalize", ["batch", "separate"])
@pytest.mark.parametrize("divergence", sorted(TO_UNIFORM))
def test_a_weight_of_0_is_absent_whatever_the_negatives_logits(divergence, normalize):
    logits = torch.tensor([[1.0, 2.0], [-float("inf"), 3.0]], requires_grad=True)
    loss = NATLoss(neg_weight=0, divergence=divergence, normalize=normalize)(logits, torch.tensor([0, -1]))
    loss.backward()
    count = 2 if normalize == "batch" else 1
    assert loss.item() == pytest.approx(log(1 + exp(1)) / count, rel=1e-6)
    assert logits.grad[1].tolist() == [0, 0] and logits.grad[0, 0].item() == pytest.approx(-0.731059 / count, rel=1e-5)
