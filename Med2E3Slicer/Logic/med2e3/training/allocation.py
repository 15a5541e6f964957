"""Memory that is freed is kept for the next step.

Training takes and frees the same large arrays at every step.  The C library gives each back to the
system at once and asks for it anew, and on a CPU a good part of a small model's step is the
system's clearing of pages.  Knows the C library; knows nothing of training.
"""

from __future__ import annotations

import ctypes

#: of glibc's ``mallopt`` (malloc.h)
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
#: the largest threshold that glibc accepts
_LARGEST = 32 * 2**20
_PAD = 512 * 2**20
_NEVER = 2**31 - 1


def keep_freed_memory() -> bool:
    """Let this process keep what it frees.

    Returns:
        Whether the C library could be told so; elsewhere than on glibc nothing happens.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    settings = ((_MMAP_THRESHOLD, _LARGEST), (_TRIM_THRESHOLD, _NEVER), (_TOP_PAD, _PAD))
    done = [bool(mallopt(*setting)) for setting in settings]
    return all(done)
