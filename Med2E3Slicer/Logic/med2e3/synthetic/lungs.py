"""Lungs of a CT volume without labels: air inside the body that is no gas of the bowel.

Knows densities, connectedness and the patient's axes.  Knows nothing of lesions or of the model.
"""

from __future__ import annotations

import numpy as np
import SimpleITK

from med2e3.synthetic.anatomy import ID
from med2e3.synthetic.scene import Mask, Scene

_AIR_HU = -500.0
#: a connected part of a lung has at least this volume (ml) ...
_LEAST_ML = 60.0
#: ... and reaches into this upper share of a chest, which gas of stomach and bowel does not
_UPPER_SHARE = 0.5
#: all lungs together have at least this volume (ml), or their presence is left open
_CLEAR_ML = 500.0


def label_lungs(scene: Scene) -> None:
    """Mark the lungs of a real volume, right and left by the midline of the body.

    What lies outside the body becomes background.  Lungs are marked in a chest only: at the upper
    end of an abdomen they cannot be told from gas, so that there they are taken out of
    ``scene.labelled``, as in a chest without clear lungs.  A pelvis has none.
    """
    air = scene.hu < _AIR_HU
    outside = outside_air(air)
    scene.labels[outside] = ID["background"]
    if scene.region == "pelvis":
        return
    if scene.region == "chest":
        lungs = _large_parts(air & ~outside, scene)
        if float(lungs.sum()) * _voxel_ml(scene) >= _CLEAR_ML:
            _mark(scene, lungs, outside)
            return
    scene.labelled = scene.labelled - {"lungs"}


def outside_air(air: Mask) -> Mask:
    """The air that is connected, within its axial slice, with the border of the slice.

    Args:
        air: (K, J, I).
    """
    apart = np.zeros((2 * air.shape[0], *air.shape[1:]), np.uint8)
    apart[::2] = air  # an empty slice after each, so that nothing is connected across slices
    parts = SimpleITK.ConnectedComponent(SimpleITK.GetImageFromArray(apart))
    numbers = SimpleITK.GetArrayViewFromImage(parts)[::2]
    sides = (numbers[:, 0], numbers[:, -1], numbers[:, :, 0], numbers[:, :, -1])
    touching = np.unique(np.concatenate([side.ravel() for side in sides]))
    outside: Mask = np.isin(numbers, touching[touching > 0])
    return outside


def _voxel_ml(scene: Scene) -> float:
    return float(np.prod(scene.spacing_kji)) / 1000


def _large_parts(inside: Mask, scene: Scene) -> Mask:
    parts = SimpleITK.ConnectedComponent(SimpleITK.GetImageFromArray(inside.astype(np.uint8)))
    numbers = SimpleITK.GetArrayFromImage(parts)
    kept = np.bincount(numbers.ravel()) * _voxel_ml(scene) >= _LEAST_ML
    share = round(len(numbers) * _UPPER_SHARE)
    upper = numbers[-share:] if scene.ijk_to_lps[2, 2] > 0 else numbers[:share]
    high = np.zeros(len(kept), bool)
    high[np.unique(upper)] = True
    kept &= high
    kept[0] = False
    large: Mask = kept[numbers]
    return large


def _mark(scene: Scene, lungs: Mask, outside: Mask) -> None:
    body = np.flatnonzero((~outside).any(axis=(0, 1)))
    middle = (body[0] + body[-1]) / 2
    towards_left = scene.ijk_to_lps[0, 0] > 0
    left = (np.arange(scene.hu.shape[2]) > middle) == towards_left
    scene.labels[lungs & left] = ID["left lung"]
    scene.labels[lungs & ~left] = ID["right lung"]
