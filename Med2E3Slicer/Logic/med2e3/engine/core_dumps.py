"""No core files: a crash must not write the memory, with what was in the volumes, to disk.

Knows the operating system's limit; on Windows there is none, and no core files either.
"""

from __future__ import annotations

from contextlib import suppress


def forbid_core_dumps() -> None:
    """Forbid them to this process and to those that it starts from now on."""
    with suppress(ImportError):  # Windows
        import resource  # noqa: PLC0415

        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
