"""The command ``med2e3``: its sub-commands, its streams, and how it ends when something fails.

Knows exit codes and where errors are shown; what a command does is in that command's module.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated, TextIO

import typer

import med2e3
from med2e3.cli import data, models
from med2e3.cli.ablate import ablate
from med2e3.cli.ask import ask
from med2e3.cli.doctor import doctor
from med2e3.cli.evaluate import evaluate
from med2e3.cli.evaluate_tables import evaluate_tables
from med2e3.cli.failures import DEBUG_VARIABLE, show_error, show_unexpected
from med2e3.cli.load_test import load_test
from med2e3.cli.report import report
from med2e3.cli.serve import serve
from med2e3.cli.train import train
from med2e3.errors import Med2E3Error
from med2e3.notice import NOTICE

app = typer.Typer(
    name="med2e3",
    help=f"Ask Med-2E3 about a CT volume and see which slices it attended to. {NOTICE}",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(report)
app.command()(ask)
app.command()(doctor)
app.command()(evaluate)
app.command()(evaluate_tables)
app.command()(train)
app.command()(ablate)
app.command()(serve)
app.command()(load_test)
app.add_typer(models.app, name="models")
app.add_typer(data.app, name="data")


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"med2e3 {med2e3.__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and exit.", callback=_show_version, is_eager=True
        ),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show details of errors (also MED2E3_DEBUG=1).")
    ] = False,
) -> None:
    """Set what all commands share."""
    if debug:
        os.environ[DEBUG_VARIABLE] = "1"


def main() -> None:
    """Run the command line and end the process with its exit code.

    0: done.  1: it failed, or some volume of many failed.  2: the input cannot be used.
    130: stopped by Ctrl-C.
    """
    for stream in (sys.stdout, sys.stderr):
        _never_fail_on_a_sign(stream)
    try:
        # the arguments are given as they are: on Windows they would be expanded otherwise, and a
        # question's "?" taken for a file pattern
        app(args=sys.argv[1:], prog_name="med2e3")
    except Med2E3Error as error:
        show_error(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:  # the last line of defence: a sentence instead of a traceback
        show_unexpected(error)
        sys.exit(1)


def _never_fail_on_a_sign(stream: TextIO) -> None:
    """Write a sign that the stream's encoding lacks as an escape instead of failing."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    main()
