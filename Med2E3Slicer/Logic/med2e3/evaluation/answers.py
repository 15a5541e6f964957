"""What is known of finished samples, one line of JSON each, safe against being killed.

Knows files ``NAME-I-of-N.jsonl`` in one folder, of which each process appends to its own and all
are read together.  Knows nothing of what a line says besides the sample's ``id``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from med2e3.errors import InputError


@dataclass(frozen=True)
class Answered:
    """What the model said to one sample.

    Args:
        id: the sample's.
        answer: the text.
        finish_reason: as in :class:`~med2e3.asking.Done`, or ``too_long`` for a question that the
            model's context does not hold, which has no answer.
        token_ids: what was generated, the end token included.
        token_probability: their mean probability.
        scores: one for each model slice; empty for a model without scores.
        choice_probabilities: of each letter; empty for other questions.
    """

    id: str
    answer: str
    finish_reason: str
    token_ids: tuple[int, ...] = ()
    token_probability: float = 0.0
    scores: tuple[float, ...] = ()
    choice_probabilities: dict[str, float] = field(default_factory=dict)

    @property
    def can_be_tested(self) -> bool:
        """Whether there are scores and an answer whose confidence can be measured."""
        return bool(self.scores and self.token_ids)

    def as_dict(self) -> dict[str, Any]:
        """For a line of JSON."""
        return asdict(self)

    @classmethod
    def of_dict(cls, values: dict[str, Any]) -> Answered:
        """What :meth:`as_dict` gave."""
        return cls(**(values | {name: tuple(values[name]) for name in ("token_ids", "scores")}))


@dataclass(frozen=True)
class Shard:
    """One of several equal parts of the work.

    Args:
        index: from 0.
        count: how many parts there are.

    Raises:
        InputError: for a part that does not exist.
    """

    index: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count:
            raise InputError(
                f"There is no part {self.index + 1} of {self.count}.",
                hint="Give --shard I/N with I from 1 to N.",
            )

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read ``I/N``, counted from 1.

        Raises:
            InputError: for another text.
        """
        index, slash, count = text.partition("/")
        if not (slash and index.isdecimal() and count.isdecimal()):
            raise InputError(f"{text!r} is no part I/N, such as 2/8.")
        return cls(int(index) - 1, int(count))

    def __str__(self) -> str:
        return f"{self.index + 1}/{self.count}"


class Log:
    """Lines about finished samples in one folder.

    Args:
        folder: exists.
        name: what the lines are about, first part of the files' names.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = name

    def read(self) -> dict[str, dict[str, Any]]:
        """Every whole line of every file, by sample id; the first of two about one sample."""
        found: dict[str, dict[str, Any]] = {}
        for path in sorted(self.folder.glob(f"{self.name}-*-of-*.jsonl")):
            for line in path.read_bytes().split(b"\n")[:-1]:
                row = _row(line)
                if row is not None:
                    found.setdefault(str(row["id"]), row)
        return found

    def clear(self) -> None:
        """Delete every line."""
        for path in self.folder.glob(f"{self.name}-*-of-*.jsonl*"):
            path.unlink()

    @contextmanager
    def append(self, shard: Shard) -> Iterator[Appender]:
        """Open a part's file for more lines; what a killed process left half written is cut off.

        Raises:
            InputError: when another process is at this part, or the file cannot be written.
        """
        path = self.folder / f"{self.name}-{shard.index + 1}-of-{shard.count}.jsonl"
        lock = FileLock(path.with_suffix(".jsonl.lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise InputError(
                f"Another process is at part {shard} of this evaluation.",
                hint="Wait until it has ended, or give another --output.",
            ) from error
        try:
            _cut_off_half_a_line(path)
            yield Appender(path)
        finally:
            lock.release()


class Appender:
    """Writes lines that are in the file as soon as they are written."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, row: dict[str, Any]) -> None:
        """Append one line.

        Raises:
            InputError: when the file cannot be written.
        """
        try:
            with self._path.open("a", encoding="utf-8", newline="\n") as stream:
                stream.write(json.dumps(row, ensure_ascii=False) + "\n")
        except OSError as error:
            raise _cannot_write(error) from error


def _cut_off_half_a_line(path: Path) -> None:
    try:
        with path.open("a+b") as stream:
            stream.seek(0)
            stream.truncate(stream.read().rfind(b"\n") + 1)
    except OSError as error:
        raise _cannot_write(error) from error


def _cannot_write(error: OSError) -> InputError:
    return InputError(
        f"The results cannot be written: {error.strerror or error}.",
        hint="Choose a folder that you may write to and that has free space.",
        detail=repr(error),
    )


def _row(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) and "id" in row else None
