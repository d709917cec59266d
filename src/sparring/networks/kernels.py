"""Which layers compute in their fast form: a table by the instruction set of the CPU. Both forms are equal to rounding.

No timing decides the bits of a run. The table rests on `sparring bench kernels` and is changed by commits alone. A run
records its row in recipe.json and continues with that row on any machine. `fused: false` in a recipe's network keeps all of
its layers plain.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from pydantic import BaseModel, ValidationError

from sparring.errors import SparringError


class Kernels(BaseModel, frozen=True, extra="forbid"):
    """Whether each kind of layer computes in its fast form.

    resampling   doubling or halving and a 3x3 convolution as one (`resampling.py`)
    winograd     minimal filtering of 3x3 convolutions, on CPUs, from this side and this number of channels on
                 (`winograd.py`); None: never
    image_conv   the convolution to a few channels as a matrix product (`image_conv.py`)
    batch_norm   the second derivative of batch norm in closed form (`second_order.py`)
    """

    resampling: bool = True
    winograd: tuple[int, int] | None = (8, 128)  # smaller ones take longer to transform than they save
    image_conv: bool = True
    batch_norm: bool = True


PLAIN = Kernels(resampling=False, winograd=None, image_conv=False, batch_norm=False)
TABLE = {"AVX512": Kernels(), "AVX2": Kernels()}  # by torch's name of the instruction set
OTHER = Kernels()

_using: list[Kernels] = []


def current() -> Kernels:
    """The row in use: that of the innermost `using`, else this CPU's."""
    return _using[-1] if _using else TABLE.get(torch.backends.cpu.get_cpu_capability(), OTHER)


def recorded(facts: Mapping[str, Any]) -> Kernels:
    """The row in the facts of a run's recipe.json; runs of versions that recorded none used the default row.

    Raises SparringError if it is damaged.
    """
    try:
        return Kernels.model_validate(facts.get("kernels") or {})
    except ValidationError:
        raise SparringError(
            "recipe.json is damaged: its kernels are not a row of the table, such as " + Kernels().model_dump_json()
        ) from None


@contextmanager
def using(kernels: Kernels) -> Iterator[None]:
    """Within this context, layers compute as this row says."""
    _using.append(kernels)
    try:
        yield
    finally:
        _using.pop()
