"""Gradient penalties against longhand: the discriminator's gradient worked out on paper, differentiated once by autograd."""

import pytest
import torch
from torch import nn

from sparring.errors import SparringError
from sparring.objective.objective import Objective
from sparring.terms.gradient_penalty import GradientPenalty
from sparring.terms.hinge import Hinge
from sparring.terms.non_saturating import NonSaturating
from sparring.terms.r1 import R1, R2
from sparring.terms.wasserstein import Wasserstein
from sparring.testing import round_of


class Tanh(nn.Module):
    """D(x) = sum_j a_j tanh(w_j . x + b_j), whose gradient in x is sum_j a_j (1 - tanh^2) w_j."""

    def __init__(self, pixels, seed=0):
        super().__init__()
        draw = torch.Generator().manual_seed(seed)
        self.w, self.b, self.a = (
            nn.Parameter(torch.randn(*shape, generator=draw, dtype=torch.float64))
            for shape in ((3, pixels), (3,), (3,))
        )
        self.seen = []

    def forward(self, images):
        self.seen.append(images.detach().clone())
        return torch.tanh(images.flatten(1) @ self.w.t() + self.b) @ self.a

    def squared_norm(self, image):
        """||grad_x D||^2 at one image, by the formula."""
        pixels = image.flatten()
        gradient = torch.zeros_like(pixels)
        for j in range(3):
            t = torch.tanh(torch.dot(self.w[j], pixels) + self.b[j])
            gradient = gradient + self.a[j] * (1 - t * t) * self.w[j]
        return sum(g * g for g in gradient)


def batch(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def parameters_gradient(loss, module):
    return torch.autograd.grad(loss, [module.w, module.a, module.b], retain_graph=True)


def same_value_and_gradient(value, expected, module):
    torch.testing.assert_close(value, expected, rtol=1e-10, atol=1e-12)
    for got, want in zip(parameters_gradient(value, module), parameters_gradient(expected, module), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-12)
        assert want.abs().max() > 1e-3


SHAPES = pytest.mark.parametrize("shape", [(4, 1), (4, 2), (4, 2, 3, 3)], ids=str)


def pixels_of(shape):
    return batch(*shape, seed=0)[0].numel()


def interpolation_weights(seen, real, fake):
    """The eps of each pair, from the images that the discriminator saw; fails where they are not on the lines."""
    eps = ((seen - fake) / (real - fake)).flatten(1)
    torch.testing.assert_close(eps, eps[:, :1].expand_as(eps), rtol=1e-6, atol=1e-9)
    return eps[:, 0]


@SHAPES
@pytest.mark.parametrize("term", [GradientPenalty(), GradientPenalty(one_sided=True, target=0.8)], ids=["two", "one"])
def test_gradient_penalty_equals_longhand(shape, term):
    module, real, fake = Tanh(pixels_of(shape)), batch(*shape, seed=1), batch(*shape, seed=2)
    r = round_of(real={"images": real}, fake={"images": fake}, judge=lambda images, labels: module(images))
    value = term.discriminator_loss(r)
    seen = module.seen[-1]
    eps = interpolation_weights(seen, real, fake)
    assert ((eps >= 0) & (eps < 1)).all()
    assert len(set(eps.tolist())) == 4
    expected = 0
    for i in range(4):
        excess = module.squared_norm(eps[i] * real[i] + (1 - eps[i]) * fake[i]).sqrt() - term.target
        expected = expected + (excess**2 / 4 if excess > 0 or not term.one_sided else 0)
    same_value_and_gradient(value, expected, module)


def test_one_sided_and_two_sided_differ_below_the_target():
    module, real, fake = Tanh(2), batch(6, 2, seed=1), batch(6, 2, seed=2)
    values = [
        GradientPenalty(one_sided=one_sided, target=100).discriminator_loss(
            round_of(real={"images": real}, fake={"images": fake}, judge=lambda images, labels: module(images))
        )
        for one_sided in (True, False)
    ]
    assert values[0] == 0
    assert values[1] > 1000


def test_gradient_penalty_by_hand():
    # D(x) = 3 x_1 + 4 x_2 has gradient norm 5 everywhere: (5 - 1)^2 = 16
    slope = torch.tensor([3.0, 4.0], requires_grad=True)
    r = round_of(
        real={"images": torch.zeros(2, 2)},
        fake={"images": torch.ones(2, 2)},
        judge=lambda images, labels: images @ slope,
    )
    value = GradientPenalty().discriminator_loss(r)
    value.backward()
    assert value.item() == pytest.approx(16)
    assert slope.grad.tolist() == pytest.approx([8 * 3 / 5, 8 * 4 / 5])  # 2 (norm - 1) slope / norm


def test_a_flat_discriminator_has_a_finite_penalty():
    slope = torch.zeros(2, requires_grad=True)
    r = round_of(
        real={"images": torch.zeros(2, 2)},
        fake={"images": torch.ones(2, 2)},
        judge=lambda images, labels: images @ slope,
    )
    value = GradientPenalty().discriminator_loss(r)
    value.backward()
    assert value.item() == 1
    assert torch.isfinite(slope.grad).all()


def test_gradient_penalty_judges_for_the_labels_of_the_reals():
    asked = []

    def judge(images, labels):
        asked.append(labels.tolist())
        return images.sum(1)

    sides = {
        "real": {"images": torch.zeros(2, 2), "labels": torch.tensor([1, 0])},
        "fake": {"images": torch.ones(2, 2), "labels": torch.tensor([2, 2])},
    }
    GradientPenalty().discriminator_loss(round_of(**sides, judge=judge))
    assert asked[-1] == [1, 0]


def test_gradient_penalty_refuses_batches_of_two_sizes():
    r = round_of(real={"images": torch.zeros(2, 2)}, fake={"images": torch.zeros(3, 2)}, judge=lambda x, y: x.sum(1))
    with pytest.raises(SparringError, match=r"\[3, 2\] and \[2, 2\]"):
        GradientPenalty().discriminator_loss(r)


def test_gradient_penalty_does_not_read_the_judged_sides():
    assert GradientPenalty().needs("discriminator", 0) == {"real.images", "fake.images"}
    assert GradientPenalty().needs("generator", 0) == set()


@SHAPES
@pytest.mark.parametrize(("term", "name"), [(R1(), "real"), (R2(), "fake")], ids=["r1", "r2"])
def test_r1_and_r2_equal_longhand_by_hand_made_rounds(shape, term, name):
    module, images = Tanh(pixels_of(shape)), batch(*shape, seed=1).requires_grad_()
    other = {"images": torch.zeros(shape, dtype=torch.float64), "score": torch.zeros(4, dtype=torch.float64)}
    sides = {name: {"images": images, "score": module(images)}, "fake" if name == "real" else "real": other}
    value = term.discriminator_loss(round_of(**sides))
    same_value_and_gradient(value, sum(module.squared_norm(image) for image in images.detach()) / 4, module)


def test_r1_by_hand():
    # D(x) = x^2 / 2 for each pixel: the gradient is x, the mean squared norm over [[3, 4], [1, 0]] is (25 + 1) / 2
    images = torch.tensor([[3.0, 4.0], [1.0, 0.0]], requires_grad=True)
    r = round_of(real={"images": images, "score": images.square().sum(1) / 2})
    assert R1().discriminator_loss(r).item() == pytest.approx(13)


@SHAPES
@pytest.mark.parametrize("penalty", [R1(weight=0.7), R2(weight=1.5), GradientPenalty(weight=3)], ids=["r1", "r2", "gp"])
@pytest.mark.parametrize("host", [Hinge(), Wasserstein(), NonSaturating()], ids=["hinge", "wasserstein", "ns"])
def test_in_anyones_loop_the_weighted_sum_equals_longhand(shape, penalty, host):
    module, real, fake = Tanh(pixels_of(shape)), batch(*shape, seed=1), batch(*shape, seed=2)
    objective = Objective(host=host, penalty=penalty)
    d = objective.discriminator(objective.attach(module), real, fake, step=0)
    seen = module.seen[:]
    if isinstance(penalty, GradientPenalty):
        alone = next(images for images in seen if len(images) == 4)
        eps = interpolation_weights(alone, real, fake)
        points = [eps[i] * real[i] + (1 - eps[i]) * fake[i] for i in range(4)]
        expected = sum((module.squared_norm(point).sqrt() - 1) ** 2 for point in points) / 4
    else:
        expected = sum(module.squared_norm(x) for x in (real if isinstance(penalty, R1) else fake)) / 4
    scores = {"real": {"score": module(real)}, "fake": {"score": module(fake)}}
    same_value_and_gradient(d.loss, host.discriminator_loss(round_of(**scores)) + penalty.weight * expected, module)
    torch.testing.assert_close(d.logs["penalty"], expected.detach(), rtol=1e-10, atol=1e-12)


def test_r3gans_two_penalties_together_in_one_update():
    module, real, fake = Tanh(2), batch(4, 2, seed=1), batch(4, 2, seed=2)
    objective = Objective(host=NonSaturating(), r1=R1(weight=0.5), r2=R2(weight=0.25))
    loss = objective.discriminator(objective.attach(module), real, fake, step=0).loss
    scores = {"real": {"score": module(real)}, "fake": {"score": module(fake)}}
    expected = NonSaturating().discriminator_loss(round_of(**scores))
    expected = expected + 0.5 * sum(module.squared_norm(x) for x in real) / 4
    expected = expected + 0.25 * sum(module.squared_norm(x) for x in fake) / 4
    same_value_and_gradient(loss, expected, module)


def test_lazy_penalties_are_taken_at_each_nth_update_n_times_as_strong():
    objective = Objective(host=Hinge(), r1=R1(weight=0.5, every=4))
    taken = {u: [a.weight for a in objective.active("discriminator", 0, u) if a.name == "r1"] for u in range(6)}
    assert taken == {0: [2.0], 1: [], 2: [], 3: [], 4: [2.0], 5: []}


def test_each_penalty_has_its_side_judged_and_differentiated_twice():
    assert R1().needs("discriminator", 0) == {"real", "real.second_order"}
    assert R2().needs("discriminator", 0) == {"fake", "fake.second_order"}
    assert R1().needs("generator", 0) == R2().needs("generator", 0) == set()


def test_default_weights_are_the_papers():
    assert R1().weight == R2().weight == 5  # gamma = 10, halved
    assert GradientPenalty().weight == 10
