"""``slicer.packaging``: records what would be installed; nothing is installed.

``installed`` says what ``pip_check`` finds; ``calls`` holds what was asked.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

installed: set[str] = set()
calls: list[tuple[str, Any, dict[str, Any]]] = []


def _names(requirements: Any) -> list[str]:
    return [requirements] if isinstance(requirements, str) else [str(each) for each in requirements]


def pip_check(requirements: Any, **options: Any) -> bool:
    """Tell whether every requirement is in ``installed``."""
    return all(each in installed for each in _names(requirements))


def pip_install(requirements: Any, **options: Any) -> None:
    """Record an installation."""
    calls.append(("install", requirements, options))
    installed.update(_names(requirements))


def pip_ensure(requirements: Any, **options: Any) -> None:
    """Record an installation of what is missing."""
    if not pip_check(requirements):
        calls.append(("ensure", requirements, options))
        installed.update(_names(requirements))


def pip_uninstall(requirements: Any, **options: Any) -> None:
    """Record a removal."""
    calls.append(("uninstall", requirements, options))
    installed.difference_update(_names(requirements))


def load_requirements(path: Any) -> list[str]:
    """Return the requirements of a file."""
    lines = [line.strip() for line in Path(path).read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line and not line.startswith(("#", "-"))]
