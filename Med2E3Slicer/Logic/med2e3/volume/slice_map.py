"""Where each model slice lies in the patient, and which source slices it stands for.

Knows the affine of the oriented volume, the crop and the number of model slices. Does not know
windows, scores or viewers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from med2e3.errors import InputError
from med2e3.volume.orientation import View
from med2e3.volume.resample import Box

Point = tuple[float, float, float]


@dataclass(frozen=True)
class SlicePlace:
    """Where one model slice lies, and what it stands for.

    Args:
        index: its number, 0 first.
        position_lps_mm: centre of its picture in the patient (mm, LPS), ``None`` if not known.
        source_first: first source slice it stands for, as index along the source's own axis.
        source_last: last such slice, included; never below `source_first`.
    """

    index: int
    position_lps_mm: Point | None
    source_first: int
    source_last: int

    @property
    def position_ras_mm(self) -> Point | None:
        """The same centre in RAS, as Slicer shows it."""
        if self.position_lps_mm is None:
            return None
        x, y, z = self.position_lps_mm
        return 0.0 - x, 0.0 - y, z  # 0.0 - x: no negative zero in exports

    def to_dict(self) -> dict[str, Any]:
        """The slice as it stands in a record (JSON values)."""
        lps, ras = self.position_lps_mm, self.position_ras_mm
        return {
            "index": self.index,
            "position_lps_mm": None if lps is None else list(lps),
            "position_ras_mm": None if ras is None else list(ras),
            "source_first": self.source_first,
            "source_last": self.source_last,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read what `to_dict` gave; other keys are ignored.

        Raises:
            InputError: where a key is missing or is not what it should be.
        """
        try:
            lps = values["position_lps_mm"]
            return cls(
                int(values["index"]),
                None if lps is None else _as_point(lps),
                int(values["source_first"]),
                int(values["source_last"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                "A slice in the record is incomplete or damaged.", detail=repr(error)
            ) from error


@dataclass(frozen=True)
class SliceMap:
    """The model slices in order.

    Model slice i of m stands for the part [i*n/m, (i+1)*n/m) of the n cropped slices, measured
    between slice edges; its picture is taken at the middle of that part, and its source slices are
    those that the part overlaps.

    Args:
        slices: one entry per model slice.
        source_axis: ``"i"``, ``"j"`` or ``"k"``: the source axis that `source_first` counts along.
        normal_lps: unit vector perpendicular to the slices, pointing from the first to the last;
            ``None`` if positions are not known.
        spacing_mm: distance between neighbouring model slices along that normal.
    """

    slices: tuple[SlicePlace, ...]
    source_axis: str
    normal_lps: Point | None = None
    spacing_mm: float | None = None

    def __len__(self) -> int:
        return len(self.slices)

    def nearest(self, position_lps_mm: Iterable[float]) -> int:
        """Index of the model slice whose plane is nearest to a point (mm, LPS).

        Raises:
            InputError: if the positions are not known.
        """
        first = self.slices[0].position_lps_mm
        if first is None or self.normal_lps is None or not self.spacing_mm:
            raise InputError("The slices of this volume have no known position in the patient.")
        offset = np.dot(np.subtract(list(position_lps_mm), first), self.normal_lps)
        return int(np.clip(np.rint(offset / self.spacing_mm), 0, len(self.slices) - 1))

    def as_records(self) -> list[dict[str, Any]]:
        """One JSON-able object per model slice, as in the record of an exchange."""
        return [place.to_dict() for place in self.slices]


def map_slices(
    view: View,
    crop: Box,
    count: int,
    shape_kji: tuple[int, ...],
    ijk_to_lps: npt.NDArray[np.float64] | None,
) -> SliceMap:
    """Build the map of a prepared volume.

    Args:
        view: how the source was oriented.
        crop: what was kept of the oriented volume (half-open indices).
        count: number of model slices.
        shape_kji: shape of the source array.
        ijk_to_lps: the source's affine, or ``None``.
    """
    start, stop = crop[0]
    n = stop - start
    axis = view.axes[0]
    source_count = shape_kji[2 - axis]
    to_lps = None if ijk_to_lps is None else view.oriented_to_lps(ijk_to_lps, shape_kji)
    row, column = ((low + high - 1) / 2 for low, high in crop[1:])

    slices = []
    for index in range(count):
        first = start + index * n // count
        last = start - (-(index + 1) * n // count) - 1  # ceil of the upper edge, less one
        if view.flips[0]:
            first, last = source_count - 1 - last, source_count - 1 - first
        position = None
        if to_lps is not None:
            centre = start + (index + 0.5) * n / count - 0.5
            position = _as_point((to_lps @ [centre, row, column, 1.0])[:3])
        slices.append(SlicePlace(index, position, first, last))

    if to_lps is None:
        return SliceMap(tuple(slices), "ijk"[axis])
    normal = np.cross(to_lps[:3, 1], to_lps[:3, 2])
    normal /= np.linalg.norm(normal)
    step = float(normal @ to_lps[:3, 0])
    if step < 0:
        normal, step = -normal, -step
    return SliceMap(tuple(slices), "ijk"[axis], _as_point(normal), step * n / count)


def _as_point(values: Iterable[float]) -> Point:
    x, y, z = (float(v) + 0.0 for v in values)  # + 0.0: no negative zero in exports
    return x, y, z
