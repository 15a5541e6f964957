"""How a command that failed says so.

Knows the wording on the terminal and the log file; does not know what failed.  A traceback is
never shown unless ``--debug`` (or ``MED2E3_DEBUG=1``) asks for it.
"""

from __future__ import annotations

import os
import sys
import traceback
from datetime import datetime
from pathlib import Path

import med2e3
from med2e3.errors import Cancelled, Med2E3Error

DEBUG_VARIABLE = "MED2E3_DEBUG"


def debug_wanted() -> bool:
    """Whether tracebacks are to be shown."""
    return os.environ.get(DEBUG_VARIABLE, "") not in ("", "0")


def show_error(error: Med2E3Error) -> None:
    """Write an expected error to stderr: one sentence, and a hint on a line of its own."""
    if debug_wanted():
        traceback.print_exception(error, file=sys.stderr)
    start = "" if isinstance(error, Cancelled) else "Error: "
    print(f"{start}{error.sentence}", file=sys.stderr)
    if error.hint:
        print(error.hint, file=sys.stderr)
    if error.detail and debug_wanted():
        print(error.detail, file=sys.stderr)


def show_unexpected(error: BaseException) -> None:
    """Write an unexpected error to stderr as a sentence, and its traceback to a log file."""
    if debug_wanted():
        traceback.print_exception(error, file=sys.stderr)
    print(f"Error: {unexpected_sentence(error)}", file=sys.stderr)


def unexpected_sentence(error: BaseException) -> str:
    """Write the traceback to a log file and say in a sentence what happened and where it is."""
    kind = type(error).__name__
    name = _write_log(error)
    if name is None:
        return f"Something unexpected happened ({kind}). Run `med2e3 --debug ...` to see it."
    return (
        f"Something unexpected happened ({kind}). Details are in the log file {name}, "
        "in the folder 'logs' of the model store; `med2e3 --debug ...` shows them."
    )


def without_paths(text: str) -> str:
    """Take the home folder and the command line's paths out of a text."""
    hidden = {argument for argument in sys.argv[1:] if "/" in argument or is_path(argument)}
    hidden |= {str(Path(argument).absolute()) for argument in hidden}
    for argument in sorted(hidden, key=len, reverse=True):
        if len(argument) > 1:
            text = text.replace(argument, "<path>")
    return text.replace(str(Path.home()), "~")


def is_path(text: str) -> bool:
    """Whether a file or folder of this name exists; False for texts that cannot be names."""
    try:
        return Path(text).exists()
    except OSError:
        return False


def _write_log(error: BaseException) -> str | None:
    """The log file's name, or ``None`` when it could not be written."""
    from med2e3.weights import store_dir  # noqa: PLC0415 (only when something went wrong)

    text = "".join(traceback.format_exception(error))
    name = f"med2e3-{datetime.now():%Y%m%d-%H%M%S}-{os.getpid()}.log"
    try:
        folder = store_dir() / "logs"
        folder.mkdir(parents=True, exist_ok=True)
        content = f"med2e3 {med2e3.__version__}\n{without_paths(text)}"
        (folder / name).write_text(content, encoding="utf-8", errors="backslashreplace")
    except OSError:
        return None
    return name
