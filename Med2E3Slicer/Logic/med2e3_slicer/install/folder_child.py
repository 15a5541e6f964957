"""Started by a Python of its own: counts or removes a folder, however many files it has.

Knows folders; imports nothing of its own package.
"""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path


def _count(folder: Path) -> tuple[int, int]:
    """Files below a folder and their bytes; a file with several names counts once."""
    seen: dict[tuple[int, int], int] = {}
    for place, _folders, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # it went away meanwhile
                status = Path(place, name).lstat()
                seen[status.st_dev, status.st_ino] = status.st_size
    return len(seen), sum(seen.values())


def main() -> None:
    """``count FOLDER...`` or ``remove FOLDER...``."""
    what, *folders = sys.argv[1:]
    for folder in map(Path, folders):
        if what == "count":
            print(*_count(folder), flush=True)
        elif folder.exists():
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
