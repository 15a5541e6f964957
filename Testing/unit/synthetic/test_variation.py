"""Scenes that are bent, cut and framed: labels and places in the patient go with the voxels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from med2e3.errors import InputError
from med2e3.synthetic import dataset, variation
from med2e3.synthetic.anatomy import ID
from med2e3.synthetic.phantom import make_phantom
from med2e3.synthetic.scene import Scene
from med2e3.synthetic.variation import _cut, _lay_on_table, _raise_arms, vary


def chest(seed: int = 1, region: str = "chest") -> Scene:
    return make_phantom(np.random.default_rng(seed), region)


def middle_lps(scene: Scene, name: str) -> np.ndarray:
    """Where the middle of a label lies in the patient (mm)."""
    middle = np.argwhere(scene.labels == ID[name]).mean(axis=0)
    place: np.ndarray = scene.ijk_to_lps @ [*middle[::-1], 1.0]
    return place[:3]


def thicken(scene: Scene, rng: np.random.Generator) -> None:
    variation._thicken(scene)


@pytest.mark.parametrize("change", [_lay_on_table, _raise_arms, thicken, _cut])
@pytest.mark.parametrize("flipped", [False, True])
def test_organs_stay_where_they_are_in_the_patient(
    change: Callable[[Scene, np.random.Generator], None], flipped: bool
) -> None:
    for seed in range(6):
        scene = chest(seed)
        if flipped:  # voxels run to the front and to the feet
            scene.hu, scene.labels = scene.hu[::-1, ::-1], scene.labels[::-1, ::-1]
            ends = [0.0, scene.hu.shape[1] - 1.0, scene.hu.shape[0] - 1.0]
            scene.ijk_to_lps[:3, 3] += scene.ijk_to_lps[:3, :3] @ ends
            scene.ijk_to_lps[:3, 1:3] *= -1
        before = {name: middle_lps(scene, name) for name in ("heart", "spine")}
        change(scene, np.random.default_rng(seed))
        for name, place in before.items():
            # thick slices and cuts leave out a voxel or a part
            assert np.abs(middle_lps(scene, name) - place).max() < 12, (seed, name)
        assert scene.labels.shape == scene.hu.shape


@pytest.mark.parametrize("change", [_raise_arms, _lay_on_table])
def test_arms_and_table_lie_in_the_air_and_cover_nothing(
    change: Callable[[Scene, np.random.Generator], None],
) -> None:
    for seed in range(5):
        scene = chest(seed)
        tissue = np.unique(scene.hu[scene.hu > -500])
        labelled = int((scene.labels > ID["body"]).sum())
        change(scene, np.random.default_rng(seed))
        assert int((scene.labels > ID["body"]).sum()) == labelled
        now = scene.hu[scene.hu > -500]
        assert np.isin(tissue, now).all()
        assert len(now) > 1.01 * len(tissue)


def test_arms_are_on_both_sides_of_the_upper_part() -> None:
    scene = chest(3)
    before = scene.hu.shape[2]
    _raise_arms(scene, np.random.default_rng(0))
    beside = (scene.hu.shape[2] - before) // 2
    for side in (scene.hu[:, :, :beside], scene.hu[:, :, -beside:]):
        held = (side > -500).any(axis=(1, 2))
        assert held[-3:].all() and not held[: len(held) // 3].any()


def test_labels_are_bent_with_their_organs() -> None:
    for seed in range(5):
        scene = chest(seed)
        before = {n: float(np.median(scene.hu[scene.labels == ID[n]])) for n in ("heart", "spine")}
        places = scene.hu.copy()
        variation._bend(scene, np.random.default_rng(seed))
        assert np.abs(scene.hu - places).mean() > 5
        for name, value in before.items():
            now = float(np.median(scene.hu[scene.labels == ID[name]]))
            assert now == pytest.approx(value, abs=40)


def test_thick_slices_are_means_of_two_and_twice_as_far_apart() -> None:
    scene = chest(2)
    hu, step = scene.hu, scene.spacing_kji[0]
    between = scene.ijk_to_lps @ [2.0, 5.0, 6.5, 1.0]
    variation._thicken(scene)
    np.testing.assert_allclose(scene.ijk_to_lps @ [2.0, 5.0, 3.0, 1.0], between)
    np.testing.assert_allclose(scene.hu[3], (hu[6] + hu[7]) / 2, rtol=1e-5)
    assert scene.spacing_kji[0] == pytest.approx(2 * step)


def test_only_chests_have_arms_and_the_same_chance_gives_the_same_scene() -> None:
    for region in ("abdomen", "pelvis"):
        for seed in range(12):
            scene = chest(seed, region)
            width = scene.hu.shape[2]
            vary(scene, np.random.default_rng(seed))
            assert scene.hu.shape[2] <= width
    first, second = chest(4), chest(4)
    vary(first, np.random.default_rng(9))
    vary(second, np.random.default_rng(9))
    np.testing.assert_array_equal(first.hu, second.hu)
    np.testing.assert_array_equal(first.labels, second.labels)


def test_withheld_scans_are_measured_on_as_they_are() -> None:
    counts = {"phantoms": 2, "composites": 1, "real": 1, "test_phantoms": 1, "test_real": 4}
    varied = {job.key: job.varied for job in dataset._jobs(counts, 0, dataset.KINDS)}
    assert {key for key, value in varied.items() if not value} == {
        f"test-real/real-0000{i}" for i in range(4)
    }
    assert not any(job.varied for job in dataset._jobs(counts, 0, ()))


def test_kinds_are_varied_by_name_for_training_and_tests_alike(tmp_path: Path) -> None:
    counts = {"phantoms": 1, "composites": 1, "test_phantoms": 1, "test_composites": 1}
    varied = {job.key for job in dataset._jobs(counts, 0, ["composites"]) if job.varied}
    assert varied == {"train/composite-00000", "test-composite/composite-00000"}
    for wrong in (["phantoms", "composite"], "phantoms", True):  # a recipe is not checked for types
        with pytest.raises(InputError, match="kinds of volumes") as refused:
            dataset.synthesize(tmp_path / "no", phantoms=1, varied=wrong)  # type: ignore[arg-type]
        assert "composites" in str(refused.value.hint)
    assert not (tmp_path / "no").exists()


def test_a_varied_data_set_is_another_one(tmp_path: Path) -> None:
    plain = dataset.synthesize(tmp_path / "plain", phantoms=6, seed=2)
    varied = dataset.synthesize(tmp_path / "varied", phantoms=6, seed=2, varied=["phantoms"])
    differ = [not np.array_equal(plain.voxels(key), varied.voxels(key)) for key in plain.entries]
    assert sum(differ) >= 4
    assert all((varied.labels(key) > 0).any() for key in varied.entries)
    with pytest.raises(InputError, match="made otherwise"):
        dataset.synthesize(tmp_path / "plain", phantoms=6, seed=2, varied=["phantoms"])
