"""A discriminator under the microscope: `sparring diagnose RUN`, and what it measures as functions of plain tensors.

    found = sparring.diagnose("runs/first", "runs/second", only=["gradients", "robustness"])
    found.numbers["robustness"]["first"]["attacks"], found.report

The measurements stand in files of their own (`gradients`, `robustness`, `spectrum`, `neighbours`, `realistic`) and take a
`Subject`, any discriminator of this library with its adversarial loss; `sections` draws them, `report` puts them together.
"""

from __future__ import annotations

import sys
import types
from typing import Any


class _Package(types.ModuleType):
    """`sparring.diagnose` is this package and the function of its name, whichever was imported first."""

    def __call__(self, *runs: Any, **options: Any) -> Any:
        from sparring.diagnose.report import diagnose

        return diagnose(*runs, **options)


sys.modules[__name__].__class__ = _Package
