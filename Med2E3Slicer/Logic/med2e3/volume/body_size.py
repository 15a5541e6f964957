"""Is the body as wide as the header's spacing says?

Knows how large a chest is. Measures in HU volumes only; does not change anything.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from med2e3.volume.orientation import view_of
from med2e3.volume.volume import Voxels

_TISSUE_HU = -300.0
_LUNG_HU = (-970.0, -600.0)
#: a slice counts as chest when lung fills this part of the rectangle around the body
_LUNG_FRACTION = 0.12
#: and when this part of its lung pixels has lung to the right
_LUNG_BESIDE_LUNG = 0.6
#: a column between the lungs has less of the lung pixels of a column through the smaller lung
_BETWEEN_LUNGS = 0.3
#: and is solid in more than this part; lung that the picture cuts is not counted as lung
_SOLID = 0.5
#: a picture of both lungs, and not a part with one of them, has both in this part of its slices
_MOST_SLICES = 2 / 3
#: narrower is a small child or a wrong spacing; wider does not fit into a scanner
CHEST_WIDTH_MM = (180.0, 700.0)
#: what takes less of a row or column than this is not body
_THIN = 0.05
#: a body of fewer rows or columns is too coarse to be judged
_FEWEST_PIXELS = 32
#: slices, rows, columns that are looked at, at most about twice as many
_MOST = (24, 160, 160)


@dataclass(frozen=True)
class Body:
    """What was measured.

    Args:
        width_mm: right to left, median of the slices measured.
        depth_mm: front to back.
        has_lungs: whether both were measured across the lungs.
    """

    width_mm: float
    depth_mm: float
    has_lungs: bool


def measure_body(voxels: Voxels, ijk_to_lps: npt.NDArray[np.float64]) -> Body | None:
    """Measure the body in axial slices; ``None`` where it is cut off by the image or not there.

    Args:
        voxels: (K, J, I) in HU.
        ijk_to_lps: 4x4.
    """
    view = view_of(ijk_to_lps, "axial", "standard")
    oriented = view.apply(voxels)
    spacing = np.linalg.norm(ijk_to_lps[:3, :3], axis=0)[list(view.axes)]
    steps = [max(1, n // most) for n, most in zip(oriented.shape, _MOST, strict=True)]
    sample = oriented[:: steps[0], :: steps[1], :: steps[2]]
    pixel = spacing[1:] * steps[1:]

    slices = [m for m in (_measure_slice(s) for s in sample) if m is not None]
    whole = [m for m in slices if not m.cut_off]
    chests = [m for m in slices if m.lungs == 2]
    with_lung = [m for m in slices if m.lungs > 0]
    is_chest = len(chests) >= max(2, len(whole) // 8, _MOST_SLICES * len(with_lung))
    # with both lungs in the picture, a body that is cut off is hardly wider than the picture
    chosen = chests if is_chest else whole
    if not chosen:
        return None
    depth, width = np.median([(m.depth, m.width) for m in chosen], axis=0) * pixel
    return Body(float(width), float(depth), is_chest)


@dataclass(frozen=True)
class _Slice:
    """Size of the body in pixels, how many lungs it holds, whether its sides are cut off."""

    depth: int
    width: int
    lungs: int
    cut_off: bool


def _measure_slice(picture: Voxels) -> _Slice | None:
    """Measure one slice; ``None`` if there is hardly anything in it."""
    tissue = picture > _TISSUE_HU
    # not the thin lines of blankets and table
    rows = np.flatnonzero(tissue.sum(axis=1) > _THIN * picture.shape[1])
    columns = np.flatnonzero(tissue.sum(axis=0) > _THIN * picture.shape[0])
    if rows.size < _FEWEST_PIXELS or columns.size < _FEWEST_PIXELS:
        return None
    box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    inside, solid = picture[box], tissue[box]
    lung = (inside > _LUNG_HU[0]) & (inside < _LUNG_HU[1]) & _enclosed(solid)
    lungs = 0
    if lung.mean() > _LUNG_FRACTION and _is_one_piece(lung):
        lungs = 2 if _on_both_sides(lung, solid) else 1
    cut_off = bool(columns[0] == 0 or columns[-1] == picture.shape[1] - 1)
    return _Slice(inside.shape[0], inside.shape[1], lungs, cut_off)


def _is_one_piece(lung: npt.NDArray[np.bool_]) -> bool:
    """Whether lung lies beside lung, as it does not in noise."""
    return bool(lung[:, 1:][lung[:, :-1]].mean() > _LUNG_BESIDE_LUNG)


def _on_both_sides(lung: npt.NDArray[np.bool_], solid: npt.NDArray[np.bool_]) -> bool:
    """Whether there is lung at the left and the right, and something solid between."""
    left, middle, right = (part.sum(axis=0) for part in np.array_split(lung, 3, axis=1))
    between = middle < _BETWEEN_LUNGS * min(left.max(), right.max())
    between &= np.array_split(solid, 3, axis=1)[1].mean(axis=0) > _SOLID
    return bool(between.any())


def _enclosed(solid: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Pixels with something solid to the left, to the right, above and below."""
    before, after = np.maximum.accumulate, slice(None, None, -1)
    left, right = before(solid, axis=1), before(solid[:, after], axis=1)[:, after]
    above, below = before(solid, axis=0), before(solid[after], axis=0)[after]
    return left & right & above & below
