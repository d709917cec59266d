"""Errors that a user can act on: what is wrong, what was given, what is allowed, and the cure."""

import difflib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

LONGEST = 560  # characters of a message: seven lines of a terminal, whatever names and values it quotes
_END = 160  # of these: its end, which holds the cure


class SparringError(ValueError):
    """A mistake in what the user asked for. The command line prints it in one line and exits with 2.

    The message is always one line of printable characters: it may quote what a file or a name holds.
    """

    def __init__(self, message: object = ""):
        super().__init__(_in_one_line(str(message)))


def _in_one_line(text: str) -> str:
    text = " ".join(text[: 100 * LONGEST].split())  # the cut keeps a quoted novel cheap
    text = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - _END - 5]} ... {text[-_END:]}"


class NonFiniteLossError(SparringError):
    """A loss became NaN or infinite during training; the message names the term and the first bad step.

    step: how many steps were done before it, None where nobody knows.
    """

    def __init__(self, message: str, step: int | None = None):
        super().__init__(message)
        self.step = step


def is_out_of_memory(error: BaseException) -> bool:
    """Whether Python or torch, on the CPU or a GPU, could not have the memory that it asked for."""
    words = str(error) if isinstance(error, RuntimeError) else ""
    return isinstance(error, MemoryError) or "allocate memory" in words or "out of memory" in words


@contextmanager
def one_line(before: str, after: str | Callable[[Exception], str] = "") -> Iterator[None]:
    """Around code of others: whatever it raises becomes a SparringError in one line, `before` reason `after`.

    after: also a function of the error. A SparringError passes as it is. The other error stays its cause, for
    whoever reads tracebacks.
    """
    try:
        yield
    except SparringError:
        raise
    except Exception as error:
        reason = "there is not enough memory" if is_out_of_memory(error) else " ".join(str(error).split())[:160]
        reason = reason or type(error).__name__
        raise SparringError(f"{before}{reason}{after(error) if callable(after) else after}") from error


def nearest(name: str, options: Iterable[str], *, otherwise: str | None = None) -> str:
    """`did you mean 'x'?` where an option is close to `name`, else `choose one of ...`; for the end of a message.

    otherwise: what to say in the place of a list of all options, where these are too many.
    """
    options = sorted(options)
    close = difflib.get_close_matches(name, options, n=1, cutoff=0.5)
    return f"did you mean '{close[0]}'?" if close else otherwise or f"choose one of {', '.join(options)}"
