"""A recipe as YAML with a comment after each value that has a reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml


def as_yaml(values: Mapping[str, Any], why: Mapping[str, str], head: list[str]) -> str:
    """values as YAML, one key a line, with reasons by dotted key as comments. head: comment lines above."""
    return "\n".join([*(f"# {line}" for line in head), *_lines(values, why, "", "")]) + "\n"


def _lines(values: Mapping[str, Any], why: Mapping[str, str], before: str, indent: str) -> Iterator[str]:
    for key, value in values.items():
        remark = f"  # {why[before + key]}" if before + key in why else ""
        if isinstance(value, Mapping) and value:
            yield f"{indent}{key}:{remark}"
            yield from _lines(value, why, f"{before}{key}.", f"{indent}  ")
        else:
            text = yaml.safe_dump(value, default_flow_style=True, width=float("inf")).removesuffix("\n...\n").strip()
            yield f"{indent}{key}: {text}{remark}"
