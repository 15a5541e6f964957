"""What a strip shows: the scores of one exchange, and where its model slices lie.

Knows numbers and millimetres; does not know views, pixels or colours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt
from slicer.i18n import tr as _

from med2e3.errors import InputError
from med2e3.volume import SliceMap

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Stack:
    """The planes of the model slices, as a ruler through the patient.

    A point's *level* counts in model slices along the ruler: slice i lies at level i and stands for
    the levels from i - 0.5 to i + 0.5.

    Args:
        positions_ras: centres of the model slices, mm RAS, shape (count, 3).
        normal_ras: unit vector perpendicular to the slices, from the first to the last.
        spacing_mm: distance of neighbouring slices along the normal.
    """

    positions_ras: Vector
    normal_ras: Vector
    spacing_mm: float

    @classmethod
    def of(cls, slice_map: SliceMap) -> Self | None:
        """The planes of a map, or ``None`` where it has no positions."""
        positions = [place.position_ras_mm for place in slice_map.slices]
        normal = slice_map.normal_lps
        if None in positions or normal is None or not slice_map.spacing_mm:
            return None
        return cls(
            np.array(positions, dtype=np.float64),
            np.array([-normal[0], -normal[1], normal[2]]),
            slice_map.spacing_mm,
        )

    def __len__(self) -> int:
        return len(self.positions_ras)

    def moved(self, matrix: Vector) -> Self:
        """The planes after a linear transform (4x4, mm RAS), which keeps them parallel."""
        positions = self.positions_ras @ matrix[:3, :3].T + matrix[:3, 3]
        normal = np.linalg.inv(matrix[:3, :3]).T @ self.normal_ras
        length = float(np.linalg.norm(normal))
        return type(self)(positions, normal / length, self.spacing_mm / length)

    def level(self, point_ras: Vector) -> float:
        """Where a point (mm RAS) lies along the ruler."""
        return float(self.normal_ras @ (point_ras - self.positions_ras[0]) / self.spacing_mm)


@dataclass(frozen=True, eq=False)
class Shown:
    """The scores of one exchange.

    Args:
        slice_map: where its model slices lie.
        scores: one score per model slice, in the map's order; they sum to 1.
        title: a few words for the legend; never patient data.
        motion: 4x4, mm RAS, from where the volume lay when the question was asked to where it is
            now; ``None`` when that cannot be said, and so no strip can be drawn.

    Raises:
        InputError: if the scores do not belong to the map.
    """

    slice_map: SliceMap
    scores: Sequence[float]
    title: str = ""
    motion: Vector | None = field(default_factory=lambda: np.eye(4))

    def __post_init__(self) -> None:
        if not self.scores or len(self.scores) != len(self.slice_map):
            raise InputError(
                _(
                    "This answer has {scores} scores for {slices} slices, so its strip cannot be "
                    "drawn."
                ).format(scores=len(self.scores), slices=len(self.slice_map))
            )
        if not np.isfinite(self.scores).all() or min(self.scores) < 0:
            raise InputError(
                _("The scores of this answer are damaged: not all are numbers above 0.")
            )

    @cached_property
    def relative(self) -> tuple[float, ...]:
        """The scores as multiples of uniform."""
        return tuple(float(score) * len(self.scores) for score in self.scores)

    @cached_property
    def stack(self) -> Stack | None:
        """The planes of the model slices now, or ``None`` where they have no position."""
        stack = Stack.of(self.slice_map)
        if stack is None or self.motion is None:
            return None
        return stack.moved(self.motion)

    @cached_property
    def hottest(self) -> tuple[int, ...]:
        """Indices of all model slices, highest score first; equal ones in the model's order."""
        return tuple(sorted(range(len(self.scores)), key=lambda index: -self.scores[index]))
