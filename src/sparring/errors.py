"""Errors that a user can fix. A message says what is wrong, and what is allowed or what to do."""

import difflib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

LONGEST = 560  # characters of a message: seven lines of a terminal, however long the names and values it quotes
_END = 160  # characters kept from the end of a cut message, which says what to do


class SparringError(ValueError):
    """A mistake in what the user asked for. The command line prints it on one line and exits with code 2.

    The message is always one line of printable characters, even if it quotes a file or a name.
    """

    def __init__(self, message: object = ""):
        super().__init__(_in_one_line(str(message)))


def _in_one_line(text: str) -> str:
    text = " ".join(text[: 100 * LONGEST].split())  # cut first, so that a long quote costs nothing
    text = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - _END - 5]} ... {text[-_END:]}"


class NonFiniteLossError(SparringError):
    """A loss became NaN or infinite during training. The message names the term and the first bad step.

    `step` is the number of steps completed before it, or None if unknown.
    """

    def __init__(self, message: str, step: int | None = None):
        super().__init__(message)
        self.step = step


def is_out_of_memory(error: BaseException) -> bool:
    """Whether Python or torch failed to allocate memory, on the CPU or a GPU."""
    words = str(error) if isinstance(error, RuntimeError) else ""
    return isinstance(error, MemoryError) or "allocate memory" in words or "out of memory" in words


@contextmanager
def one_line(before: str, after: str | Callable[[Exception], str] = "") -> Iterator[None]:
    """Turn any error of the enclosed code into a one-line SparringError: `before`, the reason, `after`.

    `after` may be a function of the error. A SparringError passes unchanged. Any other error becomes the cause of the new
    one, so that tracebacks show it.
    """
    try:
        yield
    except SparringError:
        raise
    except Exception as error:
        reason = "not enough memory" if is_out_of_memory(error) else " ".join(str(error).split())[:160]
        reason = reason or type(error).__name__
        raise SparringError(f"{before}{reason}{after(error) if callable(after) else after}") from error


@contextmanager
def needs(what: str, extra: str) -> Iterator[None]:
    """Within the block, an import that fails raises a SparringError: what needs what, and the extra that brings it."""
    try:
        yield
    except ImportError:
        raise SparringError(f"{what}: pip install 'sparring[{extra}]'") from None


def nearest(name: str, options: Iterable[str], *, otherwise: str | None = None) -> str:
    """The end of a message: `did you mean 'x'?` if an option is close to `name`, else `choose one of ...`.

    `otherwise` replaces the list of all options when that is too long.
    """
    options = sorted(options)
    close = difflib.get_close_matches(name, options, n=1, cutoff=0.5)
    return f"did you mean '{close[0]}'?" if close else otherwise or f"choose one of {', '.join(options)}"
