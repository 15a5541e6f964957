"""Reads a volume that is a folder of pictures, as M3D-Cap has them.

Knows PNG and JPEG, that the file names are slice numbers, and the published scaling to 0..1: grey
values / 255, then smallest to 0 and largest to 1 over the volume.  Crop and resize are
:func:`med2e3.volume.prepare`'s, which takes the result as it takes an M3D array.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from med2e3.errors import VolumeError
from med2e3.volume import Volume

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg")
_FEWEST_SLICES = 2
_GREY, _GREY_OR_COLOUR = ("L",), ("RGB", "P", "LA", "RGBA")
#: what Pillow raises for a file that is damaged, cut short, or far too large
_DAMAGED = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)


def picture_files(names: Iterable[str]) -> list[str]:
    """Those of the file names that are pictures, hidden ones left out."""
    return [n for n in names if n.lower().endswith(PICTURE_SUFFIXES) and not n.startswith(".")]


def read_picture_stack(folder: Path) -> Volume:
    """Read a folder of pictures, sorted by the number that each file is named with.

    Args:
        folder: its other files are left alone.

    Returns:
        a volume of units ``"normalized"``, shape (pictures, rows, columns), float32 from 0 to 1;
        gaps in the numbering are in its `warnings`.

    Raises:
        VolumeError: for names that are no numbers, a number twice, colour, pictures of different
            sizes or of other than 8 bits, damaged files, or one grey value everywhere.
    """
    files, warnings = _sorted_files(folder)
    voxels: npt.NDArray[np.float32] | None = None
    sizes: Counter[tuple[int, int]] = Counter()
    for index, file in enumerate(files):
        picture = _read_picture(file)
        sizes[picture.shape[0], picture.shape[1]] += 1
        if voxels is None:
            voxels = np.empty((len(files), *picture.shape), np.float32)
        elif picture.shape != voxels.shape[1:]:
            known = " and ".join(f"{columns} x {rows}" for rows, columns in sizes)
            raise VolumeError(
                f"The pictures have different sizes ({known}; {file.name!r} is the first that "
                "differs).",
                hint="Give the pictures of one series.",
            )
        voxels[index] = picture
    assert voxels is not None
    low, high = float(voxels.min()), float(voxels.max())
    if low == high:
        raise VolumeError("All pictures have one and the same grey value.")
    voxels /= np.float32(255)
    voxels -= voxels.min()
    voxels /= voxels.max()
    voxels.flags.writeable = False
    return Volume(voxels, None, "normalized", warnings=tuple(warnings))


def _sorted_files(folder: Path) -> tuple[list[Path], list[str]]:
    """The pictures by number, and what is odd about the numbering."""
    numbered: dict[int, str] = {}
    for name in sorted(picture_files(entry.name for entry in folder.iterdir())):
        stem = name.rpartition(".")[0]
        if not (stem.isascii() and stem.isdecimal()):
            raise VolumeError(
                f"The picture {name!r} is not named by a number, so its place is not known.",
                hint="Name the pictures of a volume 0.png, 1.png and so on.",
            )
        other = numbered.setdefault(int(stem), name)
        if other != name:
            raise VolumeError(
                f"The pictures {other!r} and {name!r} have the same number.",
                hint="Remove the one that does not belong to the volume.",
            )
    if len(numbered) < _FEWEST_SLICES:
        raise VolumeError("The folder holds a single picture; a volume is needed.")
    numbers = sorted(numbered)
    gaps = [
        f"{before + 1}" if after == before + 2 else f"{before + 1} to {after - 1}"
        for before, after in pairwise(numbers)
        if after > before + 1
    ]
    warnings = []
    if gaps:
        missing = numbers[-1] - numbers[0] + 1 - len(numbers)
        shown = ", ".join(gaps[:5]) + (", ..." if len(gaps) > 5 else "")
        warnings.append(f"The numbering of the pictures has gaps: {missing} missing ({shown}).")
    return [folder / numbered[number] for number in numbers], warnings


def _read_picture(file: Path) -> npt.NDArray[np.uint8]:
    """One picture as grey values, shape (rows, columns)."""
    try:
        with Image.open(file, formats=("PNG", "JPEG")) as picture:
            if picture.mode not in (*_GREY, *_GREY_OR_COLOUR):
                raise VolumeError(
                    f"The picture {file.name!r} is not 8-bit grey (its kind is {picture.mode}).",
                    hint="Save it as 8-bit grey.",
                )
            if picture.mode in _GREY:
                return np.asarray(picture)
            colours = np.asarray(picture.convert("RGBA"))
    except VolumeError:
        raise
    except UnidentifiedImageError as error:
        raise VolumeError(
            f"The file {file.name!r} is named as a picture, but its content is not."
        ) from error
    except _DAMAGED as error:
        raise VolumeError(
            f"The picture {file.name!r} is cut short or damaged.",
            hint="Copy the volume again.",
            detail=type(error).__name__,
        ) from error
    red, green, blue, opacity = np.moveaxis(colours, -1, 0)
    if not (np.array_equal(red, green) and np.array_equal(red, blue)):
        raise VolumeError(
            f"The picture {file.name!r} is in colour.", hint="Give grey pictures of a CT."
        )
    if opacity.min() < 255:
        raise VolumeError(f"The picture {file.name!r} is transparent in parts.")
    return np.ascontiguousarray(red)
