"""Which environment variables the engine's Python gets.

Knows what Slicer's launcher and Slicer's Python put into the environment that would mislead
another Python. Does not know which Python that is.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

#: they name plug-ins and packages of Slicer's own Python and Qt
_MISLEADING = ("PYTHON", "QT_", "ITK_AUTOLOAD_PATH", "SITK_AUTOLOAD_PATH", "TCL_", "TK_")
#: lists of folders; what lies inside Slicer is taken out of them, the person's own stays
_FOLDERS = ("PATH", "LD_LIBRARY_PATH", "LD_PRELOAD", "DYLD_")

#: text comes at once and as UTF-8; packages of the person's own account stay out
_OURS = {"PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8", "PYTHONNOUSERSITE": "1"}


def startup_environment() -> tuple[dict[str, str], Path | None]:
    """The environment in which Slicer was started, and Slicer's own folder if it is known."""
    try:
        import slicer  # noqa: PLC0415 (absent where this package is only looked at)

        environment = slicer.util.startupEnvironment()
        home = Path(slicer.app.slicerHome)
    except (ImportError, AttributeError):
        return dict(os.environ), None
    return {str(name): str(value) for name, value in environment.items()}, home


def engine_environment(environment: Mapping[str, str], slicer_home: Path | None) -> dict[str, str]:
    """The same environment without what belongs to Slicer's Python, Qt and libraries.

    Args:
        environment: names and values.
        slicer_home: folders inside it are taken out of lists of folders.
    """
    kept = dict(_OURS)
    for name, value in environment.items():
        upper = name.upper()  # Windows does not tell cases apart
        if upper.startswith(_MISLEADING):
            continue
        if upper.startswith(_FOLDERS):
            folders = [f for f in value.split(os.pathsep) if not _is_inside(f, slicer_home)]
            if not folders:
                continue
            value = os.pathsep.join(folders)  # noqa: PLW2901
        kept[name] = value
    return kept


def _is_inside(folder: str, home: Path | None) -> bool:
    return home is not None and bool(folder) and Path(folder).is_relative_to(home)
