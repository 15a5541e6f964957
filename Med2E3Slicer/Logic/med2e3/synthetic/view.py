"""What the model sees of a scene, and the same for its labels.

Knows how labels follow the voxels through orientation, crop and resize, and where a lesion lies in
the patient: its slices, its side, its level.  Knows nothing of wording.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from med2e3.synthetic.anatomy import LESIONS, LEVELS, ORGANS, SIDES
from med2e3.synthetic.scene import Affine, Float32, Labels, Scene
from med2e3.volume import ModelInput, prepare, volume_from_array
from med2e3.volume.orientation import View, view_of
from med2e3.volume.resample import Box, foreground_box, taps

#: fewer voxels of a slice than this do not count as a lesion's part of it
_LEAST_VOXELS = 3
#: an organ is in the field of view from so many voxels of the model input on
_LEAST_ORGAN = 120
#: and certainly not from so few on
_TRACE_OF_ORGAN = 10
#: nearer than this to the border of a third (share of the volume), no level is told
LEVEL_MARGIN = 0.05
#: nearer than this to the middle (share of the body's width), no side is told
SIDE_MARGIN = 0.06
_PLACES = 3
#: a lesion that can be seen covers so many model slices, ...
_CLEAR_SLICES = (2, 7)
#: ... is so many pixels wide and high in one of them, and differs so much (of 0..1) around
_CLEAR_PIXELS, _CLEAR_CONTRAST = 3, 0.08


@dataclass(frozen=True)
class Raster:
    """The model's slices and pixels on the grid of a volume.

    Args:
        steps_kji: distance of neighbouring slices or pixels along each axis of the volume (mm).
        slice_axis: along which the slices follow each other (0 = k, 1 = j, 2 = i).
        box_kji: what is left of the volume after the crop, half-open.
    """

    steps_kji: npt.NDArray[np.float64]
    slice_axis: int
    box_kji: Box

    def shares(
        self, voxels: npt.NDArray[np.intp], ijk_to_lps: Affine
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Where voxels lie in what the model sees.

        Args:
            voxels: (n, 3) indices k, j, i.
            ijk_to_lps: of the volume.

        Returns:
            Share of the way from the patient's right to left, and from the upper to the lower end.
        """
        found = []
        for patient_axis, sign in ((0, 1), (2, -1)):
            axis = 2 - int(np.argmax(np.abs(ijk_to_lps[patient_axis, :3])))
            low, high = self.box_kji[axis]
            share = (voxels[:, axis] + 0.5 - low) / (high - low)
            grows = ijk_to_lps[patient_axis, 2 - axis] * sign > 0
            found.append(share if grows else 1 - share)
        return found[0], found[1]


def raster_of(
    scene: Scene, plane: str, window: tuple[float, float], size: tuple[int, int, int]
) -> Raster:
    """The raster that `see` with the same arguments will use."""
    view = view_of(scene.ijk_to_lps, plane, "standard")
    oriented = view.apply(scene.hu)
    crop = foreground_box(oriented, window[0] - window[1] / 2)
    assert crop is not None
    steps, box = np.zeros(3), [(0, 0)] * 3
    for position, (source, flip) in enumerate(zip(view.axes, view.flips, strict=True)):
        axis, (low, high), n = 2 - source, crop[position], oriented.shape[position]
        steps[axis] = (high - low) * scene.spacing_kji[axis] / size[position]
        box[axis] = (n - high, n - low) if flip else (low, high)
    return Raster(steps, 2 - view.axes[0], (box[0], box[1], box[2]))


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

    @property
    def lesion_is_clear(self) -> bool:
        """Whether the lesion can be seen: slices, pixels, and contrast to what is around it."""
        if not _CLEAR_SLICES[0] <= len(self.lesion_slices) <= _CLEAR_SLICES[1]:
            return False
        lesion = np.isin(self.labels, LESIONS)
        largest = int(np.argmax(lesion.sum(axis=(1, 2))))
        mask, picture = lesion[largest], self.voxels[largest]
        if min(np.ptp(np.argwhere(mask), axis=0)) + 1 < _CLEAR_PIXELS:
            return False
        ring = _grown(mask, 3) & ~_grown(mask, 1)
        contrast = abs(np.median(picture[mask]) - np.median(picture[ring]))
        return bool(contrast >= _CLEAR_CONTRAST)


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
    lesion = np.isin(labels, LESIONS)
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
    lesion = np.isin(others, LESIONS)
    result[lesion] = others[lesion]
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
    elif abs(towards_left - 0.5) > SIDE_MARGIN:
        side = SIDES[int(towards_left > 0.5)]
    from_top = (1 - towards_head) * len(LEVELS)
    level = None
    if abs(from_top - round(from_top)) > LEVEL_MARGIN * _PLACES or round(from_top) in (0, _PLACES):
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


def _grown(mask: npt.NDArray[np.bool_], pixels: int) -> npt.NDArray[np.bool_]:
    """(rows, columns): the mask and what is near it."""
    for _ in range(pixels):
        wide = np.pad(mask, 1)
        mask = (
            wide[1:-1, 1:-1] | wide[:-2, 1:-1] | wide[2:, 1:-1] | wide[1:-1, :-2] | wide[1:-1, 2:]
        )
    return mask
