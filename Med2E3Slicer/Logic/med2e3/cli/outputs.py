"""The files that a run writes: records, table, figure.

Knows file names and the order of writing; does not know how an answer comes about.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from med2e3.errors import InputError
from med2e3.record import Exchange, write_exchanges, write_table

#: names of a volume's figure in a folder of results: of one picture, and of pages
FIGURES = ("figure.png", "figure.pdf")
#: more questions than this make a picture too tall to look at
MOST_IN_A_PICTURE = 10


@dataclass(frozen=True)
class Outputs:
    """Where to write what; ``None`` writes nothing.

    Args:
        json: records (``exchanges.schema.json`` describes them).
        csv: one row for each question and slice.
        figure: ends in ``.png``, ``.svg`` or ``.pdf``.
    """

    json: Path | None = None
    csv: Path | None = None
    figure: Path | None = None

    @classmethod
    def in_folder(cls, folder: Path, *, questions: int) -> Outputs:
        """The files of one volume in a folder of results; many questions get pages."""
        figure = FIGURES[questions > MOST_IN_A_PICTURE]
        return cls(folder / "exchanges.json", folder / "scores.csv", folder / figure)

    def paths(self) -> Iterator[Path]:
        """The files that will be written."""
        yield from (path for path in (self.json, self.csv, self.figure) if path is not None)

    def check(self, source: Path | None = None) -> None:
        """Make sure that every file can be written, before anything else is done.

        Missing folders are created.

        Args:
            source: the volume, which must not be overwritten.

        Raises:
            InputError: when a file cannot be written, two are the same, or one is the volume.
        """
        if self.figure is not None:
            from med2e3.figure import check_suffix  # noqa: PLC0415 (matplotlib takes a moment)

            check_suffix(self.figure)
        seen: set[Path] = set()
        for path in self.paths():
            resolved = path.resolve()
            if resolved in seen:
                raise InputError(
                    f"Two results were to be written to the same file {path.name!r}.",
                    hint="Give --json, --csv and --figure different file names.",
                )
            if source is not None and resolved == source.resolve():
                raise InputError(
                    f"The result {path.name!r} would overwrite the volume.",
                    hint="Choose another file name.",
                )
            seen.add(resolved)
            _probe(path)

    def write(self, exchanges: Sequence[Exchange], voxels: NDArray[np.float32]) -> list[Path]:
        """Write the files; each is whole or not there.

        Args:
            exchanges: at least one.
            voxels: the model input they were asked about.

        Returns:
            What was written.

        Raises:
            InputError: when a file cannot be written; the others are there all the same.
        """
        problems = []
        for path in self.paths():
            try:
                if path is self.json:
                    write_exchanges(path, exchanges)
                elif path is self.csv:
                    write_table(path, exchanges)
                else:
                    from med2e3.figure import save_figure  # noqa: PLC0415 (takes a moment)

                    save_figure(path, exchanges, voxels)
            except InputError as error:
                problems.append(error)
        if problems:
            raise problems[0]
        return list(self.paths())


def _probe(path: Path) -> None:
    """Try to write to ``path`` and beside it, leaving nothing behind."""
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        if path.exists() and not path.is_file():
            return  # a pipe or a device
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            path.open("r+b").close()  # fails where another program holds it open
        trial = path.with_name(f".{path.name[:100]}.{os.getpid()}.trial")
        trial.touch()
        trial.unlink()
    except OSError as error:
        raise InputError(
            f"The file {path.name!r} cannot be written: {error.strerror or error}.",
            hint="Choose a file name in a folder that you may write to.",
            detail=repr(error),
        ) from error
