"""Numbers of this computer.

Knows where the system keeps them; does not know what they mean for the engine. Returns at once.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from pathlib import Path


class _MemoryStatus(ctypes.Structure):
    _fields_ = (
        ("length", ctypes.c_ulong),
        ("load", ctypes.c_ulong),
        ("total", ctypes.c_ulonglong),
        ("others", ctypes.c_ulonglong * 6),
    )


def total_memory() -> int | None:
    """Bytes of memory; None when the system does not say."""
    if sys.platform == "win32":
        status = _MemoryStatus()
        status.length = ctypes.sizeof(status)
        said = ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))
        return int(status.total) if said else None
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None


def free_disk(folder: Path) -> int | None:
    """Free bytes where `folder` is or will be; None when it cannot be made there."""
    for place in (folder, *folder.parents):
        if place.exists():
            if not place.is_dir() or not os.access(place, os.W_OK):
                return None
            return shutil.disk_usage(place).free
    return None
