"""How long a CT takes from voxels to what the model sees, beside MONAI's transforms.

Builds a synthetic CT of 512 x 512 x 300 int16 voxels, prepares it with ``med2e3.volume.prepare``
and, where MONAI is installed, with the transforms that the reference implementation is built on
(window, foreground crop, trilinear resize), alternately in one run, and compares the results.
MONAI gets the volume in display orientation already; its times hold no reorientation.

    python Testing/benchmarks/preprocessing.py --json preprocessing.json
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from med2e3.volume import MODEL_SIZE, PRESETS, Volume, prepare, volume_from_array

SHAPE = (300, 512, 512)
SPACING_MM = (0.8, 0.8, 1.0)
WINDOW = "soft-tissue"


def synthetic_ct() -> Volume:
    """A body of soft tissue with lungs, spine and noise, in air, stored superior first."""
    random = np.random.default_rng(0)
    y, x = np.ogrid[:512, :512]
    body = ((x - 256) / 210) ** 2 + ((y - 270) / 150) ** 2 < 1
    lungs = ((abs(x - 256) - 95) / 70) ** 2 + ((y - 260) / 100) ** 2 < 1
    spine = ((x - 256) / 28) ** 2 + ((y - 370) / 28) ** 2 < 1
    section = np.where(body, 40, -1000)
    section[lungs] = -850
    section[spine] = 500
    voxels = np.empty(SHAPE, dtype=np.int16)
    for picture in voxels:
        picture[...] = section + random.integers(-25, 25, section.shape)
    ijk_to_lps = np.diag([*SPACING_MM, 1.0])
    ijk_to_lps[2, 2] *= -1
    return volume_from_array(voxels, ijk_to_lps, modality="CT", declares_hu=True)


def monai_pipeline() -> Callable[[np.ndarray], np.ndarray] | None:
    """The same steps with MONAI, or ``None`` where it is not installed."""
    if not installed("monai"):
        return None
    from monai.transforms import Compose, CropForeground, Resize, ScaleIntensityRange

    center, width = PRESETS[WINDOW]
    steps = Compose(
        [
            ScaleIntensityRange(center - width / 2, center + width / 2, 0.0, 1.0, clip=True),
            CropForeground(select_fn=lambda image: image > 0),
            Resize(MODEL_SIZE, mode="trilinear", align_corners=False),
        ]
    )
    return lambda voxels: np.asarray(steps(voxels[None]))[0]


def installed(package: str) -> bool:
    """Whether a package can be imported."""
    return importlib.util.find_spec(package) is not None


def timed(action: Callable[[], Any]) -> float:
    """Seconds that one call takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def summary(seconds: list[float]) -> dict[str, Any]:
    """Median and all values."""
    return {
        "median_s": round(statistics.median(seconds), 4),
        "all_s": [round(s, 4) for s in seconds],
    }


def measure(repeats: int) -> dict[str, Any]:
    """Run both sides alternately after one warm-up each."""
    volume = synthetic_ct()
    monai = monai_pipeline()
    ours = prepare(volume, window=WINDOW)
    result: dict[str, Any] = {
        "benchmark": "preprocessing",
        "machine": {"cpu_count": os.cpu_count(), "platform": platform.platform()},
        "versions": {
            name: version(name) for name in ("numpy", "monai", "torch") if installed(name)
        },
        "volume": {"shape_kji": list(SHAPE), "dtype": "int16", "window": WINDOW},
        "repeats": repeats,
    }
    if monai is not None:
        difference = float(np.abs(monai(volume.voxels) - ours.voxels).max())
        result["largest_difference_to_monai"] = difference
    seconds: dict[str, list[float]] = {
        "check_voxels": [],
        "axial": [],
        "coronal": [],
        "sagittal": [],
    }
    seconds_monai: list[float] = []
    for _ in range(repeats):
        seconds["check_voxels"].append(
            timed(lambda: volume_from_array(volume.voxels, volume.ijk_to_lps, modality="CT"))
        )
        for plane in ("axial", "coronal", "sagittal"):
            seconds[plane].append(timed(lambda p=plane: prepare(volume, window=WINDOW, plane=p)))
        if monai is not None:
            seconds_monai.append(timed(lambda: monai(volume.voxels)))
    result["med2e3"] = {name: summary(values) for name, values in seconds.items()}
    if monai is None:
        result["monai"] = "not installed: pip install monai"
    else:
        result["monai"] = {"axial": summary(seconds_monai)}
        result["monai_over_med2e3"] = round(
            statistics.median(seconds_monai) / statistics.median(seconds["axial"]), 1
        )
    return result


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there, too")
    arguments = parser.parse_args()
    text = json.dumps(measure(arguments.repeats), indent=2)
    if arguments.json:
        arguments.json.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
