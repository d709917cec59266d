"""Optimisers made from recipes against torch's own, and their state by name."""

import pytest
import torch
from torch import nn

from sparring.recipe.gan import Optimizer
from sparring.run.optimizers import load_state_by_name, make_optimizer, set_learning_rate, state_by_name


def _network(seed=0, width=3):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, width, 3), nn.Flatten(), nn.Linear(width * 4, 1)).to(
        torch.float64, memory_format=torch.channels_last
    )


def _train(network, optimizer, rate, steps=3):
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        x = torch.randn(4, 1, 4, 4, generator=generator, dtype=torch.float64)
        optimizer.zero_grad()
        network(x).square().mean().backward()
        if rate is not None:
            set_learning_rate(optimizer, rate)
        optimizer.step()


@pytest.mark.parametrize(
    ("recipe", "textbook"),
    [
        ({"kind": "adam", "betas": (0.3, 0.8), "eps": 1e-3}, lambda p: torch.optim.Adam(p, 0.01, (0.3, 0.8), 1e-3)),
        ({"kind": "adamw", "weight_decay": 0.1}, lambda p: torch.optim.AdamW(p, 0.01, (0.5, 0.999), weight_decay=0.1)),
        ({"kind": "rmsprop", "momentum": 0.5}, lambda p: torch.optim.RMSprop(p, 0.01, momentum=0.5)),
        ({"kind": "sgd", "momentum": 0.9, "weight_decay": 0.1}, lambda p: torch.optim.SGD(p, 0.01, 0.9, 0, 0.1)),
    ],
)
def test_each_kind_moves_as_torchs_own_and_resumes_in_the_same_bits(recipe, textbook):
    ours, theirs, resumed = _network(), _network(), _network()
    optimizer = make_optimizer(ours, Optimizer(**recipe))
    _train(ours, optimizer, 0.01)
    _train(theirs, textbook(theirs.parameters()), None)
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-14)

    resumed.load_state_dict(ours.state_dict())
    again = make_optimizer(resumed, Optimizer(**recipe))
    assert load_state_by_name(again, resumed, state_by_name(optimizer, ours)) == []
    _train(ours, optimizer, 0.01)
    _train(resumed, again, 0.01)
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), resumed.parameters(), strict=True))


def test_state_goes_to_the_name_and_shape_that_it_belongs_to():
    old, new = _network(), _network(width=3)
    new[2] = nn.Linear(12, 2).double()  # another shape under an old name
    optimizer = make_optimizer(old, Optimizer())
    _train(old, optimizer, 0.1)
    fresh = make_optimizer(new, Optimizer())
    assert load_state_by_name(fresh, new, state_by_name(optimizer, old)) == ["2.weight", "2.bias"]
    moment = fresh.state[new[0].weight]["exp_avg"]
    assert torch.equal(moment, optimizer.state[old[0].weight]["exp_avg"])
    assert moment.stride() == new[0].weight.stride()
    assert moment.data_ptr() != optimizer.state[old[0].weight]["exp_avg"].data_ptr()


@pytest.mark.parametrize("wrong", [torch.zeros(2), torch.zeros(4, 3, dtype=torch.complex64), None, 5, {}])
@pytest.mark.parametrize("key", ["step", "exp_avg"])
def test_state_of_another_type_or_shape_finds_no_place(key, wrong):
    network = _network()
    optimizer = make_optimizer(network, Optimizer())
    _train(network, optimizer, 0.1)
    state = state_by_name(optimizer, network)
    name = next(iter(state))
    state[name][key] = wrong
    again = make_optimizer(network, Optimizer())
    assert load_state_by_name(again, network, state) == [name]
    _train(network, again, 0.1)


def test_another_kind_of_optimiser_starts_afresh():
    network = _network()
    adam = make_optimizer(network, Optimizer())
    _train(network, adam, 0.1)
    state = state_by_name(adam, network)
    for kind in ("rmsprop", "sgd"):
        other = make_optimizer(network, Optimizer(kind=kind))
        assert load_state_by_name(other, network, state) == list(state)
        _train(network, other, 0.01)  # and works
