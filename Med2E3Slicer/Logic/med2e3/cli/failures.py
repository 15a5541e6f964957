"""How a command that failed says so.

Knows the wording on the terminal and the log file; does not know what failed.  A traceback is
never shown unless ``--debug`` (or ``MED2E3_DEBUG=1``) asks for it.
"""

from __future__ import annotations

import os
import re
import sys
import traceback
from datetime import datetime
from pathlib import Path

import med2e3
from med2e3.errors import Cancelled, Med2E3Error

DEBUG_VARIABLE = "MED2E3_DEBUG"

_SOURCE_FILE = re.compile(r'File "([^"\n]+)"(?=, line \d)')
_QUOTED_PATH = re.compile(r"""(['"])(?:(?!\1).)*[/\\](?:(?!\1).)*\1""")
#: from a root (/, ~, a drive, a Windows share) to the end of the line
_ABSOLUTE_PATH = re.compile(r"(?<![^\s'\"(=\[<,:])(?:[A-Za-z]:[/\\]|\\\\|~?[/\\](?=\S)).*")
_RELATIVE_PATH = re.compile(r"\S*[/\\]\S*")
#: stands for a separator that is not to be taken out
_KEPT = "\0"


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
    """Take all paths out of a traceback; of the program's own files the last parts stay.

    Rather too much is taken out than too little: what follows an absolute path on its line goes,
    too, since folders may be named with spaces.
    """
    text = _SOURCE_FILE.sub(lambda found: f'File "{_program_file(found[1])}"', text)
    for pattern in (_QUOTED_PATH, _ABSOLUTE_PATH, _RELATIVE_PATH):
        text = pattern.sub("<path>", text)
    return text.replace(_KEPT, "/")


def _program_file(name: str) -> str:
    """A source file as Python imported it, its separators marked as to be kept."""
    path = Path(name)
    folders = [Path(entry) for entry in sys.path if entry and path.is_relative_to(entry)]
    nearest = max(folders, key=lambda folder: len(folder.parts), default=path.parent)
    return _KEPT.join(path.relative_to(nearest).parts)


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
