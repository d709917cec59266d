"""The command line: one verb per job, each also a function of the Python API. Heavy imports stay inside the verbs.

Results go to stdout, progress and notes to stderr. A mistake of the user's ends in one line and exit code 2.
"""

from __future__ import annotations

import sys

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

app = typer.Typer(
    help="Train GANs against better opponents.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for verb in (train, sample, evaluate, recipes, show, pack, classify, predict, export, toy, diagnose):
    app.command()(verb)
app.add_typer(bench, name="bench")


def main() -> None:
    """Run the command line; the entry point of the package. Exits with 2 for a mistake, 130 after Ctrl-C."""
    from sparring.errors import SparringError

    try:
        code = app(standalone_mode=False)  # typer answers Ctrl-C and --help with an exit code
        sys.exit(code if isinstance(code, int) else 0)
    except KeyboardInterrupt:
        sys.exit(130)
    except SparringError as error:
        _fail(str(error))
    except BrokenPipeError:
        sys.exit(141)
    except Exception as error:
        if type(error).__name__ == "Abort":
            sys.exit(130)
        if not _is_usage_error(error):
            raise
        _fail(error.format_message())  # type: ignore[attr-defined]


def _is_usage_error(error: Exception) -> bool:
    """Whether click, typer's own or the installed one, says that the words of the command are wrong."""
    return hasattr(error, "format_message") and hasattr(error, "exit_code")


def _fail(message: str) -> None:
    sys.stderr.write(f"sparring: {' '.join(message.split())}\n")
    sys.exit(2)
