"""The command line: one verb per job, each also a function of the Python API. Heavy imports stay inside the verbs.

Results go to stdout, progress and notes to stderr. A mistake of the user's ends in one line and exit code 2.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from types import FrameType
from typing import Annotated, Any

import typer

from sparring.cli.bench import bench
from sparring.cli.classify import classify
from sparring.cli.diagnose import diagnose
from sparring.cli.evaluate import evaluate
from sparring.cli.pack import pack
from sparring.cli.predict import export, predict
from sparring.cli.recipes import recipes, show
from sparring.cli.sample import sample
from sparring.cli.toy import toy
from sparring.cli.train import train
from sparring.version import __version__

START = """\
Sparring {version}: train GANs against better opponents.

Three things to try, each in minutes on a CPU, without a download:

  sparring train quickstart                                  train a GAN on small pictures of clothes, and measure it
  sparring classify nat/demo                                 train a classifier that can answer "unknown"
  sparring toy ring-8 objective.sdp.k=5 --versus hinge       film two methods on a toy problem

Then

  sparring recipes                what else can be trained
  sparring show quickstart        what a run would do, without training
  sparring --help                 all commands; `sparring train --help` explains one
  sparring --install-completion   let the Tab key complete commands and recipes in your shell

The documentation is in the repository: README.md, then the folder docs.
"""

WITH_CHANGES = ("train", "classify", "show")  # verbs whose arguments are settings of a recipe

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
            help="Print what a bug report needs: versions, commit, the CPU's instructions.",
        ),
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        sys.stdout.write(START.format(version=__version__))


for verb in (train, sample, evaluate, recipes, show, pack, classify, predict, export, toy, diagnose):
    app.command()(verb)
app.add_typer(bench, name="bench")


def main() -> None:
    """Run the command line; the entry point of the package. Exits with 2 for a mistake, 130 after Ctrl-C."""
    from sparring.errors import SparringError, is_out_of_memory

    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # as stderr: a path need not be text
    interrupted = _note_interrupts()
    try:
        code = app(prog_name="sparring", standalone_mode=False)  # typer answers Ctrl-C and --help with an exit code
        sys.exit(code if isinstance(code, int) else 0)
    except KeyboardInterrupt:
        sys.exit(130)
    except SparringError as error:
        _fail(str(error))
    except BrokenPipeError:
        sys.exit(141)
    except Exception as error:
        if type(error).__name__ == "Abort" or interrupted:
            sys.exit(130)
        if isinstance(error, OSError) and error.errno == errno.ENOSPC and error.filename is None:
            sys.stdout = sys.stderr  # so that nothing is written there at the end, either
            _fail(f"cannot write the output: {error.strerror}: free some space, or send it elsewhere")
        if isinstance(error, OSError) and error.filename and error.errno in (errno.EACCES, errno.EPERM, errno.EIO):
            _fail(
                f"cannot read or write {os.fsdecode(error.filename)}: {error.strerror}"
            )  # as of another user's folder
        if is_out_of_memory(error):
            _fail("there is not enough memory for this: ask for less, such as a smaller batch_size, n or data.size")
        if not _is_usage_error(error):
            raise
        _fail(_usage(error))


def _note_interrupts() -> list[int]:
    """A list that a Ctrl-C is added to: a module that is being imported may turn KeyboardInterrupt into another error."""
    seen: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        seen.append(number)
        signal.default_int_handler(number, frame)

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, note)
    return seen


def _is_usage_error(error: Exception) -> bool:
    """Whether click, typer's own or the installed one, says that the words of the command are wrong."""
    return hasattr(error, "format_message") and hasattr(error, "exit_code")


def _usage(error: Any) -> str:
    """What is wrong with the words of a command, and whose help says what is right."""
    message, verb = error.format_message(), _verb()
    if type(error).__name__ == "NoSuchOption" and verb in WITH_CHANGES and not _near_options(error):
        key = error.option_name.lstrip("-").replace("-", "_")
        return f"{verb} has no option {error.option_name}: write settings of the recipe without dashes, {key}=VALUE"
    end = "" if message.endswith((".", "?", ")")) else "."
    return f"{message}{end} Try `{error.ctx.command_path if error.ctx else f'sparring {verb}'.rstrip()} --help`"


def _verb() -> str:
    """The verb of this process's command, where an error does not know it."""
    verbs = (*(command.callback.__name__ for command in app.registered_commands if command.callback), "bench")
    return next((word for word in sys.argv[1:] if word in verbs), "")


def _near_options(error: Any) -> list[str]:
    """The options that an unknown one may have meant."""
    return [option for option in getattr(error, "possibilities", None) or () if option != "--help"]


def _fail(message: str) -> None:
    sys.stderr.write(f"sparring: {' '.join(message.split())}\n")
    sys.exit(2)
