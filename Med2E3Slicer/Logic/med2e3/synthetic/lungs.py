"""Lungs of a CT volume without labels: air inside the body that is no gas of the bowel.

Knows densities, connectedness and the patient's axes.  Knows nothing of lesions or of the model.
"""

from __future__ import annotations

import numpy as np
import SimpleITK

from med2e3.synthetic.anatomy import ID
from med2e3.synthetic.scene import Mask, Scene

_AIR_HU = -500.0
#: a connected part of a lung has at least this volume (ml), in a chest and in an abdomen's top
_LEAST_ML = {"chest": 60.0, "abdomen": 40.0}
#: all lungs together have at least this volume (ml), or their presence is left open
_CLEAR_ML = {"chest": 500.0, "abdomen": 150.0}


def label_lungs(scene: Scene) -> None:
    """Mark the lungs of a real volume, right and left by the midline of the body.

    What lies outside the body becomes background.  In an abdomen only air that the upper end cuts
    may be lung; a pelvis has none.  Where it is not clear whether there are lungs, they are taken
    out of ``scene.labelled``.
    """
    air = scene.hu < _AIR_HU
    outside = outside_air(air)
    scene.labels[outside] = ID["background"]
    if scene.region == "pelvis":
        return
    inside = air & ~outside
    lungs = _large_parts(inside, scene)
    ml = float(np.prod(scene.spacing_kji)) / 1000
    volume = float(lungs.sum()) * ml
    if volume >= _CLEAR_ML[scene.region]:
        _mark(scene, lungs, outside)
    elif scene.region == "chest" or volume > 0 or _at_top(inside, scene).sum() * ml > 1:
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


def _large_parts(inside: Mask, scene: Scene) -> Mask:
    parts = SimpleITK.ConnectedComponent(SimpleITK.GetImageFromArray(inside.astype(np.uint8)))
    numbers = SimpleITK.GetArrayFromImage(parts)
    sizes = np.bincount(numbers.ravel()) * float(np.prod(scene.spacing_kji)) / 1000
    kept = sizes >= _LEAST_ML[scene.region]
    kept[0] = False
    if scene.region == "abdomen":
        cut = np.zeros(len(kept), bool)
        cut[np.unique(_at_top(numbers, scene))] = True
        kept &= cut
    large: Mask = kept[numbers]
    return large


def _at_top(array: np.ndarray, scene: Scene) -> np.ndarray:
    """The slice nearest to the head."""
    top: np.ndarray = array[-1 if scene.ijk_to_lps[2, 2] > 0 else 0]
    return top


def _mark(scene: Scene, lungs: Mask, outside: Mask) -> None:
    body = np.flatnonzero((~outside).any(axis=(0, 1)))
    middle = (body[0] + body[-1]) / 2
    towards_left = scene.ijk_to_lps[0, 0] > 0
    left = (np.arange(scene.hu.shape[2]) > middle) == towards_left
    scene.labels[lungs & left] = ID["left lung"]
    scene.labels[lungs & ~left] = ID["right lung"]
