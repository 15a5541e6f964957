"""Memory that is freed is kept: the next step finds its pages where the last one left them."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

_PAGES_OF_TEN_STEPS = """
import resource, sys
import numpy as np
from med2e3.training.allocation import keep_freed_memory

if sys.argv[1] == "kept":
    assert keep_freed_memory()

def step():
    return [np.ones(3_000_000, np.float32) for _ in range(4)]

for _ in range(3):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told so")
def test_the_same_arrays_at_every_step_need_no_new_pages() -> None:
    pages = {
        how: int(subprocess.check_output([sys.executable, "-c", _PAGES_OF_TEN_STEPS, how]))
        for how in ("given back", "kept")
    }
    # an array is 12 MB: some 2,900 pages of 4 KiB, or 6 of 2 MiB
    assert pages["given back"] > 200
    assert pages["kept"] < pages["given back"] / 10
