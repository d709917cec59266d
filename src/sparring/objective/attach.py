"""Any discriminator, wrapped so that the terms can read it."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from sparring.errors import SparringError, nearest
from sparring.networks.contract import class_name, shape_of, users_code
from sparring.networks.discriminator import Activations, Discriminator, Head
from sparring.networks.faulty_convolution import strided_1x1_refused


def samples_see_each_other(module: nn.Module) -> bool:
    """Whether the samples of a batch see each other: the module's `couples_batch`, or whether it contains batch norm."""
    declared = getattr(module, "couples_batch", None)
    return any(isinstance(m, _BatchNorm) for m in module.modules()) if declared is None else bool(declared)


class Attached(nn.Module):
    """A discriminator whose blocks and heads are recorded by forward hooks; `Objective.attach` makes it."""

    def __init__(
        self,
        module: nn.Module,
        *,
        asked: Mapping[str, Head],
        blocks: list[str] | tuple[str, ...] = (),
        heads: Mapping[str, str] | None = None,
        couples_batch: bool | None = None,
        num_classes: int = 0,
    ):
        super().__init__()
        if not isinstance(module, nn.Module):
            raise SparringError(f"a discriminator is a torch.nn.Module, got {type(module).__name__}")
        self.module = module
        self.updates = 0
        self.num_classes = num_classes or getattr(module, "num_classes", 0)
        self.couples_batch = samples_see_each_other(module) if couples_batch is None else couples_batch
        self.takes_labels = _takes_labels(module)
        self.uses_labels = getattr(module, "uses_labels", self.takes_labels)
        self._asked = dict(asked)
        self._caught: dict[str, Tensor] = {}
        self._tried = False
        self._blocks, self._heads = tuple(blocks), dict(heads or {})
        self.gives_features = isinstance(module, Discriminator) or "features" in self._heads
        for path in {*self._blocks, *self._heads.values()}:
            _submodule(module, path).register_forward_hook(self._catch(path))

    def _catch(self, path: str) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
            self._caught[path] = output

        return hook

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Any:
        return self.module(images, labels) if self.takes_labels else self.module(images)

    def extract(self, images: Tensor, labels: Tensor | None) -> Activations:
        if isinstance(self.module, Discriminator):
            return self.module.extract(images, labels)
        self._caught.clear()
        first = strided_1x1_refused("this discriminator", _warn) if not self._tried else nullcontext()
        who = f"discriminator {class_name(self.module)} on images {shape_of(images)}"
        must = "it takes labels: pass labels= and fake_labels=" if self.takes_labels and labels is None else ""
        with first, users_code(who, images, must, labels):
            output = self(images, labels)
        self._tried = True
        outputs = dict(output) if isinstance(output, Mapping) else {"score": output}
        outputs |= {name: self._caught[path] for name, path in self._heads.items()}
        for name, value in outputs.items():
            outputs[name] = _one_row_per_sample(name, value, len(images))
        self.gives_features |= "features" in outputs
        blocks = [self._caught[path] for path in self._blocks]
        self._caught.clear()
        return Activations(features=outputs.get("features", images), blocks=blocks, outputs=outputs)

    def read(self, head: str, activations: Activations, labels: Tensor | None) -> Tensor:
        if isinstance(self.module, Discriminator):
            return self.module.read(head, activations, labels)
        if head not in activations.outputs:
            heads = ", ".join(sorted(activations.outputs))
            raise SparringError(
                f"this discriminator returns no head '{head}', only {heads}: return a dict of heads, or name "
                f"the submodule: objective.attach(..., heads={{'{head}': 'path.of.submodule'}})"
            )
        return activations.outputs[head]


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=2)


def _takes_labels(module: nn.Module) -> bool:
    parameters = [
        p
        for p in inspect.signature(module.forward).parameters.values()
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    return len(parameters) > 1 and parameters[1].name in ("labels", "label", "y", "classes", "c")


def _submodule(module: nn.Module, path: str) -> nn.Module:
    try:
        return module.get_submodule(path)
    except AttributeError:
        names = [name for name, _ in module.named_modules() if name]
        raise SparringError(f"the discriminator has no submodule '{path}': {nearest(path, names)}") from None


def _one_row_per_sample(name: str, output: Tensor, rows: int) -> Tensor:
    if not isinstance(output, Tensor) or output.shape[:1] != (rows,):
        shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise SparringError(f"the discriminator's '{name}' should have one row per image ({rows}), got {shape}")
    if name == "score":
        if output.numel() != rows:
            raise SparringError(f"the discriminator's score should be one number per image, got {tuple(output.shape)}")
        return output.reshape(rows)
    return output
