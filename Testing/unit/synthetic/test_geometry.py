"""Labels, side, level and slices against positions in the patient."""

from __future__ import annotations

import numpy as np
import pytest

from med2e3.synthetic.anatomy import ID, LESIONS
from med2e3.synthetic.lesions import insert_lesion
from med2e3.synthetic.phantom import make_phantom
from med2e3.synthetic.scene import Scene
from med2e3.synthetic.view import Seen, raster_of, see
from med2e3.volume import SliceMap, prepare, volume_from_array

SIZE = (32, 64, 64)
WINDOW = (40.0, 400.0)
PLANES = ("axial", "coronal", "sagittal")


def with_lesion(plane: str, region: str, seed: int) -> tuple[Scene, Seen]:
    rng = np.random.default_rng([seed, 11])
    while True:
        scene = make_phantom(rng, region)
        if insert_lesion(scene, rng, raster_of(scene, plane, WINDOW, SIZE)):
            seen = see(scene, plane, WINDOW, SIZE)
            if seen.lesion_is_clear:
                return scene, seen


def slice_map(scene: Scene, plane: str) -> SliceMap:
    volume = volume_from_array(scene.hu, scene.ijk_to_lps, modality="CT", declares_hu=True)
    return prepare(volume, SIZE, window=WINDOW, plane=plane).slice_map


def lesion_lps(scene: Scene) -> np.ndarray:
    """(n, 3): where the lesion's voxels lie in the patient."""
    voxels = np.argwhere(scene.lesion.mask)[:, ::-1]
    return voxels @ scene.ijk_to_lps[:3, :3].T + scene.ijk_to_lps[:3, 3]


@pytest.mark.parametrize("region", ["chest", "abdomen", "pelvis"])
@pytest.mark.parametrize("plane", PLANES)
def test_the_lesions_slices_are_where_it_lies_in_the_patient(plane: str, region: str) -> None:
    for seed in range(4):
        scene, seen = with_lesion(plane, region, seed)
        places = slice_map(scene, plane)
        axis = {"axial": 2, "coronal": 1, "sagittal": 0}[plane]
        along = lesion_lps(scene)[:, axis]
        found = [places.slices[i].position_lps_mm[axis] for i in seen.lesion_slices]
        reach = places.spacing_mm / 2 + scene.spacing_kji.max()
        assert along.min() - reach <= min(found) and max(found) <= along.max() + reach
        middle = np.zeros(3)
        middle[axis] = along.mean()
        assert places.nearest(middle) in seen.lesion_slices
        assert seen.lesion_slices == tuple(range(seen.lesion_slices[0], seen.lesion_slices[-1] + 1))


def test_side_and_level_are_the_patients() -> None:
    sides, levels = set(), set()
    for seed in range(18):
        plane = PLANES[seed % 3]
        scene, seen = with_lesion(plane, ("chest", "abdomen", "pelvis")[seed // 3 % 3], seed)
        x, _, z = lesion_lps(scene).mean(axis=0)
        if seen.side is not None:
            assert seen.side == ("left" if x > 0 else "right")
            sides.add(seen.side)
        if seen.level is not None:
            # a phantom's body fills its field of view from end to end
            low = scene.ijk_to_lps[2, 3]
            share = (z - low) / (scene.spacing_kji[0] * (scene.hu.shape[0] - 1))
            wanted = "lower" if share < 1 / 3 else "middle" if share < 2 / 3 else "upper"
            assert seen.level == wanted
            levels.add(seen.level)
    assert sides == {"left", "right"}
    assert levels == {"upper", "middle", "lower"}


@pytest.mark.parametrize("plane", PLANES)
def test_the_display_is_radiological(plane: str) -> None:
    """The patient's right is at the left of axial and coronal pictures, and first in sagittal."""
    scene = make_phantom(np.random.default_rng(5), "abdomen")
    seen = see(scene, plane, WINDOW, SIZE)
    liver = np.argwhere(seen.labels == ID["liver"]).mean(axis=0) / SIZE
    spleen = np.argwhere(seen.labels == ID["spleen"]).mean(axis=0) / SIZE
    across = 0 if plane == "sagittal" else 2
    assert liver[across] < 0.5 < spleen[across]
    if plane != "axial":  # the head is up
        kidneys = np.isin(seen.labels, (ID["right kidney"], ID["left kidney"]))
        assert liver[1] < np.argwhere(kidneys).mean(axis=0)[1] / SIZE[1]


def test_labels_follow_the_voxels() -> None:
    """What is labelled air, bone or lesion looks like it, in every plane."""
    for plane in PLANES:
        scene = make_phantom(np.random.default_rng(8), "chest", "portal venous")
        seen = see(scene, plane, WINDOW, SIZE)
        for name in ("right lung", "left lung", "background"):
            assert np.median(seen.voxels[seen.labels == ID[name]]) < 0.05
        assert np.median(seen.voxels[seen.labels == ID["heart"]]) > 0.6
        assert np.median(seen.voxels[seen.labels == ID["spine"]]) > 0.6


def test_a_seen_lesion_differs_from_what_was_there_before() -> None:
    rng = np.random.default_rng(21)
    for plane in PLANES:
        for region in ("chest", "abdomen", "pelvis"):
            while True:
                scene = make_phantom(rng, region)
                before = see(scene, plane, WINDOW, SIZE).voxels
                if insert_lesion(scene, rng, raster_of(scene, plane, WINDOW, SIZE)):
                    after = see(scene, plane, WINDOW, SIZE)
                    if after.lesion_is_clear:
                        break
            changed = np.abs(after.voxels - before)
            inside = np.isin(after.labels, LESIONS)
            assert np.median(changed[inside]) > 0.08
            far = np.ones(SIZE, bool)
            low, high = np.argwhere(inside).min(axis=0) - 4, np.argwhere(inside).max(axis=0) + 5
            far[tuple(slice(max(a, 0), b) for a, b in zip(low, high, strict=True))] = False
            assert changed[far].max() == 0
            assert 2 <= len(after.lesion_slices) <= 7
