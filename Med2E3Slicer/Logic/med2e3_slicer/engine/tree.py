"""Ending a process together with everything it started.

Knows process groups (Linux, macOS) and ``taskkill`` (Windows); does not know what the process is.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress


def kill_tree(pid: int) -> None:
    """End a running child, which leads its own process group, and all that it started, at once.

    A child that has not become the leader of a group yet is ended alone: it has not started
    anything.

    Args:
        pid: the child's id; it must not have been waited for yet.
    """
    if pid <= 0:
        return
    if sys.platform == "win32":
        with suppress(OSError, subprocess.SubprocessError):
            subprocess.run(
                ["taskkill", "/F", "/T", "/PID", str(pid)],
                check=False,
                capture_output=True,
                timeout=5,
                creationflags=subprocess.CREATE_NO_WINDOW,
            )
        return
    if not kill_group(pid):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def kill_group(pid: int) -> bool:
    """End what is left of the group of a child, which itself may have ended.

    While the group has members the system gives its number to no other process.

    Returns:
        Whether there was such a group; always False on Windows, which has none.
    """
    if sys.platform == "win32" or pid <= 0:
        return False
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return False
    return True
