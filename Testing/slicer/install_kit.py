"""Folders of wheels that a test makes itself: a tiny package and one that is slow to resolve."""

from __future__ import annotations

import base64
import hashlib
import sys
import zipfile
from pathlib import Path

#: a machine that is busy with other things
PATIENCE_S = 180.0


def make_wheel(folder: Path, name: str, source: str, needs: tuple[str, ...] = ()) -> Path:
    """A wheel with one module."""
    folder.mkdir(parents=True, exist_ok=True)
    info = f"{name}-1.0.dist-info"
    requires = "".join(f"Requires-Dist: {each}\n" for each in needs)
    files = {
        f"{name}.py": source,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{requires}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    lines = []
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=")
        lines.append(f"{path},sha256={digest.decode()},{len(text.encode())}")
    files[f"{info}/RECORD"] = "\n".join([*lines, f"{info}/RECORD,,", ""])
    wheel = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return wheel


def tiny_set_up(folder: Path, *packages: str, **recipe):
    """A set-up of this computer's Python and of packages from a folder of wheels."""
    from med2e3_slicer.install import Recipe, SetUp

    requirements = folder / "requirements.txt"
    requirements.write_text("\n".join(packages), encoding="utf-8")
    fields = {"python": sys.executable, "disk_bytes": 1000, "imports": packages, **recipe}
    return SetUp(folder / "engine", Recipe(requirements, **fields))
