"""Random changes of a training volume, as published, and what they do to its slices.

Knows arrays of shape (slices, rows, columns) and a random generator.  Knows nothing of questions:
rotations and flips contradict answers about left and right, above and below, and planes (see
docs/training-data.md); :meth:`Augmentation.intensity` and :meth:`Augmentation.displaced` keep the
anatomy as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self, TypeVar

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
_Scalar = TypeVar("_Scalar", bound=np.generic)


@dataclass(frozen=True)
class Augmentation:
    """What may happen to a volume, and how likely each change is.

    Args:
        rotate_probability: of a turn by 90, 180 or 270 degrees (equally likely) in the plane of
            rows and columns.
        flip_probability: of mirroring along slices, rows and columns, each by itself.
        scale: values are multiplied by 1 + u, u uniform in [-scale, scale].
        scale_probability: of that.
        shift: u uniform in [-shift, shift] is added to all values.
        shift_probability: of that.
        displacement: pictures are moved along rows and along columns by up to this share of their
            size, each by itself; what lies at their edge is repeated.

    Values are not clipped to 0..1 afterwards, since the published recipe does not do it.

    Raises:
        ValueError: for a probability beyond 0..1 or a negative range.
    """

    rotate_probability: float = 0.0
    flip_probability: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: float = 0.0
    scale_probability: float = 0.0
    shift: float = 0.0
    shift_probability: float = 0.0
    displacement: float = 0.0

    def __post_init__(self) -> None:
        chances = (
            self.rotate_probability,
            *self.flip_probability,
            self.scale_probability,
            self.shift_probability,
        )
        if len(self.flip_probability) != 3 or not all(0 <= chance <= 1 for chance in chances):
            raise ValueError("a probability lies between 0 and 1; flips need three")
        if self.scale < 0 or self.shift < 0 or not 0 <= self.displacement < 1:
            raise ValueError("a range of scale or shift is not negative, a displacement is a share")

    @classmethod
    def published(cls) -> Self:
        """Return the published recipe: turns 0.5, flips 0.1, scale ±10 % and shift ±0.1 at 0.5."""
        return cls(
            rotate_probability=0.5,
            flip_probability=(0.1, 0.1, 0.1),
            scale=0.1,
            scale_probability=0.5,
            shift=0.1,
            shift_probability=0.5,
        )

    @classmethod
    def intensity(cls) -> Self:
        """Return the published changes of intensity alone, so that left remains left."""
        return cls(scale=0.1, scale_probability=0.5, shift=0.1, shift_probability=0.5)

    @classmethod
    def displaced(cls) -> Self:
        """Return a displacement that sides and levels bear: less than made data leave untold."""
        return cls(displacement=0.05)

    @classmethod
    def none(cls) -> Self:
        """Return what changes nothing."""
        return cls()


@dataclass(frozen=True)
class Moved:
    """What happened to one volume.

    Args:
        slice_count: number of its slices.
        quarter_turns: in the plane of rows and columns, from rows towards columns, 0 to 3.
        flips: whether slices, rows and columns were mirrored, after the turn.
        scale: values were multiplied by it.
        shift: and then this was added.
        displacement: by how many voxels the pictures were moved towards higher rows and columns,
            after turn and mirroring.
    """

    slice_count: int
    quarter_turns: int = 0
    flips: tuple[bool, bool, bool] = (False, False, False)
    scale: float = 1.0
    shift: float = 0.0
    displacement: tuple[int, int] = (0, 0)

    def apply(self, array: npt.NDArray[_Scalar]) -> npt.NDArray[_Scalar]:
        """Move an array of the volume's shape, such as its labels, in the same way.

        Values are not changed; a view where nothing is displaced.
        """
        turned = np.rot90(array, self.quarter_turns, axes=(1, 2))
        mirrored = turned[tuple(slice(None, None, -1 if flip else 1) for flip in self.flips)]
        for axis, steps in enumerate(self.displacement, 1):
            if steps:
                count = mirrored.shape[axis]
                mirrored = mirrored.take(np.clip(np.arange(count) - steps, 0, count - 1), axis)
        return mirrored

    def slice_at(self, index: int) -> int:
        """Where the slice that was at ``index`` is now.

        Raises:
            IndexError: when there is no such slice.
        """
        if not 0 <= index < self.slice_count:
            raise IndexError(f"slice {index} of {self.slice_count}")
        return self.slice_count - 1 - index if self.flips[0] else index

    def map_slices(self, slices: Iterable[int]) -> tuple[int, ...]:
        """Where slices are now, in ascending order (of ``Sample.slices``).

        Raises:
            IndexError: when there is no such slice.
        """
        return tuple(sorted(self.slice_at(index) for index in slices))


def augment(
    voxels: Float32, augmentation: Augmentation, rng: np.random.Generator
) -> tuple[Float32, Moved]:
    """Change a volume at random.

    The same generator state gives the same result, and always as many numbers are drawn, whatever
    happens.

    Args:
        voxels: (slices, rows, columns); is not changed.
        augmentation: what may happen.
        rng: where the draws come from.

    Returns:
        a new C-contiguous array of the same shape, and what was done.

    Raises:
        ValueError: for a turn by 90 degrees of slices that are not square.
    """
    moved = _draw(voxels.shape, augmentation, rng)
    if moved.quarter_turns % 2 and voxels.shape[1] != voxels.shape[2]:
        raise ValueError("only square slices can be turned by 90 degrees")
    result = np.array(moved.apply(voxels), dtype=np.float32, order="C")
    if moved.scale != 1.0:
        result *= np.float32(moved.scale)
    if moved.shift != 0.0:
        result += np.float32(moved.shift)
    return result, moved


def _draw(shape: Sequence[int], augmentation: Augmentation, rng: np.random.Generator) -> Moved:
    chances: npt.NDArray[np.float64] = rng.random(6)
    turns = int(rng.integers(1, 4))
    factor, offset, down, right = (float(x) for x in rng.uniform(-1.0, 1.0, 4))
    happens = [
        bool(chance < probability)
        for chance, probability in zip(
            chances,
            (
                augmentation.rotate_probability,
                *augmentation.flip_probability,
                augmentation.scale_probability,
                augmentation.shift_probability,
            ),
            strict=True,
        )
    ]
    slice_count, rows, columns = shape
    farthest = augmentation.displacement
    return Moved(
        slice_count,
        quarter_turns=turns if happens[0] else 0,
        flips=(happens[1], happens[2], happens[3]),
        scale=1.0 + augmentation.scale * factor if happens[4] else 1.0,
        shift=augmentation.shift * offset if happens[5] else 0.0,
        displacement=(round(down * farthest * rows), round(right * farthest * columns)),
    )
