"""Where a lesion is put does not depend on what the allocator does with memory it gets back."""

from __future__ import annotations

import os
import subprocess
import sys

_CENTERS = """
import numpy as np
from med2e3.synthetic.lesions import insert_lesion
from med2e3.synthetic.phantom import make_phantom
from med2e3.synthetic.view import raster_of

for seed in range(3):
    rng = np.random.default_rng(seed)
    scene = make_phantom(rng, "abdomen")
    raster = raster_of(scene, "axial", (40.0, 400.0), (32, 64, 64))
    assert insert_lesion(scene, rng, raster)
    print(scene.lesion.kind, scene.lesion.center_lps_mm)
"""


def centers(**environment: str) -> str:
    return subprocess.check_output(
        [sys.executable, "-c", _CENTERS], env=os.environ | environment, text=True
    )


def test_the_distances_are_read_while_they_are_there() -> None:
    usual = centers()
    # glibc writes over what is freed; or gives it back at once, and reading it ends the process
    assert centers(MALLOC_PERTURB_="85", MALLOC_MMAP_THRESHOLD_=str(2**25)) == usual
    assert centers(MALLOC_MMAP_THRESHOLD_="4096") == usual
