"""What differs from scan to scan besides anatomy: posture, arms, the table, the field of view.

Knows how a scene is bent, cut and framed, with its labels.  Knows nothing of lesions, which are put
in afterwards, or of questions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK

from med2e3.synthetic.anatomy import ID
from med2e3.synthetic.fields import Rng, smooth_field
from med2e3.synthetic.lungs import outside_air
from med2e3.synthetic.scene import Scene

_AIR, _FAT, _MUSCLE, _BONE = -1000.0, -100.0, 50.0, 350.0
_AIR_BELOW = -500.0
#: how far places are moved (standard deviation, mm), and how often a scene is bent
_BENT_MM, _BENT = (2.0, 8.0), 0.6
#: knots of a bend are about so far apart (mm)
_KNOTS_MM = 90.0
#: a body lies turned about its long axis by so much (standard deviation, degrees)
_TURN_DEGREES = 3.0
#: two slices are averaged to one in so many scenes
_THICK = 0.35
_TABLE, _ARMS = 0.4, 0.3
#: how often the field of view ends within the body, and how much a side cuts off at most
_CUT, _LARGEST_CUT = 0.25, 0.1


def vary(scene: Scene, rng: Rng) -> None:
    """Change a scene as scans of one anatomy differ; what is asked about it stays answerable.

    Args:
        scene: is changed; it holds no lesion yet.
        rng: source of chance.
    """
    if rng.random() < _BENT:
        _bend(scene, rng)
    if rng.random() < _THICK:
        _thicken(scene)
    if scene.region == "chest" and rng.random() < _ARMS:
        _raise_arms(scene, rng)
    if rng.random() < _TABLE:
        _lay_on_table(scene, rng)
    if rng.random() < _CUT:
        _cut(scene, rng)


def _bend(scene: Scene, rng: Rng) -> None:
    """Move every place a little, neighbours alike, and turn the whole about the body's axis."""
    shape, spacing = scene.hu.shape, scene.spacing_kji
    spacing_ijk = [float(s) for s in spacing[::-1]]
    knots = [round(n * s / _KNOTS_MM) + 2 for n, s in zip(shape, spacing, strict=True)]
    size = rng.uniform(*_BENT_MM)
    moved = [size * smooth_field(rng, shape, knots) for _ in range(3)]  # along i, j, k
    angle = np.deg2rad(rng.normal(0, _TURN_DEGREES))
    j, i = (
        ((np.arange(n) - (n - 1) / 2) * s).astype(np.float32)
        for n, s in zip(shape[1:], spacing[1:], strict=True)
    )
    moved[0] += np.float32(np.cos(angle) - 1) * i - np.float32(np.sin(angle)) * j[:, None]
    moved[1] += np.float32(np.sin(angle)) * i + np.float32(np.cos(angle) - 1) * j[:, None]
    field = SimpleITK.GetImageFromArray(np.stack(moved, axis=-1).astype(np.float64), isVector=True)
    field.SetSpacing(spacing_ijk)
    transform = SimpleITK.DisplacementFieldTransform(field)

    def resampled(array: npt.NDArray[Any], how: int, beyond: float) -> npt.NDArray[Any]:
        image = SimpleITK.GetImageFromArray(array)
        image.SetSpacing(spacing_ijk)
        moved_image = SimpleITK.Resample(image, image, transform, how, beyond)
        found: npt.NDArray[Any] = SimpleITK.GetArrayFromImage(moved_image)
        return found

    scene.hu = resampled(scene.hu, SimpleITK.sitkLinear, _AIR)
    scene.labels = resampled(scene.labels, SimpleITK.sitkNearestNeighbor, ID["background"])


def _thicken(scene: Scene) -> None:
    """Average every two slices, as a thick reconstruction does."""
    pairs = len(scene.hu) // 2
    scene.hu = scene.hu[: 2 * pairs].reshape(pairs, 2, *scene.hu.shape[1:]).mean(axis=1)
    scene.labels = np.ascontiguousarray(scene.labels[: 2 * pairs : 2])
    affine = scene.ijk_to_lps.copy()
    affine[:3, 3] += affine[:3, 2] / 2
    affine[:3, 2] *= 2
    scene.ijk_to_lps = affine


def _raise_arms(scene: Scene, rng: Rng) -> None:
    """Two arms beside the shoulders and the neck."""
    beside = round(rng.uniform(30.0, 110.0) / scene.spacing_kji[2])
    _pad(scene, ((0, 0), (0, 0), (beside, beside)))
    outside = outside_air(scene.hu < _AIR_BELOW)
    k, j, i = (np.arange(n) * s for n, s in zip(scene.hu.shape, scene.spacing_kji, strict=True))
    from_top = (k[-1] - k if scene.ijk_to_lps[2, 2] > 0 else k) / max(k[-1], 1.0)
    body = np.flatnonzero((~outside).any(axis=(0, 1)))
    middle, half = (i[body[0]] + i[body[-1]]) / 2, (i[body[-1]] - i[body[0]]) / 2
    depth = j[-1] * rng.uniform(0.4, 0.7)
    reach, radius = rng.uniform(0.25, 0.55), rng.uniform(32.0, 46.0)
    outward, backward = rng.uniform(-30.0, 60.0), rng.uniform(-40.0, 40.0)
    height = np.clip(1 - from_top / reach, 0, None)[:, None, None]
    for side in (-1, 1):
        across = i - middle - side * (half - 10 + outward * height)
        along = (j - depth)[:, None] - backward * height
        distance = np.sqrt(across**2 + along**2)
        arm = outside & (distance < radius) & (height > 0)
        bone = np.where(distance < 9, _BONE * 0.6, _BONE)
        tissue = np.where(distance < 13, bone, np.where(distance < radius - 7, _MUSCLE, _FAT))
        scene.hu[arm] = tissue[arm] + rng.normal(0, 10, int(arm.sum())).astype(np.float32)
        if (scene.labels == ID["body"]).any():
            scene.labels[arm] = ID["body"]


def _lay_on_table(scene: Scene, rng: Rng) -> None:
    """A curved plate some way behind the back."""
    behind = scene.ijk_to_lps[1, 1] > 0  # rows run to the back
    gap, thick = rng.uniform(2.0, 60.0), rng.uniform(4.0, 10.0)
    bow = rng.uniform(0.0, 50.0)
    more = round((gap + thick + bow) / scene.spacing_kji[1]) + 1
    edge = (0, more) if behind else (more, 0)
    _pad(scene, ((0, 0), edge, (0, 0)))
    outside = outside_air(scene.hu < _AIR_BELOW)
    rows = np.flatnonzero((~outside).any(axis=(0, 2)))
    j = np.arange(scene.hu.shape[1]) * scene.spacing_kji[1]
    across = np.linspace(-1, 1, scene.hu.shape[2])
    back = j[rows[-1]] if behind else j[rows[0]]
    place = (j - back) if behind else (back - j)
    plate = np.abs(place[:, None] - gap - bow * (1 - across**2) * 0.5 - thick / 2) < thick / 2
    plate &= np.abs(across) < rng.uniform(0.6, 0.95)
    scene.hu[outside & plate] = rng.uniform(-200, 250)


def _cut(scene: Scene, rng: Rng) -> None:
    """A field of view that ends within the body on some sides."""
    spans = [slice(None)]
    affine = scene.ijk_to_lps.copy()
    for axis in (1, 2):
        n = scene.hu.shape[axis]
        low, high = (int(n * rng.uniform(0, _LARGEST_CUT) * (rng.random() < 0.5)) for _ in range(2))
        spans.append(slice(low, n - high))
        affine[:3, 3] += affine[:3, 2 - axis] * low
    scene.hu = np.ascontiguousarray(scene.hu[tuple(spans)])
    scene.labels = np.ascontiguousarray(scene.labels[tuple(spans)])
    scene.ijk_to_lps = affine


def _pad(scene: Scene, widths: tuple[tuple[int, int], ...]) -> None:
    scene.hu = np.pad(scene.hu, widths, constant_values=_AIR)
    scene.labels = np.pad(scene.labels, widths, constant_values=ID["background"])
    affine = scene.ijk_to_lps.copy()
    affine[:3, 3] -= affine[:3, :3] @ [float(widths[2 - axis][0]) for axis in range(3)]
    scene.ijk_to_lps = affine
