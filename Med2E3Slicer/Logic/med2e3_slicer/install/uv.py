"""The commands of uv and pip that build an environment.

Knows their options; runs nothing.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from med2e3_slicer.engine.environment import engine_environment, startup_environment
from med2e3_slicer.install.places import Places
from med2e3_slicer.install.recipe import Recipe

_NAME = "uv.exe" if sys.platform == "win32" else "uv"


def find_uv(places: Places) -> Path | None:
    """The private uv, or the one of this computer; None when there is none."""
    private = places.tools / "bin" / _NAME
    if private.is_file():
        return private
    found = shutil.which("uv", path=clean_environment().get("PATH"))
    return Path(found) if found else None


def slicer_python() -> str:
    """Slicer's own Python, which runs pip and small scripts; nothing is installed into it."""
    return shutil.which("PythonSlicer") or sys.executable


def clean_environment() -> Mapping[str, str]:
    """Variables without those of Slicer's Python and Qt."""
    return engine_environment(*startup_environment())


def uv_environment(places: Places) -> dict[str, str]:
    """Variables for uv: its files stay in our folder, the system's certificates are trusted."""
    return {
        **clean_environment(),
        "UV_CACHE_DIR": str(places.cache),
        "UV_PYTHON_INSTALL_DIR": str(places.pythons),
        "UV_SYSTEM_CERTS": "1",
        "UV_HTTP_TIMEOUT": "120",
        "NO_COLOR": "1",
    }


def get_uv(places: Places, offline: Path | None) -> list[str]:
    """Put uv into a private folder, as a wheel of PyPI or of a folder."""
    target = ["--target", str(places.tools), "--upgrade", "--only-binary", ":all:", "uv"]
    quiet = ["--disable-pip-version-check", "--no-input", "--no-cache-dir"]
    return [slicer_python(), "-m", "pip", "install", *quiet, *_source(offline), *target]


def make_environment(uv: Path, places: Places, python: str, offline: Path | None) -> list[str]:
    """Make the empty environment."""
    there = ["--no-python-downloads", "--offline"] if offline else []
    return [str(uv), "venv", "--clear", "--python", python, *there, str(places.environment)]


def install_packages(uv: Path, places: Places, recipe: Recipe, offline: Path | None) -> list[str]:
    """Install the recipe's packages: wheels only, torch for the GPU of this computer."""
    source = ["--offline", *_source(offline)] if offline else ["--torch-backend", "auto"]
    return [
        str(uv), "pip", "install", "--python", str(places.python), "--only-binary", ":all:",
        *source, "-r", str(recipe.requirements),
    ]  # fmt: skip


def prove(places: Places, recipe: Recipe) -> list[str]:
    """Import what the engine imports first."""
    return [str(places.python), "-c", f"import {', '.join(recipe.imports)}"]


def _source(offline: Path | None) -> list[str]:
    return ["--no-index", "--find-links", str(offline)] if offline else []
