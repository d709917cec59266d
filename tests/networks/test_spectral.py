"""Spectral normalisation against torch's own and against longhand formulas, in float64."""

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm as torch_spectral_norm

from sparring.networks.frozen import frozen
from sparring.networks.spectral import SpectralNorm, _inner_product, held, normalised_layers, spectral_norm

LAYERS = {
    "linear": (lambda: nn.Linear(5, 4), (3, 5)),
    "conv": (lambda: nn.Conv2d(2, 4, 3, padding=1), (3, 2, 5, 5)),
    "transposed": (lambda: nn.ConvTranspose2d(3, 2, 4, 2, padding=1), (3, 3, 4, 4)),
}


def double(layer: nn.Module) -> nn.Module:
    return layer.to(torch.float64)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def far_from_converged(make, scale: float = 1.0, kind="exact") -> nn.Module:
    """A normalised layer whose u and v are random, so that a wrong iteration shows."""
    torch.manual_seed(0)
    layer = double(make())
    with torch.no_grad():
        layer.weight.mul_(scale)
    spectral_norm(layer, kind)
    norm = layer.parametrizations.weight[0]
    with torch.no_grad():
        norm.u.copy_(nn.functional.normalize(random(*norm.u.shape, seed=1), dim=0))
        norm.v.copy_(nn.functional.normalize(random(*norm.v.shape, seed=2), dim=0))
    return layer


def torchs(make, ours: nn.Module) -> nn.Module:
    """Torch's normalisation of the same layer, at our u and v: in evaluation, as torch iterates u first and the paper v."""
    layer = torch_spectral_norm(double(make()))
    with torch.no_grad():
        raw(layer).copy_(raw(ours))
        layer.bias.copy_(ours.bias)
        layer.parametrizations.weight[0]._u.copy_(ours.parametrizations.weight[0].u)
        layer.parametrizations.weight[0]._v.copy_(ours.parametrizations.weight[0].v)
    return layer.eval()


def iterated(layer: nn.Module, u: Tensor) -> tuple[Tensor, Tensor]:
    """One power iteration by hand on the matrix [outputs, the rest]."""
    weight = raw(layer).detach()
    matrix = (weight.transpose(0, 1) if isinstance(layer, nn.ConvTranspose2d) else weight).flatten(1)
    v = matrix.t() @ u
    v = v / v.norm()
    return (matrix @ v) / (matrix @ v).norm(), v


def raw(layer: nn.Module) -> nn.Parameter:
    return layer.parametrizations.weight.original


def penalised(layer: nn.Module, x: Tensor) -> Tensor:
    """A loss with a gradient penalty in it, so that second derivatives pass the normalised weight."""
    x = x.clone().requires_grad_()
    y = layer(x).tanh().square().sum()
    (gradient,) = torch.autograd.grad(y, x, create_graph=True)
    return y + gradient.square().sum()


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("managed", [True, False])
def test_equals_torch_in_value_and_gradient(name, managed):
    make, shape = LAYERS[name]
    ours, x = far_from_converged(make), random(*shape, seed=3)
    norm = ours.parametrizations.weight[0]
    u, v = iterated(ours, norm.u.clone())
    if managed:
        with held(ours, iterate=True):
            loss = penalised(ours, x)
        loss.backward()
    else:
        loss = penalised(ours, x)
        loss.backward()
    torch.testing.assert_close(norm.u, u, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(norm.v, v, rtol=1e-12, atol=1e-14)
    theirs = torchs(make, ours)
    reference = penalised(theirs, x)
    reference.backward()
    torch.testing.assert_close(loss, reference, rtol=1e-12, atol=0)
    torch.testing.assert_close(raw(ours).grad, raw(theirs).grad, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(ours.bias.grad, theirs.bias.grad, rtol=1e-10, atol=1e-12)
    assert raw(ours).grad.abs().max() > 1e-3


@pytest.mark.parametrize("passes", ["as the weight", "against it"])
@pytest.mark.parametrize("managed", [True, False])
@pytest.mark.parametrize("kind", ["exact", "clamp"])
@pytest.mark.parametrize("name", ["conv", "transposed"])
def test_channels_last_changes_nothing(name, kind, managed, passes):
    """The same numbers from a weight whose channels are innermost, gradients in that order in memory or not."""
    make, shape = LAYERS[name]
    found = []
    for memory in (torch.contiguous_format, torch.channels_last):
        layer = far_from_converged(make, scale=2.0, kind=kind).to(memory_format=memory)
        assert raw(layer).is_contiguous(memory_format=memory)
        norm, x = layer.parametrizations.weight[0], random(*shape, seed=3)
        for _ in range(2):
            if managed:
                with held(layer, iterate=True):
                    loss = penalised(layer, x)
                    if passes == "against it":
                        loss = loss + (layer.weight.contiguous() * random(*raw(layer).shape, seed=4)).square().sum()
            else:
                loss = penalised(layer, x)
            loss.backward()
        found.append([norm.u, norm.v, raw(layer).grad, loss])
    for plain, other in zip(*found, strict=True):
        torch.testing.assert_close(other, plain, rtol=1e-12, atol=1e-13)
    assert found[0][2].abs().max() > 1e-2


def test_an_embedding_is_divided_by_its_largest_singular_value():
    torch.manual_seed(0)
    table = spectral_norm(double(nn.Embedding(4, 3)))
    for _ in range(200):
        with held(table, iterate=True):
            pass
    largest = torch.linalg.svdvals(raw(table))[0]
    torch.testing.assert_close(table(torch.tensor([2]))[0], (raw(table) / largest)[2])


def test_the_first_use_of_power_iteration_is_v_then_u():
    layer = spectral_norm(double(nn.Linear(2, 2, bias=False)))
    norm = layer.parametrizations.weight[0]
    with torch.no_grad():
        raw(layer).copy_(torch.tensor([[2.0, 0.0], [0.0, 1.0]]))
        norm.u.copy_(torch.tensor([0.6, 0.8]))
    with held(layer, iterate=True):
        # W^T u = (1.2, .8); W v ~ (2.4, .8) ~ (3, 1); sigma = (3, 1) / sqrt(10) . W (3, 2) / sqrt(13) = 20 / sqrt(130)
        torch.testing.assert_close(layer.weight, raw(layer) * 130**0.5 / 20)
    torch.testing.assert_close(norm.v, torch.tensor([3.0, 2.0], dtype=torch.float64) / 13**0.5)
    torch.testing.assert_close(norm.u, torch.tensor([3.0, 1.0], dtype=torch.float64) / 10**0.5)


@pytest.mark.parametrize("managed", [True, False])
@pytest.mark.parametrize("scale", [0.05, 20.0])
def test_clamp_divides_only_above_one(scale, managed):
    ours = far_from_converged(LAYERS["conv"][0], scale=scale, kind="clamp")
    norm, x = ours.parametrizations.weight[0], random(3, 2, 5, 5, seed=3)
    if managed:
        with held(ours, iterate=True):
            loss = penalised(ours, x)
    else:
        loss = penalised(ours, x)
    loss.backward()
    weight = raw(ours).detach().clone().requires_grad_()
    sigma = (torch.outer(norm.u, norm.v) * weight.flatten(1)).sum()
    assert (sigma > 1) == (scale > 1)

    class Longhand(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.conv2d(x, weight / sigma if scale > 1 else weight, ours.bias, padding=1)

    reference = penalised(Longhand(), x)
    torch.testing.assert_close(loss, reference)
    (gradient,) = torch.autograd.grad(reference, weight)
    torch.testing.assert_close(raw(ours).grad, gradient, rtol=1e-10, atol=1e-12)


def test_several_backwards_add_up_to_one():
    """Micro-batches, and a second loss on the same held weight, give the gradient of the sum."""
    together = far_from_converged(LAYERS["conv"][0])
    apart = copy.deepcopy(together)
    x = random(4, 2, 5, 5, seed=3)
    with held(together, iterate=True):
        (penalised(together, x[:2]) + penalised(together, x[2:]) + together(x).sum()).backward()
    with held(apart, iterate=True):
        penalised(apart, x[:2]).backward()
        penalised(apart, x[2:]).backward()
        last = apart(x).sum()
    last.backward()  # after the block
    torch.testing.assert_close(raw(apart).grad, raw(together).grad, rtol=1e-12, atol=1e-12)


def test_a_gradient_that_is_there_already_is_added_to():
    layer = far_from_converged(LAYERS["linear"][0])
    x = random(3, 5, seed=3)
    with held(layer, iterate=True):
        layer(x).square().sum().backward()
        once = raw(layer).grad.clone()
        raw(layer).grad = torch.ones_like(once)
        layer(x).square().sum().backward()
    torch.testing.assert_close(raw(layer).grad, once + 1)


def test_one_power_iteration_per_held_block_however_many_passes():
    layer, x = far_from_converged(LAYERS["linear"][0]), random(3, 5, seed=3)
    norm = layer.parametrizations.weight[0]
    u, v = iterated(layer, norm.u.clone())
    with held(layer, iterate=True):
        for _ in range(3):
            layer(x)
    torch.testing.assert_close(norm.u, u)
    torch.testing.assert_close(norm.v, v)


def test_an_inner_block_shares_the_outer_ones_weight():
    layer = far_from_converged(LAYERS["linear"][0])
    x = random(3, 5, seed=3)
    with held(layer, iterate=True):
        outer, vectors = layer.weight, layer.parametrizations.weight[0].u.clone()
        with held(layer, iterate=True):
            assert layer.weight is outer
        assert layer.weight is outer
        assert torch.equal(layer.parametrizations.weight[0].u, vectors)
        layer(x).sum().backward()
    assert layer.weight is not outer
    assert raw(layer).grad.abs().sum() > 0


@pytest.mark.parametrize("block", ["held", "frozen", "evaluation", "no_grad"])
def test_watching_changes_no_buffer(block):
    layer = far_from_converged(LAYERS["conv"][0])
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    x = random(3, 2, 5, 5, seed=3).requires_grad_()
    if block == "held":
        with held(layer, iterate=False):
            layer(x).sum().backward()
    elif block == "frozen":
        with frozen(layer), held(layer, iterate=False):
            layer(x).sum().backward()
        assert raw(layer).grad is None
        with frozen(layer):
            layer(x)
    elif block == "evaluation":
        layer.eval()
        layer(x).sum().backward()
    else:
        with torch.no_grad():
            layer(x)
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())
    if block != "no_grad":
        assert x.grad is not None


def test_passes_outside_a_block_each_take_an_iteration_and_can_all_be_differentiated():
    layer, x = far_from_converged(LAYERS["linear"][0]), random(3, 5, seed=3)
    first = iterated(layer, layer.parametrizations.weight[0].u.clone())
    second = iterated(layer, first[0])
    (layer(x).square().sum() + layer(2 * x).tanh().sum()).backward()

    weight = raw(layer).detach().clone().requires_grad_()
    once, twice = ((x * s) @ (weight / (u @ weight @ v)).t() + layer.bias for s, (u, v) in ((1, first), (2, second)))
    (gradient,) = torch.autograd.grad(once.square().sum() + twice.tanh().sum(), weight)
    torch.testing.assert_close(raw(layer).grad, gradient, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(layer.parametrizations.weight[0].u, second[0])


def test_copies_and_saved_states_go_on_alike():
    layer = far_from_converged(LAYERS["conv"][0])
    other = spectral_norm(double(LAYERS["conv"][0]()))
    other.load_state_dict(layer.state_dict())
    copied = copy.deepcopy(layer)
    x = random(3, 2, 5, 5, seed=3)
    results = []
    for one in (layer, other, copied):
        with held(one, iterate=True):
            one(x).square().sum().backward()
        results.append((raw(one).grad, *one.buffers()))
    for result in results[1:]:
        for value, expected in zip(result, results[0], strict=True):
            assert torch.equal(value, expected)
    with torch.no_grad():
        raw(copied).add_(1)
    assert not torch.equal(raw(copied), raw(layer))


def test_none_leaves_the_layer_alone_and_every_normalised_layer_is_found():
    plain = nn.Linear(2, 2)
    assert spectral_norm(plain, "none") is plain
    assert not hasattr(plain, "parametrizations")
    network = nn.Sequential(
        plain, spectral_norm(nn.Linear(2, 2)), nn.Sequential(spectral_norm(nn.Linear(2, 3), "clamp"))
    )
    found = [(norm.clamp, weight.shape) for norm, weight in normalised_layers(network)]
    assert found == [(False, (2, 2)), (True, (3, 2))]
    assert all(isinstance(norm, SpectralNorm) for norm, _ in normalised_layers(network))


def test_an_inner_product_does_not_depend_on_how_its_two_lie_in_memory():
    a, b = random(3, 2, 4, 4), random(3, 2, 4, 4, seed=1)
    expected = sum(float(x) * float(y) for x, y in zip(a.flatten(), b.flatten(), strict=True))
    for one in (a, a.to(memory_format=torch.channels_last)):
        for other in (b, b.to(memory_format=torch.channels_last)):
            assert _inner_product(one, other).item() == pytest.approx(expected, rel=1e-12)
