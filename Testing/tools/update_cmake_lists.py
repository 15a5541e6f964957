"""Rewrite the lists of scripts and resources in ``Med2E3Slicer/CMakeLists.txt``.

Slicer packages only the files that these lists name and leaves the others out without a word.
This module knows which files belong to the scripted module; it does not know what they contain.

Run it after adding, moving or removing a file:  ``python Testing/tools/update_cmake_lists.py``
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

MODULE = Path(__file__).resolve().parents[2] / "Med2E3Slicer"
CMAKE_FILE = MODULE / "CMakeLists.txt"
SCRIPTS = "MODULE_PYTHON_SCRIPTS"
RESOURCES = "MODULE_PYTHON_RESOURCES"


def module_files(module: Path = MODULE) -> tuple[list[str], list[str]]:
    """Scripts (``.py``) and resources (all others) of the module, relative to it, sorted.

    Hidden files and Python's caches are no part of the module.
    """
    names = []
    for path in module.rglob("*"):
        relative = path.relative_to(module)
        hidden = any(part.startswith(".") or part == "__pycache__" for part in relative.parts)
        if path.is_file() and not hidden and relative.as_posix() != CMAKE_FILE.name:
            names.append(relative.as_posix())
    names.sort()
    scripts = [name for name in names if name.endswith(".py")]
    resources = [name for name in names if not name.endswith((".py", ".pyc"))]
    return scripts, resources


def find_list(variable: str, text: str) -> re.Match[str]:
    """Where the text of a CMake file says ``set(variable ...)``; group 1 is what it lists."""
    found = re.search(rf"set\({variable}\n(.*?)\n? *\)", text, flags=re.DOTALL)
    if found is None:
        raise ValueError(f"The CMake file sets no {variable}.")
    return found


def listed_files(variable: str, text: str) -> list[str]:
    """The files that ``set(variable ...)`` names in the text of a CMake file."""
    lines = find_list(variable, text).group(1).splitlines()
    return [line.strip().strip('"') for line in lines if line.strip()]


def with_lists(text: str, scripts: Sequence[str], resources: Sequence[str]) -> str:
    """The text of the CMake file with both lists replaced."""
    for variable, names in ((SCRIPTS, scripts), (RESOURCES, resources)):
        place = find_list(variable, text)
        block = "\n".join([f"set({variable}", *(f'  "{name}"' for name in names), "  )"])
        text = text[: place.start()] + block + text[place.end() :]
    return text


def main() -> int:
    """Rewrite the lists; exit code 1 when they had to change, so that a commit hook stops."""
    old = CMAKE_FILE.read_text(encoding="utf-8")
    new = with_lists(old, *module_files())
    if new == old:
        return 0
    CMAKE_FILE.write_text(new, encoding="utf-8", newline="\n")
    print(f"Updated the lists in {CMAKE_FILE.name} of the module.")
    return 1


if __name__ == "__main__":
    sys.exit(main())
