"""How a run of either kind begins (consent, folder, lock, recipe), and what it leaves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic

import torch

from sparring.errors import SparringError
from sparring.files import one_line_for_disk_errors, read_rows
from sparring.messages import Note, no_note
from sparring.recipe.base import R
from sparring.recipe.files import COMMANDS
from sparring.run.alive import end_recorded
from sparring.run.folder import check_folder, choose_folder, is_run, resolved
from sparring.run.lock import only_writer
from sparring.run.numerics import numerics
from sparring.run.process import process_as_before
from sparring.run.runtime import Runtime
from sparring.run.status import status
from sparring.trust import CodeNotAllowedError, consenting


@dataclass(frozen=True)
class Session(Generic[R]):
    """What a run is trained with. note: takes lines for people, and does nothing on ranks other than the main one."""

    recipe: R
    folder: Path
    runtime: Runtime
    note: Note


@contextmanager
def run_session(
    kind: type[R],
    source: Any,
    overrides: Iterable[str] | Mapping[str, Any],
    *,
    sources: Mapping[str, str],
    out: str | Path | None,
    resume: bool,
    device: str | None,
    note: Note,
    allow_code: bool,
) -> Iterator[Session[R]]:
    """Within this context, this process and its other ranks are the only writers of the run's folder.

    kind: the recipe's class; its `load` receives source, overrides, sources and allow_code. At the end, the global random
        generators, the number of threads and torch's settings are restored.

    Raises SparringError if the folder or the recipe does not fit.
    """
    verb, overrides = COMMANDS[kind.trains], overrides if isinstance(overrides, Mapping) else list(overrides)

    def load() -> R:
        try:
            return kind.load(source, overrides, sources=sources, allow_code=allow_code)
        except CodeNotAllowedError as error:
            if not resume:
                raise
            raise error.or_else(
                f"or continue it with your own recipe that started it: sparring {verb} RECIPE --resume --out {source}"
            ) from None

    recipe = load()
    cure = "existing checkpoints are intact: fix this and continue with --resume"
    precision: Any = getattr(recipe, "precision", "float32")
    computing = numerics(  # before anything that starts CUDA
        precision, deterministic=recipe.deterministic, fixed_shapes=kind.trains == "GAN", device=device
    )
    with computing, process_as_before(), one_line_for_disk_errors(cure), ExitStack() as until_the_end:
        runtime = Runtime.start(device, precision)
        folder = choose_folder(recipe.name, source, out, resume=resume)
        with runtime.together():
            if runtime.is_main:  # the ranks are one writer
                until_the_end.enter_context(only_writer(folder, work="recipe.json"))
        with runtime.together():
            note_on_main = note if runtime.is_main else no_note
            check_folder(folder, resume=resume, kind=kind.trains, note=note_on_main)
            if is_run(source):  # it may have changed before it was locked
                recipe = load()
            recipe = resolved(recipe, folder)
        until_the_end.enter_context(consenting(allow_code, code=recipe.code))
        assert recipe.threads is not None
        torch.set_num_threads(recipe.threads)
        with end_recorded(folder):
            yield Session(recipe, folder, runtime, note_on_main)


class BaseRun(Generic[R]):
    """A run that has ended or been interrupted: its folder, its recipe, its log.

    code: what this process was allowed to import for its recipe; the run's files may name it without asking.
    """

    kind: ClassVar[Any]  # the class of its recipe

    def __init__(self, folder: str | Path, *, code: Any = ()):
        self.folder, self.code = Path(folder), code

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.folder)!r})"

    def _repr_html_(self) -> str | None:
        """For notebooks: how the run is doing, and its latest samples if it draws any. None if it has been removed."""
        from sparring.report.samples import data_url
        from sparring.run.status_words import as_html

        try:
            found = status(self.folder)
        except SparringError:
            return None
        pictures = sorted(self.folder.glob("samples/step-*.png"), key=lambda path: int(path.stem.removeprefix("step-")))
        return as_html(found, data_url(pictures[-1]) if pictures else None)

    def __fspath__(self) -> str:
        return str(self.folder)

    @property
    def recipe(self) -> R:
        with consenting(False, self):
            return self.kind.load(self.folder)

    @property
    def log(self) -> list[dict[str, Any]]:
        """The rows of log.jsonl."""
        return read_rows(self.folder / "log.jsonl")
