"""The service's log: what happened to the machine, nothing of persons.

Knows handlers and how a failure is written: its kind and the places in the program it came
through.  An exception's own words stay out, since they may hold what a client sent; so do
addresses of clients, hashes of volumes, questions and answers.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType
from typing import Any

from med2e3.errors import Med2E3Error

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_FILE_BYTES = 1 << 20
_OLDER_FILES = 2
#: logs of earlier engines that stay in the folder
_KEPT = 4
#: whose words go to the log; all others' are dropped
_OURS = ("med2e3", "uvicorn")

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class PlacesOnly(logging.Formatter):
    """Writes a failure as its kind and where in the program it was."""

    def formatException(self, ei: ExcInfo) -> str:  # noqa: N802 (logging's name)
        """The failure and what caused it, without their words."""
        lines: list[str] = []
        error = ei[1]
        while error is not None:
            code = f" ({error.code})" if isinstance(error, Med2E3Error) else ""
            lines.append(f"  {type(error).__name__}{code}")
            for frame in traceback.extract_tb(error.__traceback__):
                place = Path(frame.filename)
                name = f"{place.parent.name}/{place.name}" if place.is_absolute() else place.name
                lines.append(f"    {name}:{frame.lineno} {frame.name}")
            error = error.__cause__ or error.__context__
        return "\n".join(lines)


class JsonLines(PlacesOnly):
    """Writes each entry as one line of JSON: time (UTC), level, logger, message, failure."""

    def format(self, record: logging.LogRecord) -> str:
        """The entry in one line."""
        time = datetime.fromtimestamp(record.created, UTC)
        entry = {
            "time": time.isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info and record.exc_info[0] is not None:
            entry["failure"] = self.formatException(record.exc_info)
        return json.dumps(entry)


def log_to_file(folder: Path, pid: int) -> None:
    """Log to a bounded file of this process; old files of others are removed.

    Without a writable folder nothing is logged.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _remove_old(folder)
        handler: logging.Handler = RotatingFileHandler(
            folder / f"engine-{pid}.log",
            maxBytes=_FILE_BYTES,
            backupCount=_OLDER_FILES,
            encoding="utf-8",
            delay=True,
        )
    except OSError:
        handler = logging.NullHandler()
    _use(handler, PlacesOnly(_FORMAT))


def log_to_stderr(*, json_lines: bool = False) -> None:
    """Log to standard error, as services of an operating system do.

    Args:
        json_lines: one JSON object a line, for programs that collect logs.
    """
    _use(logging.StreamHandler(sys.stderr), JsonLines() if json_lines else PlacesOnly(_FORMAT))


def report_loop_errors(loop: asyncio.AbstractEventLoop) -> None:
    """Let failures that nobody waited for be logged as all others are."""
    log = logging.getLogger("med2e3.engine")

    def say(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        log.error("something failed in the background", exc_info=context.get("exception"))

    loop.set_exception_handler(say)


def _use(handler: logging.Handler, formatter: logging.Formatter) -> None:
    handler.setFormatter(formatter)
    for name in _OURS:
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
    logging.getLogger("med2e3").setLevel(logging.INFO)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)


def _remove_old(folder: Path) -> None:
    files = sorted(folder.glob("engine-*.log*"), key=lambda path: path.stat().st_mtime)
    newest_first = list(dict.fromkeys(path.name.split(".")[0] for path in reversed(files)))
    for path in files:
        if path.name.split(".")[0] in newest_first[_KEPT:]:
            path.unlink(missing_ok=True)
