"""The Python code in docs/data.md runs as printed, and the options that it names exist."""

from __future__ import annotations

import re
from pathlib import Path

from pictures import grey, write_zip

from sparring.data.listing import SPLIT_NAMES
from sparring.data.negatives import KINDS
from sparring.recipe.gan import Data

PAGE = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")


def test_the_examples_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_zip(
        tmp_path / "pictures.zip", {f"{name}/{i}.png": grey(i, (40, 36)) for i in range(3) for name in ("a", "b")}
    )
    (example,) = re.findall(r"(?<!-->\n)```python\n(.*?)```", PAGE, re.DOTALL)  # but for those that a page marks
    names: dict[str, object] = {}
    exec(example, names)
    assert tuple(names["x"].shape) == (4, 1, 32, 32) and len(names["y"]) == 4  # type: ignore[attr-defined, arg-type]
    assert "('a', 'b')" in capsys.readouterr().out


def test_every_named_option_exists():
    options = set(re.findall(r"`data\.(\w+)", PAGE))
    assert {"split", "size", "channels", "classes", "skip_unreadable", "download", "labelled"} <= options
    assert options - {"md"} <= set(Data.model_fields)
    assert all(f"`{name}`" in PAGE for name in SPLIT_NAMES) and all(f"noise:{kind}" in PAGE for kind in KINDS)
