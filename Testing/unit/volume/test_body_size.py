"""The width of a chest is judged; a part of a chest is not taken for a narrow one."""

from __future__ import annotations

import numpy as np
import pytest

from med2e3.errors import VolumeError
from med2e3.volume import volume_from_array


def chest(spacing: float) -> tuple[np.ndarray, np.ndarray]:
    """A chest 120 of 160 pixels wide with a heart-sized gap between its lungs, and its affine."""
    y, x = np.mgrid[:160, :160] - 79.5
    picture = np.full((160, 160), -1000, dtype=np.int16)
    picture[(x / 60) ** 2 + (y / 42) ** 2 < 1] = 40
    picture[((np.abs(x) - 30) / 20) ** 2 + (y / 30) ** 2 < 1] = -850
    noise = np.random.default_rng(0).integers(-15, 15, (20, 160, 160))
    return (picture + noise).astype(np.int16), np.diag([spacing, spacing, 4.0, 1.0])


@pytest.mark.parametrize(
    "part",
    [
        np.s_[:, :, :78],  # one lung and its wall
        np.s_[:, 50:110, 24:76],  # one lung, cut at all sides
        np.s_[:, 30:130, 55:105],  # the heart and the edges of the lungs
    ],
)
def test_a_part_of_a_chest_is_not_a_narrow_chest(part: tuple[slice, ...]) -> None:
    voxels, affine = chest(2.6)
    assert volume_from_array(voxels[part], affine).warnings == ()


@pytest.mark.parametrize(
    "part",
    [
        np.s_[:, :, :],
        np.s_[:, :, 24:136],  # sides cut off
        np.s_[:, 55:105, 24:136],  # cut at all sides
    ],
)
def test_both_lungs_that_are_too_narrow_mean_a_wrong_spacing(part: tuple[slice, ...]) -> None:
    voxels, affine = chest(1.0)
    with pytest.raises(VolumeError, match="the chest would be only"):
        volume_from_array(voxels[part], affine)


def test_one_lung_beside_air_is_not_called_a_chest() -> None:
    voxels, affine = chest(2.6)
    voxels = voxels.copy()
    voxels[:, :, 78:] = -1000
    assert not any("chest" in said for said in volume_from_array(voxels, affine).warnings)
