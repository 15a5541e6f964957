"""Lesions that are put into a volume: where there is room for one, with soft, uneven edges.

Knows kinds of lesions, which organ may hold which, and what makes one visible in a soft-tissue
window.  Knows nothing of questions.
"""

from __future__ import annotations

import numpy as np
import SimpleITK

from med2e3.synthetic.anatomy import ID, LESION, ORGAN_OF_LABEL
from med2e3.synthetic.fields import Rng, smooth_field
from med2e3.synthetic.scene import Float32, Lesion, Mask, Scene

#: organ → kinds that it may hold
_KINDS = {
    "lung": ("nodule", "calcification"),
    "liver": ("cyst", "calcification"),
    "spleen": ("cyst", "calcification"),
    "kidney": ("cyst", "calcification"),
    "bladder": ("nodule", "calcification"),
    None: ("cyst", "calcification"),
}
_HU = {"nodule": (20.0, 90.0), "cyst": (-8.0, 12.0), "calcification": (450.0, 900.0)}
#: mean diameter (mm)
_DIAMETERS = {"nodule": (20.0, 48.0), "cyst": (22.0, 48.0), "calcification": (17.0, 28.0)}
#: a lesion differs at least so much from what is around it (HU), or it is not put in
_LEAST_CONTRAST = 38.0
#: brighter than this is white in a soft-tissue window
_WHITE = 240.0
#: share of a lesion that lies in tissue whose organ is not known
_LEAST_INSIDE = 0.85
_TRIES = 60


def insert_lesion(scene: Scene, rng: Rng, room: dict[str | None, Mask] | None = None) -> bool:
    """Put one lesion into a scene.

    Args:
        scene: is changed.
        rng: source of chance.
        room: where a lesion may lie, by organ (None: an organ that is not known); by default in
            the scene's labelled organs.

    Returns:
        Whether there was room for one that can be seen.
    """
    places = room if room is not None else _organ_masks(scene)
    organs = [organ for organ, mask in places.items() if mask.any()]
    if not organs:
        return False
    for _ in range(_TRIES):
        organ = organs[int(rng.integers(len(organs)))]
        kind = str(rng.choice(_KINDS[organ]))
        if _try(scene, rng, organ, kind, places[organ]):
            return True
    return False


def _organ_masks(scene: Scene) -> dict[str | None, Mask]:
    masks: dict[str | None, Mask] = {}
    for label, (organ, _) in ORGAN_OF_LABEL.items():
        mask = scene.labels == label
        masks[organ] = masks[organ] | mask if organ in masks else mask
    return masks


def _try(scene: Scene, rng: Rng, organ: str | None, kind: str, place: Mask) -> bool:
    spacing = scene.spacing_kji
    diameter = rng.uniform(*_DIAMETERS[kind])
    inside = np.argwhere(place)
    center = inside[int(rng.integers(len(inside)))]
    half = np.ceil(0.75 * diameter / spacing).astype(int)
    if np.any(center - half < 1) or np.any(center + half >= np.array(place.shape) - 1):
        return False  # cut by the edge of the volume
    box = tuple(slice(c - h, c + h + 1) for c, h in zip(center, half, strict=True))
    density = _density(rng, spacing, half, diameter)
    core = density > 0.5
    if place[box][core].mean() < (_LEAST_INSIDE if organ is None else 1):
        return False
    around = scene.hu[box][(density < 0.1) & place[box]]
    if around.size < 8:
        return False
    value = rng.uniform(*_HU[kind])
    shown, nearby = min(value, _WHITE), min(float(np.median(around)), _WHITE)
    if organ != "lung" and abs(shown - nearby) < _LEAST_CONTRAST:
        return False
    grain = rng.normal(0, 6, density.shape).astype(np.float32)
    scene.hu[box] += density * (value + grain - scene.hu[box])
    label = int(scene.labels[tuple(center)])
    scene.labels[box][core] = LESION
    mask = np.zeros(place.shape, bool)
    mask[box] = core
    middle = scene.ijk_to_lps @ [*center[::-1], 1.0]
    scene.lesion = Lesion(
        kind=kind,
        organ=organ,
        paired_side=ORGAN_OF_LABEL.get(label, (None, None))[1],
        center_lps_mm=(float(middle[0]), float(middle[1]), float(middle[2])),
        diameter_mm=float(diameter),
        mask=mask,
    )
    return True


def _density(rng: Rng, spacing: np.ndarray, half: np.ndarray, diameter: float) -> Float32:
    """1 in the lesion, 0 outside, between at its uneven edge."""
    stretch = rng.uniform(0.85, 1.18, 3)
    axes = [
        (np.arange(-h, h + 1) * s * f / (diameter / 2)).astype(np.float32)
        for h, s, f in zip(half, spacing, stretch, strict=True)
    ]
    radius = np.sqrt(sum(a**2 for a in np.meshgrid(*axes, indexing="ij")))
    uneven = smooth_field(rng, radius.shape, (4, 4, 4))
    edge = radius * (1 + 0.06 * uneven)
    density: Float32 = np.clip((1.1 - edge) / 0.2, 0, 1).astype(np.float32)
    return density


def label_lungs(scene: Scene) -> None:
    """Mark the lungs of a real volume: dark voxels inside the body, right and left by the midline.

    What lies outside the body becomes background.
    """
    air = scene.hu < -500
    outside = outside_air(air)
    scene.labels[outside] = 0
    lungs = air & ~outside
    if lungs.mean() < 0.02:
        return
    body = np.flatnonzero((~outside).any(axis=(0, 1)))
    middle = (body[0] + body[-1]) / 2
    towards_left = scene.ijk_to_lps[0, 0] > 0
    left = (np.arange(scene.hu.shape[2]) > middle) == towards_left
    scene.labels[lungs & left] = ID["left lung"]
    scene.labels[lungs & ~left] = ID["right lung"]


def outside_air(air: Mask) -> Mask:
    """The air that is connected with the sides of the volume; lungs touch only its ends.

    Args:
        air: (K, J, I).
    """
    parts = SimpleITK.ConnectedComponent(SimpleITK.GetImageFromArray(air.astype(np.uint8)))
    numbers = SimpleITK.GetArrayViewFromImage(parts)
    sides = (numbers[:, 0], numbers[:, -1], numbers[:, :, 0], numbers[:, :, -1])
    touching = np.unique(np.concatenate([side.ravel() for side in sides]))
    outside: Mask = np.isin(numbers, touching[touching > 0])
    return outside
