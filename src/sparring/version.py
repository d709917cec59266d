"""The versions of sparring and its dependencies, its commit, and the CPU's instruction set.

`import sparring` reads only the version from this file, so the functions import what they need themselves.
"""

from __future__ import annotations

import os
import sys

__version__ = "0.1.0"


def versions() -> dict[str, str]:
    """The versions that results may depend on, by package."""
    import platform
    from importlib.metadata import version

    found = {name: version(name) for name in ("torch", "numpy", "pydantic", "safetensors")}
    return {"sparring": __version__, "python": platform.python_version(), **found}


def commit() -> str | None:
    """The commit of the source tree that the package runs from. None if installed, even inside another source tree."""
    if _git("ls-files", "--error-unmatch", os.path.basename(__file__)) is None:
        return None
    return _git("describe", "--always", "--dirty", "--abbrev=12")


def _git(*words: str) -> str | None:
    """The output of git in the package's folder. None if it is empty or git fails."""
    import subprocess

    try:
        done = subprocess.run(
            ["git", *words], cwd=os.path.dirname(__file__), capture_output=True, text=True, timeout=5, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def instruction_set() -> str:
    """The CPU's instruction set as used by torch, such as "AVX512". The last bits of sums depend on it."""
    import torch

    limit = os.environ.get("ONEDNN_MAX_CPU_ISA") or os.environ.get("DNNL_MAX_CPU_ISA")
    return torch.backends.cpu.get_cpu_capability() + (f" (oneDNN: {limit})" if limit else "")


def bug_report() -> str:
    """All versions on one line: `sparring 0.1.0 (commit 1a2b3c), Python 3.11.2, torch 2.14.1, x86_64 with AVX2`."""
    import platform
    from importlib.metadata import version

    source = commit() or "installed"
    machine = f"{platform.system()} {platform.machine()} with {instruction_set()}"
    return f"sparring {__version__} ({source}), Python {platform.python_version()}, torch {version('torch')}, {machine}"


def hardware(threads: int | None, device: str = "cpu") -> str:
    """The hardware of a run, such as `x86_64 with AVX2, 2 threads`. device: the kind of its device."""
    import platform

    other = "" if device == "cpu" else f", {device}"
    return f"{platform.machine()} with {instruction_set()}, {threads} thread{'' if threads == 1 else 's'}{other}"


def command_line(program: str | None = None) -> str:
    """The shell command that started this process, with `program` for the script. "" in a notebook."""
    import shlex

    script, *words = sys.argv or [""]
    if program is not None:
        ranks = os.environ.get("LOCAL_WORLD_SIZE", "1")
        start = [program] if ranks == "1" else ["torchrun", "--nproc-per-node", ranks, "-m", program]
    elif not script or script.startswith("-") or "ipykernel" in script:
        return ""
    else:
        start = ["python", script] if script.endswith(".py") else [script]
    return shlex.join([*start, *words])
