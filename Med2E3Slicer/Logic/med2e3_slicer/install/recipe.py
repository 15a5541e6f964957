"""What the engine's environment holds.

Knows the list of packages, how it is proved that they work, and how large they are; does not know
how they are installed. The list is that of ``pyproject.toml``: a test compares them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

_REQUIREMENTS = Path(__file__).with_name("requirements.txt")


@dataclass(frozen=True)
class Recipe:
    """One kind of environment.

    Args:
        requirements: a requirements file.
        imports: modules that must be importable when it is complete.
        python: version of Python, or the path of one; it must be 3.11 or newer.
        download_bytes: of the packages: the sum of the wheels' sizes for Linux with CUDA 13,
            which is the largest case.
        disk_bytes: free space asked for before the build starts (packages unpacked, and room).
    """

    requirements: Path = _REQUIREMENTS
    imports: tuple[str, ...] = ("torch", "transformers", "SimpleITK", "fastapi", "uvicorn")
    python: str = "3.12"
    download_bytes: int = 3_200_000_000
    disk_bytes: int = 12_000_000_000

    @property
    def digest(self) -> str:
        """Changes when the environment has to be built anew."""
        text = self.requirements.read_bytes().replace(b"\r\n", b"\n")
        return hashlib.sha256(text + "\n".join(self.imports).encode()).hexdigest()
