"""What the model sees of a scene, and the same for its labels.

Knows how labels follow the voxels through orientation, crop and resize, and where a lesion lies in
the patient: its slices, its side, its level.  Knows nothing of wording.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from med2e3.synthetic.anatomy import LESION, LEVELS, ORGANS, SIDES
from med2e3.synthetic.scene import Float32, Labels, Scene
from med2e3.volume import ModelInput, prepare, volume_from_array
from med2e3.volume.orientation import View, view_of
from med2e3.volume.resample import taps

#: fewer voxels of a slice than this do not count as a lesion's part of it
_LEAST_VOXELS = 3
#: an organ is in the field of view from so many voxels of the model input on
_LEAST_ORGAN = 120
#: and certainly not from so few on
_TRACE_OF_ORGAN = 10
#: nearer than this to the border of a third (share of the volume), no level is told
_LEVEL_MARGIN = 0.05
#: nearer than this to the middle (share of the body's width), no side is told
_SIDE_MARGIN = 0.06
_PLACES = 3


@dataclass(frozen=True)
class Seen:
    """A scene as the model sees it.

    Args:
        voxels: (slices, rows, columns) in 0..1.
        labels: label of each of these voxels.
        plane: of the slices.
        lesion_slices: model slices that show the lesion; empty without one.
        side: the patient's side of the lesion; None at the middle.
        level: ``upper``, ``middle`` or ``lower`` third of the volume; None near a border.
        organ_slices: for each organ of the labels that is in the field of view, its slices.
        absent: organs that are certainly not in it.
    """

    voxels: Float32
    labels: Labels
    plane: str
    lesion_slices: tuple[int, ...]
    side: str | None
    level: str | None
    organ_slices: dict[str, tuple[int, ...]]
    absent: tuple[str, ...]


def see(scene: Scene, plane: str, window: tuple[float, float], size: tuple[int, int, int]) -> Seen:
    """Prepare a scene for the model exactly as a volume from a file.

    Args:
        scene: what is looked at.
        plane: ``axial``, ``sagittal`` or ``coronal``.
        window: (center, width) in HU.
        size: (slices, rows, columns) of the model.
    """
    volume = volume_from_array(
        scene.hu, scene.ijk_to_lps, modality="CT", declares_hu=True, trust_spacing=True
    )
    seen = prepare(volume, size, window=window, plane=plane)
    view = view_of(volume.ijk_to_lps, plane, "standard")
    labels = _follow(scene.labels, view, seen, size)
    lesion = labels == LESION
    slices = np.flatnonzero(lesion.sum(axis=(1, 2)) >= _LEAST_VOXELS)
    side = level = None
    if scene.lesion is not None and slices.size:
        side, level = _place(scene, view, seen)
    organs, absent = _organs(scene, labels)
    return Seen(
        voxels=seen.voxels,
        labels=labels,
        plane=plane,
        lesion_slices=tuple(int(i) for i in slices),
        side=side,
        level=level,
        organ_slices=organs,
        absent=absent,
    )


def _follow(labels: Labels, view: View, seen: ModelInput, size: tuple[int, int, int]) -> Labels:
    """Labels through the same orientation, crop and resize; the nearest voxel's.

    A lesion is also where the farther of the two voxels that are mixed has a share in it.
    """
    box = seen.preprocessing["crop_box"]
    cropped = view.apply(labels)[tuple(slice(*span) for span in box)]
    nearest, farther = [], []
    for n_in, n_out in zip(cropped.shape, size, strict=True):
        lower, upper, weight = taps(n_in, n_out)
        nearest.append(np.where(weight > 0.5, upper, lower))
        farther.append(np.where(weight > 0.5, lower, upper)[np.abs(weight - 0.5) < 0.2])
        if len(farther[-1]) < n_out:
            mixed = nearest[-1].copy()
            mixed[np.abs(weight - 0.5) < 0.2] = farther[-1]
            farther[-1] = mixed
    result: Labels = np.ascontiguousarray(cropped[np.ix_(*nearest)])
    others = cropped[np.ix_(farther[0], nearest[1], nearest[2])]
    result[others == LESION] = LESION
    return result


def _place(scene: Scene, view: View, seen: ModelInput) -> tuple[str | None, str | None]:
    """Side and level of the lesion within what the model sees."""
    assert scene.lesion is not None
    mask = view.apply(scene.lesion.mask)
    middle = np.argwhere(mask).mean(axis=0)
    to_lps = view.oriented_to_lps(scene.ijk_to_lps, scene.hu.shape)
    shares: dict[int, float] = {}  # patient axis → 0 at its low end, 1 at its high end
    for position, (low, high) in enumerate(seen.preprocessing["crop_box"]):
        axis = int(np.argmax(np.abs(to_lps[:3, position])))
        share = (middle[position] + 0.5 - low) / (high - low)
        shares[axis] = float(share if to_lps[axis, position] > 0 else 1 - share)
    towards_left, towards_head = shares[0], shares[2]
    side = None
    if scene.lesion.paired_side is not None:
        side = scene.lesion.paired_side
    elif abs(towards_left - 0.5) > _SIDE_MARGIN:
        side = SIDES[int(towards_left > 0.5)]
    from_top = (1 - towards_head) * len(LEVELS)
    level = None
    if abs(from_top - round(from_top)) > _LEVEL_MARGIN * _PLACES or round(from_top) in (0, _PLACES):
        level = LEVELS[min(int(from_top), _PLACES - 1)]
    return side, level


def _organs(scene: Scene, labels: Labels) -> tuple[dict[str, tuple[int, ...]], tuple[str, ...]]:
    slices: dict[str, tuple[int, ...]] = {}
    absent: list[str] = []
    for organ, values in ORGANS.items():
        if organ not in scene.labelled:
            continue
        held = np.isin(labels, values)
        count = int(held.sum())
        if count >= _LEAST_ORGAN:
            where = np.flatnonzero(held.sum(axis=(1, 2)) >= _LEAST_VOXELS)
            slices[organ] = tuple(int(i) for i in where)
        elif count <= _TRACE_OF_ORGAN:
            absent.append(organ)
    return slices, tuple(absent)
