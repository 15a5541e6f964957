"""Ending a process together with everything it started.

Knows process groups (Linux, macOS), which process started which, and ``taskkill`` (Windows); does
not know what the process is.

Slicer's own Python, and that of an environment on Windows, is started by a launcher that waits for
it: the child that leads its own group may be a child of the child. ``taskkill`` finds it as long as
the launcher runs, and is not waited for, as that would hold Slicer for tenths of a second. When
somebody else ended the launcher, the input of what it leaves is closed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")


def kill_tree(pid: int) -> None:
    """End a running child and all that it started, with the groups that they lead.

    On Windows it is ended soon after this returns, elsewhere before.

    What had left its parent before (a daemon) is only found if it is in one of these groups.

    Args:
        pid: the child's id; it must not have been waited for yet.
    """
    if pid <= 0:
        return
    if sys.platform == "win32":
        with suppress(OSError):
            subprocess.Popen(
                [_taskkill(), "/F", "/T", "/PID", str(pid)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                creationflags=subprocess.CREATE_NO_WINDOW,
            )
        return
    for each in [pid, *_descendants(pid)]:
        if not kill_group(each):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(each, signal.SIGKILL)


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


def _taskkill() -> str:
    """The system's own program: by its name alone, one in the working folder would be taken."""
    return str(Path(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32", "taskkill.exe"))


def _descendants(pid: int) -> list[int]:
    """What a process started, and what that started."""
    parents = _parents_of_all()
    found, begun = [pid], 0
    while begun < len(found):
        found += [child for child, parent in parents.items() if parent == found[begun]]
        begun += 1
    return found[1:]


def _parents_of_all() -> dict[int, int]:
    """Each running process's parent; empty where the system does not tell."""
    if _PROC.joinpath("self", "stat").exists():
        return _parents_by_proc()
    try:
        told = subprocess.run(
            ["/bin/ps", "-A", "-o", "pid=,ppid="],
            check=False,
            capture_output=True,
            text=True,
            timeout=5,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    return {int(child): int(parent) for child, parent in map(str.split, told.splitlines())}


def _parents_by_proc() -> dict[int, int]:
    parents = {}
    for folder in _PROC.iterdir():
        if folder.name.isdigit():
            with suppress(OSError, ValueError, IndexError):  # it has ended meanwhile
                # the name, in parentheses, may hold anything
                fields = (folder / "stat").read_bytes().rpartition(b")")[2].split()
                parents[int(folder.name)] = int(fields[1])
    return parents
