"""Checksums of files.

Knows SHA-256 and git's blob ids, the two checksums a hub gives; does not know which files are
checked or what follows from a difference.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

_CHUNK_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class FileDigest:
    """What was measured of one file.

    Attributes:
        size: bytes.
        sha256: 64 lower-case hexadecimal digits.
        git_oid: 40 digits, the id that git gives to a file with this content.
    """

    size: int
    sha256: str
    git_oid: str

    def mismatch(self, size: int | None, sha256: str | None, git_oid: str | None) -> str:
        """How this differs from what is expected, as the end of a sentence; "" when it does not.

        Args:
            size: bytes; this and the checksums are compared where they are not None.
            sha256: 64 hexadecimal digits.
            git_oid: 40 hexadecimal digits.
        """
        if size is not None and self.size != size:
            return f"has {self.size} bytes instead of {size}"
        if sha256 not in (None, self.sha256) or git_oid not in (None, self.git_oid):
            return "does not have the expected checksum"
        return ""


def digest(path: Path) -> FileDigest:
    """Read a file once and give its size and both checksums.

    Raises:
        OSError: the file cannot be read.
    """
    size = path.stat().st_size
    sha256 = hashlib.sha256()
    git = hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)
    read = 0
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            sha256.update(chunk)
            git.update(chunk)
            read += len(chunk)
    return FileDigest(size=read, sha256=sha256.hexdigest(), git_oid=git.hexdigest())


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, 64 lower-case hexadecimal digits.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
