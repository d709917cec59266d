"""Runs the tutorials as a reader would: `scripts/docs --run`. Each page in an empty folder, from a wheel of the package.

A page's `bash` blocks run in a shell and its `python` blocks in one program, in order. A block after "Save this as `FILE`:"
is saved under that name, and run too if it is Python.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from stage import DOCS, ROOT, entries_of

sys.path.insert(0, str(ROOT / "tests"))

from docs_blocks import blocks, saved_as


def tutorials() -> list[Path]:
    """The pages that docs/index.md lists as tutorials."""
    section = re.search(r"^## Tutorials\n(.*?)(?=^## )", (DOCS / "index.md").read_text("utf-8"), re.S | re.M)
    return [DOCS / entry for entry in entries_of(section[1] if section else "")]


def run_page(page: Path) -> None:
    """Run a page's blocks in the current folder. Raises for the first that fails."""
    names: dict[str, object] = {"__name__": page.stem}
    for block in blocks(page):
        if block.fragment:
            continue
        print(f"-- {block}", flush=True)
        if file := saved_as(block):
            Path(file).write_text(block.text, "utf-8")
        if block.language == "bash":
            subprocess.run(["bash", "-euo", "pipefail", "-c", block.text], check=True)
        elif block.language == "python":
            exec(compile(block.text, str(block), "exec"), names)


def main(wanted: list[str]) -> int:
    """Build a wheel, and run every tutorial, or those wanted by name, from it in a process. Returns how many failed."""
    failed = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        package = install(folder)
        for page in [page for page in tutorials() if not wanted or page.stem in wanted]:
            start = time.monotonic()
            (folder / page.stem).mkdir()
            words = [sys.executable, __file__, "page", str(page)]
            done = subprocess.run(words, cwd=folder / page.stem, env=package, check=False)
            failed += done.returncode != 0
            said = "FAILED" if done.returncode else "ran"
            print(f"== {page.relative_to(ROOT)} {said} in {time.monotonic() - start:.0f} s", flush=True)
    return failed


def install(folder: Path) -> dict[str, str]:
    """Put a wheel's content into a folder, with the command `sparring`. Returns the environment in which both are found."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "wheel", str(ROOT), "--no-deps", "--no-build-isolation", "-w", str(folder)], check=True)
    (wheel,) = folder.glob("sparring-*.whl")
    subprocess.run([*pip, "install", str(wheel), "--no-deps", "--target", str(folder / "package")], check=True)
    paths = [str(folder / "package" / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]
    return os.environ | {"PYTHONPATH": str(folder / "package"), "PATH": os.pathsep.join(paths)}


if __name__ == "__main__":
    if sys.argv[1:2] == ["page"]:
        import sparring

        print(f"from {Path(sparring.__file__).parent}")
        sys.path.insert(0, "")
        run_page(Path(sys.argv[2]))
    else:
        sys.exit(main(sys.argv[1:]))
