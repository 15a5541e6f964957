"""Where the set-up keeps its files.

Knows folders and their names; does not know what is put into them.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import qt


def default_root() -> Path:
    """The folder of the engine's environment: beside the models, short enough for Windows."""
    chosen = os.environ.get("MED2E3_HOME")
    if chosen:
        return Path(chosen).expanduser() / "engine"
    shared = qt.QStandardPaths.writableLocation(qt.QStandardPaths.GenericDataLocation)
    return Path(str(shared)) / "med2e3" / "engine"


@dataclass(frozen=True)
class Places:
    """Folders of one set-up; none of them needs to exist.

    Args:
        root: everything lies in it, and it holds nothing else.
    """

    root: Path

    @property
    def environment(self) -> Path:
        """The engine's virtual environment."""
        return self.root / "env"

    @property
    def python(self) -> Path:
        """The engine's Python."""
        if sys.platform == "win32":
            return self.environment / "Scripts" / "python.exe"
        return self.environment / "bin" / "python"

    @property
    def cache(self) -> Path:
        """Downloaded packages, until the environment is complete."""
        return self.root / "cache"

    @property
    def pythons(self) -> Path:
        """Where uv puts a Python when this computer has none that fits."""
        return self.root / "python"

    @property
    def tools(self) -> Path:
        """Where uv is put when this computer has none."""
        return self.root / "uv"

    @property
    def removable(self) -> tuple[Path, ...]:
        """All that the set-up makes and removes again."""
        return self.environment, self.cache, self.pythons, self.tools

    @property
    def stamp(self) -> Path:
        """Written last; without it the environment is not complete."""
        return self.root / "complete.json"
