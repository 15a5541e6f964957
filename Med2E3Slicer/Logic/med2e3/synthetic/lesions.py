"""Lesions that are put into a volume: where there is room for one, with soft, uneven edges.

Knows kinds of lesions, which organ may hold which, and how large one must be for the model to see
it.  Knows nothing of questions.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import SimpleITK

from med2e3.synthetic.anatomy import ID, LEVELS, ORGAN_OF_LABEL
from med2e3.synthetic.fields import Rng, smooth_field
from med2e3.synthetic.scene import Float32, Lesion, Mask, Scene
from med2e3.synthetic.view import LEVEL_MARGIN, SIDE_MARGIN, Raster

#: kind → organs that may hold it (None: an organ that is not known)
_HOLDERS: dict[str, tuple[str | None, ...]] = {
    "nodule": ("lung", "bladder"),
    "cyst": ("liver", "spleen", "kidney", None),
    "calcification": ("lung", "liver", "spleen", "kidney", "bladder", None),
}
#: how often each is tried, so that small organs and organs of one region are not rare
_KIND_SHARES = {"nodule": 1.0, "cyst": 1.0, "calcification": 0.5}
_ORGAN_SHARES = {"lung": 0.7, "liver": 1.2, "spleen": 2.0, "kidney": 3.0, "bladder": 1.0, None: 1.0}
_HU = {"nodule": (20.0, 90.0), "cyst": (-20.0, 10.0), "calcification": (450.0, 900.0)}
#: mean diameter (mm), where the model's raster does not ask for more
_DIAMETERS = {"nodule": (20.0, 45.0), "cyst": (20.0, 48.0), "calcification": (16.0, 28.0)}
#: a lesion is at least so many model slices thick and at most so many, ...
_SLICES = (2.3, 5.5)
#: ... so many pixels of the model's pictures and so many voxels of the volume wide
_PIXELS, _VOXELS = 3.8, 2.0
#: a lesion differs at least so much from what is around it, and from what was there (HU)
_LEAST_CONTRAST = 40.0
#: darker is black and brighter is white in a soft-tissue window
_BLACK, _WHITE = -150.0, 230.0
#: part of a lesion that lies in the organ that holds it, and in tissue whose organ is not known
_LEAST_INSIDE = {True: 0.98, False: 0.85}
_TRIES = 8
_MARGIN = 0.02


def insert_lesion(
    scene: Scene, rng: Rng, raster: Raster, room: dict[str | None, Mask] | None = None
) -> bool:
    """Put one lesion into a scene, at a level and side by chance as far as there is room.

    Args:
        scene: is changed.
        rng: source of chance.
        raster: of the model, which says how large a lesion must be to be seen.
        room: where a lesion may lie, by organ (None: an organ that is not known); by default in
            the scene's labelled organs.

    Returns:
        Whether there was room for one that can be seen.
    """
    places = room if room is not None else _organ_masks(scene)
    there = {organ for organ, mask in places.items() if mask.any()}
    pairs = [(k, o) for k, organs in _HOLDERS.items() for o in organs if o in there]
    if not pairs:
        return False
    shares = np.array([_KIND_SHARES[kind] * _ORGAN_SHARES[organ] for kind, organ in pairs])
    for _ in range(_TRIES):
        kind, organ = pairs[int(rng.choice(len(pairs), p=shares / shares.sum()))]
        if _try(scene, rng, raster, organ, kind, places[organ]):
            return True
    return False


def _organ_masks(scene: Scene) -> dict[str | None, Mask]:
    masks: dict[str | None, Mask] = {}
    for label, (organ, _) in ORGAN_OF_LABEL.items():
        mask = scene.labels == label
        masks[organ] = masks[organ] | mask if organ in masks else mask
    return masks


def _try(scene: Scene, rng: Rng, raster: Raster, organ: str | None, kind: str, place: Mask) -> bool:
    diameters = _diameters(scene, rng, raster, kind)
    center = _center(scene, rng, raster, place, diameters / 2)
    if center is None:
        return False
    spacing = scene.spacing_kji
    half = np.ceil(0.6 * diameters / spacing).astype(int) + 1
    low = np.maximum(center - half, 0)
    high = np.minimum(center + half + 1, place.shape)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    density = _density(rng, spacing, center, (low, high), diameters)
    core = density > 0.5
    if place[box][core].mean() < _LEAST_INSIDE[organ is not None]:
        return False
    if organ is not None:
        core &= place[box]
    around = scene.hu[box][(density < 0.1) & place[box]]
    if around.size < 8:
        return False
    value = rng.uniform(*_HU[kind])
    shown, nearby = np.clip([value, float(np.median(around))], _BLACK, _WHITE)
    replaced = np.median(np.abs(shown - np.clip(scene.hu[box][core], _BLACK, _WHITE)))
    if min(abs(shown - nearby), float(replaced)) < _LEAST_CONTRAST:
        return False
    grain = rng.normal(0, 6, density.shape).astype(np.float32)
    scene.hu[box] += density * (value + grain - scene.hu[box])
    label = int(scene.labels[tuple(center)])
    scene.labels[box][core] = ID[kind]
    mask = np.zeros(place.shape, bool)
    mask[box] = core
    middle = scene.ijk_to_lps @ [*center[::-1], 1.0]
    scene.lesion = Lesion(
        kind=kind,
        organ=organ,
        paired_side=ORGAN_OF_LABEL.get(label, (None, None))[1],
        center_lps_mm=(float(middle[0]), float(middle[1]), float(middle[2])),
        diameter_mm=float(np.mean(diameters)),
        mask=mask,
    )
    return True


def _diameters(scene: Scene, rng: Rng, raster: Raster, kind: str) -> npt.NDArray[np.float64]:
    """Along k, j, i (mm): as large as the raster asks for, and not thicker than it allows."""
    least = np.maximum(_PIXELS * raster.steps_kji, _VOXELS * scene.spacing_kji)
    axis = raster.slice_axis
    step = raster.steps_kji[axis]
    least[axis] = max(_SLICES[0] * step, _VOXELS * scene.spacing_kji[axis])
    wanted = rng.uniform(*_DIAMETERS[kind]) * rng.uniform(0.88, 1.14, 3)
    wanted[axis] = min(wanted[axis], _SLICES[1] * step)
    chosen: npt.NDArray[np.float64] = np.maximum(wanted, least)
    return chosen


def _center(
    scene: Scene, rng: Rng, raster: Raster, place: Mask, radii: npt.NDArray[np.float64]
) -> npt.NDArray[np.intp] | None:
    """A voxel around which an ellipsoid fits into the mask, level and side by chance."""
    spans = []
    for axis in range(3):
        held = np.flatnonzero(place.any(axis=tuple(a for a in range(3) if a != axis)))
        spans.append(slice(int(held[0]), int(held[-1]) + 1))
    # with the radii as unit of length, the ellipsoid is a ball of radius 1
    image = SimpleITK.GetImageFromArray(np.pad(place[tuple(spans)], 1).astype(np.uint8))
    image.SetSpacing([float(x) for x in (scene.spacing_kji / radii)[::-1]])
    map_of_distances = SimpleITK.SignedMaurerDistanceMap(
        image, insideIsPositive=True, squaredDistance=False, useImageSpacing=True
    )
    # a view does not keep its image alive
    distance = SimpleITK.GetArrayViewFromImage(map_of_distances)[1:-1, 1:-1, 1:-1]
    fits = np.argwhere(distance >= 1.0) + np.array([span.start for span in spans], dtype=np.intp)
    if not len(fits):
        return None
    towards_left, from_top = raster.shares(fits, scene.ijk_to_lps)
    third = from_top * len(LEVELS)
    side_known = np.abs(towards_left - 0.5) > SIDE_MARGIN + _MARGIN
    level_known = np.abs(third - np.clip(np.rint(third), 1, 2)) > (
        (LEVEL_MARGIN + _MARGIN) * len(LEVELS)
    )
    cell = np.floor(third).astype(int) * 2 + (towards_left > 0.5)
    for good in (side_known & level_known, level_known, side_known):
        if good.any():
            fits, cell = fits[good], cell[good]
            break
    chosen = fits[cell == rng.choice(np.unique(cell))]
    center: npt.NDArray[np.intp] = chosen[int(rng.integers(len(chosen)))]
    return center


def _density(
    rng: Rng,
    spacing: npt.NDArray[np.float64],
    center: npt.NDArray[np.intp],
    box: tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]],
    diameters: npt.NDArray[np.float64],
) -> Float32:
    """1 in the lesion, 0 outside, between at its uneven edge."""
    axes = [
        ((np.arange(a, b) - c) * s / (d / 2)).astype(np.float32)
        for a, b, c, s, d in zip(*box, center, spacing, diameters, strict=True)
    ]
    across = np.meshgrid(*axes, indexing="ij")
    radius = np.sqrt(across[0] ** 2 + across[1] ** 2 + across[2] ** 2)
    uneven = smooth_field(rng, radius.shape, (4, 4, 4))
    edge = radius * (1 + 0.05 * uneven)
    density: Float32 = np.clip((1.1 - edge) / 0.2, 0, 1).astype(np.float32)
    return density
