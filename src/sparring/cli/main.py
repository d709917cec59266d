"""The command line. Each command is also a function of the Python API. Heavy imports stay inside the commands.

Results go to stdout, progress and notes to stderr. A user's mistake ends in one line and exit code 2.
"""

from __future__ import annotations

import errno
import importlib
import os
import signal
import sys
from types import FrameType
from typing import Annotated, Any

import typer

from sparring.version import __version__

START = """\
Sparring {version}: train GANs against better opponents.

Three things to try. Each takes minutes on a CPU and downloads nothing:

  sparring train quickstart                                  train a GAN on small pictures of clothes and measure it
  sparring classify nat/demo                                 train a classifier that can answer "unknown"
  sparring toy ring-8 objective.sdp.k=5 --versus hinge       film two methods on a toy problem

Next

  sparring recipes                list everything that can be trained
  sparring show quickstart        see what a run would do, without training
  sparring --help                 list all commands; `sparring train --help` explains one
  sparring --install-completion   complete commands and recipes with the Tab key

The documentation is in the repository: start with README.md, then docs/.
"""

VERBS = (  # in the order of `sparring --help`
    "sparring.cli.suggest:suggest",
    "sparring.cli.train:train",
    "sparring.cli.status:status",
    "sparring.cli.sample:sample",
    "sparring.cli.interpolate:interpolate",
    "sparring.cli.project:project",
    "sparring.cli.nearest:nearest",
    "sparring.cli.export:export",
    "sparring.cli.share:share",
    "sparring.cli.evaluate:evaluate",
    "sparring.cli.recipes:recipes",
    "sparring.cli.recipes:show",
    "sparring.cli.pack:pack",
    "sparring.cli.classify:classify",
    "sparring.cli.predict:predict",
    "sparring.cli.toy:toy",
    "sparring.cli.playground:playground",
    "sparring.cli.diagnose:diagnose",
    "sparring.cli.board:board",
    "sparring.cli.study:study",
    "sparring.cli.study:studies",
    "sparring.cli.bench:bench",
)
WITH_OVERRIDES = ("train", "classify", "show")  # commands that take settings of a recipe as key=value

app = typer.Typer(
    help="Train GANs against better opponents.",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from sparring.version import bug_report

        sys.stdout.write(f"{bug_report()}\n")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help="Print what a bug report needs: versions, commit, CPU instruction set.",
        ),
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        sys.stdout.write(START.format(version=__version__))


for path in VERBS:
    module, _, name = path.partition(":")
    verb = getattr(importlib.import_module(module), name)
    if isinstance(verb, typer.Typer):
        app.add_typer(verb, name=name)
    else:
        app.command()(verb)


def main() -> None:
    """The package's entry point. Exits with 2 for a user's mistake, with 130 after Ctrl-C."""
    from sparring.errors import SparringError, is_out_of_memory

    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # like stderr: a path need not be valid text
    interrupts = _record_interrupts()
    try:
        code = app(prog_name="sparring", standalone_mode=False)  # typer returns an exit code for Ctrl-C and --help
        sys.exit(code if isinstance(code, int) else 0)
    except KeyboardInterrupt:
        sys.exit(130)
    except SparringError as error:
        _fail(str(error))
    except BrokenPipeError:
        sys.exit(141)
    except Exception as error:
        if type(error).__name__ == "Abort" or interrupts:
            sys.exit(130)
        if isinstance(error, OSError) and error.errno == errno.ENOSPC and error.filename is None:
            sys.stdout = sys.stderr  # so that Python does not flush it again at exit
            _fail(f"cannot write the output: {error.strerror}: free some space, or write elsewhere")
        if isinstance(error, OSError) and error.filename and error.errno in (errno.EACCES, errno.EPERM, errno.EIO):
            _fail(f"cannot read or write {os.fsdecode(error.filename)}: {error.strerror}")  # e.g. another user's folder
        if is_out_of_memory(error):
            _fail("not enough memory: use a smaller batch_size, n or data.size")
        if not _is_usage_error(error):
            raise
        _fail(_usage(error))


def _record_interrupts() -> list[int]:
    """A list that grows with each Ctrl-C: a module being imported may turn KeyboardInterrupt into another error."""
    interrupts: list[int] = []

    def record(number: int, frame: FrameType | None) -> None:
        interrupts.append(number)
        signal.default_int_handler(number, frame)

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, record)
    return interrupts


def _is_usage_error(error: Exception) -> bool:
    """Whether this is a usage error of click, be it typer's copy or the installed package."""
    return hasattr(error, "format_message") and hasattr(error, "exit_code")


def _usage(error: Any) -> str:
    """What is wrong with the command's arguments, and where to find help."""
    message, verb = error.format_message(), _verb()
    if type(error).__name__ == "NoSuchOption" and verb in WITH_OVERRIDES and not _near_options(error):
        key = error.option_name.lstrip("-").replace("-", "_")
        return f"{verb} has no option {error.option_name}: write recipe settings without dashes, {key}=VALUE"
    end = "" if message.endswith((".", "?", ")")) else "."
    return f"{message}{end} Try `{error.ctx.command_path if error.ctx else f'sparring {verb}'.rstrip()} --help`"


def _verb() -> str:
    """The command in this process's arguments, for errors that do not name it."""
    verbs = {path.partition(":")[2] for path in VERBS}
    return next((word for word in sys.argv[1:] if word in verbs), "")


def _near_options(error: Any) -> list[str]:
    """The options that an unknown option may have meant."""
    return [option for option in getattr(error, "possibilities", None) or () if option != "--help"]


def _fail(message: str) -> None:
    sys.stderr.write(f"sparring: {' '.join(message.split())}\n")
    sys.exit(2)
