"""The outcome of a command or function within limits, and whether it is a fault."""

from __future__ import annotations

import contextlib
import io
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from bounded import bounded

LONGEST = 600  # characters of a message


@dataclass
class Outcome:
    """The outcome of a command or function. `wrong` says why it is a fault, or is ""."""

    code: int
    message: str
    wrong: str = ""


def outcome_of(work: Callable[[], object], seconds: float = 20, more: int = 2 * 2**30) -> Outcome:
    """Run a function within limits. It must end with 0, or with 2 and one line. Anything else is a fault."""
    from sparring.errors import SparringError

    out, err = io.StringIO(), io.StringIO()
    code, message = 0, ""
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), bounded(seconds, more):
            work()
    except SparringError as error:
        code, message = 2, str(error)
    except SystemExit as stop:
        code, message = int(stop.code or 0), err.getvalue().rstrip("\n").rpartition("\n")[2]
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        trace = "".join(traceback.format_exception(error)[-3:])
        return Outcome(1, str(error), f"{type(error).__name__}: {trace[-1500:]}")
    if code not in (0, 2):
        return Outcome(code, message, f"exit code {code}: {err.getvalue()[-500:]}")
    if code == 2 and (not message.strip() or len(message) > LONGEST or "Traceback" in err.getvalue()):
        return Outcome(code, message, f"not one short line: {message[:1000]!r} {err.getvalue()[-500:]!r}")
    return Outcome(code, message)


def command(*words: object) -> Callable[[], None]:
    """Run the command line in this process."""
    from sparring import cli

    def work() -> None:
        before = sys.argv
        sys.argv = ["sparring", *map(str, words)]
        try:
            cli.main()
        finally:
            sys.argv = before

    return work
