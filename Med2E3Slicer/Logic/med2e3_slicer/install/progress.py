"""How far uv has come, from what it prints.

Knows the lines of ``uv pip install`` on a stream that is no terminal; a line that it does not know
is shown as it is.
"""

from __future__ import annotations

import re

from slicer.i18n import tr as _

_DOWNLOADING = re.compile(r"Downloading (\S+) \(([\d.]+) ?([KMG]?i?B)\)")
_DOWNLOADED = re.compile(r"Downloaded (\S+)")
_UNITS = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}


class InstallProgress:
    """Adds up announced and finished downloads."""

    def __init__(self) -> None:
        self._sizes: dict[str, float] = {}
        self._done: set[str] = set()

    @property
    def fraction(self) -> float | None:
        """Of the announced bytes, how many are here (0 to 1); None before the first is known."""
        total = sum(self._sizes.values())
        return sum(self._sizes[name] for name in self._done) / total if total else None

    def feed(self, line: str) -> str:
        """Take a line in and give a sentence for a person."""
        if match := _DOWNLOADING.search(line):
            name, size, unit = match.groups()
            self._sizes[name] = float(size) * _UNITS.get(unit, 1)
            return _("Downloading {name} ({size} {unit})").format(name=name, size=size, unit=unit)
        if match := _DOWNLOADED.search(line):
            if match[1] in self._sizes:
                self._done.add(match[1])
            return _("{done} of {all} large packages are here").format(
                done=len(self._done), all=len(self._sizes)
            )
        return line
