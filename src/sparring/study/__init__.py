"""Studies: rows of recipes over seeds, run anywhere, and tables that can be believed.

`sparring.study(...)` runs one, see `sparring.study.engine.run`; the folder's modules are its parts.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Study(ModuleType):
    """This package, which can be called: `sparring.study` is both."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        from sparring.study.engine import run

        return run(*arguments, **options)


sys.modules[__name__].__class__ = _Study
