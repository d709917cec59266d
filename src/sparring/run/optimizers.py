"""Optimisers, with their state kept by parameter name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from sparring.recipe.gan import Optimizer


def make_optimizer(network: nn.Module, recipe: Optimizer) -> torch.optim.Optimizer:
    """Make the recipe's optimiser for all parameters of a network, with torch's fused kernel if there is one."""
    parameters: list[Tensor] = list(network.parameters())
    common: dict[str, Any] = {"lr": 0.0, "weight_decay": recipe.weight_decay}  # the rate is set before each step
    if recipe.kind in ("adam", "adamw"):
        make = torch.optim.Adam if recipe.kind == "adam" else torch.optim.AdamW
        fused = all(p.device.type in ("cpu", "cuda") for p in parameters)
        return make(parameters, betas=recipe.betas, eps=recipe.eps, fused=fused, **common)
    if recipe.kind == "rmsprop":
        return torch.optim.RMSprop(parameters, eps=recipe.eps, momentum=recipe.momentum, foreach=True, **common)
    return torch.optim.SGD(parameters, momentum=recipe.momentum, foreach=True, **common)


def _keys_of(optimizer: torch.optim.Optimizer) -> set[str]:
    """The keys of this optimiser's state of one parameter."""
    if isinstance(optimizer, torch.optim.Adam):  # AdamW is a subclass
        return {"step", "exp_avg", "exp_avg_sq"}
    momentum = {"momentum_buffer"} if optimizer.param_groups[0]["momentum"] else set()
    return momentum | ({"step", "square_avg"} if isinstance(optimizer, torch.optim.RMSprop) else set())


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


def state_by_name(optimizer: torch.optim.Optimizer, network: nn.Module) -> dict[str, dict[str, Any]]:
    """The optimiser's state, such as Adam's moments, by parameter name."""
    return {name: dict(optimizer.state[p]) for name, p in network.named_parameters() if p in optimizer.state}


def load_state_by_name(
    optimizer: torch.optim.Optimizer, network: nn.Module, state: dict[str, dict[str, Any]]
) -> list[str]:
    """Load the state of each parameter whose name and shape the network still has.

    Returns the names whose state was not used: all of them if another kind of optimiser saved it.
    """
    wanted = _keys_of(optimizer)
    parameters = dict(network.named_parameters())
    fused = bool(optimizer.param_groups[0].get("fused"))
    left = []
    for name, values in state.items():
        parameter = parameters.get(name)
        if parameter is not None and not parameter.requires_grad:
            continue  # it is frozen
        if parameter is None or set(values) != wanted or not all(_fits(*item, parameter) for item in values.items()):
            left.append(name)
            continue
        optimizer.state[parameter] = {key: _placed(value, parameter, fused) for key, value in values.items()}
    return left


def _fits(key: str, value: Any, parameter: Tensor) -> bool:
    """Whether a value of the state fits: floats of the parameter's shape, or a scalar count of steps."""
    shape = torch.Size() if key == "step" else parameter.shape
    return isinstance(value, Tensor) and value.is_floating_point() and value.shape == shape


def _placed(value: Tensor, parameter: Tensor, fused: bool) -> Tensor:
    """A copy on the parameter's device and in its memory format; counters stay on the CPU unless fused."""
    if not value.ndim:
        return value.to(parameter.device if fused else "cpu", copy=True)
    return torch.empty_like(parameter, dtype=value.dtype).copy_(value)
