"""Real CT: what is withheld stays out of training, and lungs are lungs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from med2e3.data import VolumeStore
from med2e3.synthetic.anatomy import LESIONS, ORGANS
from med2e3.synthetic.composites import make_composite, read_slices, slices_of_split
from med2e3.synthetic.lesions import insert_lesion
from med2e3.synthetic.lungs import outside_air
from med2e3.synthetic.real import TRAINED, WITHHELD, make_withheld_scene, room_for_lesions
from med2e3.synthetic.view import raster_of, see


def test_withheld_scans_are_in_no_training_volume(with_real: VolumeStore) -> None:
    assert TRAINED not in WITHHELD.values()
    sources: dict[str, set[str]] = {}
    for entry in with_real.entries.values():
        sources.setdefault(entry.split, set()).add(entry.attributes["source"])
    assert sources["train"] == {"phantom", "composite", "real"}
    assert sources["test-real"] == set(WITHHELD)
    assert sources["test-composite"] == {"composite"}


def test_training_never_opens_a_withheld_file(tmp_path: Path, shared: Path) -> None:
    """A folder in which the withheld files hold nothing gives the same training volumes."""
    from med2e3.synthetic.dataset import synthesize

    bare = tmp_path / "shared"
    (bare / "volumes").mkdir(parents=True)
    for name in WITHHELD.values():
        (bare / "volumes" / name).write_bytes(b"")
    (bare / "volumes" / TRAINED).symlink_to(shared / "volumes" / TRAINED)
    full = synthesize(tmp_path / "full", phantoms=0, real=4, shared=shared)
    without = synthesize(tmp_path / "without", phantoms=0, real=4, shared=bare)
    assert [e.sha256 for e in full.entries.values()] == [e.sha256 for e in without.entries.values()]


def test_no_patient_has_slices_in_training_and_test(shared: Path) -> None:
    train, test = slices_of_split(shared, False), slices_of_split(shared, True)
    assert len(train) > len(test) > 20
    assert len(train) + len(test) == len(read_slices(shared))
    assert not {s.patient for s in train} & {s.patient for s in test}


def test_a_composite_runs_from_head_to_feet(shared: Path) -> None:
    scene = make_composite(np.random.default_rng(2), read_slices(shared), "abdomen")
    air = (scene.hu < -500) & ~outside_air(scene.hu < -500)
    by_height = air.sum(axis=(1, 2))
    assert scene.ijk_to_lps[2, 2] > 0
    assert by_height[-5:].mean() > by_height[:5].mean()  # bases of the lungs are above the bowel


def test_gas_of_the_bowel_is_no_lung(shared: Path) -> None:
    rng = np.random.default_rng(0)
    for _ in range(3):
        pelvis = make_withheld_scene("abdomen_pelvis_ct_3mm, pelvis", rng, shared)
        assert not np.isin(pelvis.labels, ORGANS["lungs"]).any()
        abdomen = make_withheld_scene("abdomen_pelvis_ct_3mm, abdomen", rng, shared)
        held = np.argwhere(np.isin(abdomen.labels, ORGANS["lungs"]))
        assert len(held) and held[:, 0].min() >= abdomen.hu.shape[0] // 2
        chest = make_withheld_scene("chest_ct_slicerio", rng, shared)
        assert np.isin(chest.labels, ORGANS["lungs"]).mean() > 0.05


def test_organs_of_the_abdomen_lie_on_their_sides(shared: Path) -> None:
    scene = make_withheld_scene("abdomen_pelvis_ct_3mm, abdomen", np.random.default_rng(1), shared)
    seen = see(scene, "axial", (40.0, 400.0), (32, 64, 64))
    across = {
        organ: np.argwhere(np.isin(seen.labels, ORGANS[organ]))[:, 2].mean()
        for organ in ("liver", "spleen")
    }
    assert across["liver"] < 32 < across["spleen"]


def test_lesions_in_real_ct_can_be_seen(with_real: VolumeStore) -> None:
    checked = 0
    for entry in with_real.entries.values():
        lesion = entry.attributes["lesion"]
        labels = with_real.labels(entry.key)
        assert np.isin(labels, LESIONS).any() == (lesion is not None)
        if lesion is None:
            continue
        counts = np.isin(labels, LESIONS).sum(axis=(1, 2))
        assert 2 <= (counts >= 3).sum() <= 7
        checked += 1
    assert checked * 2 >= len(with_real.entries) - 8


def test_a_lesion_lies_in_the_organ_it_is_said_to_lie_in(shared: Path) -> None:
    rng = np.random.default_rng(9)
    found = set()
    for _ in range(25):
        scene = make_withheld_scene("abdomen_pelvis_ct_3mm, abdomen", rng, shared)
        before = scene.labels.copy()
        raster = raster_of(scene, "axial", (40.0, 400.0), (32, 64, 64))
        if insert_lesion(scene, rng, raster, room_for_lesions(scene)) and scene.lesion.organ:
            names = {"kidney": "kidneys", "lung": "lungs"}
            organ = names.get(scene.lesion.organ, scene.lesion.organ)
            assert np.isin(before[scene.lesion.mask], ORGANS[organ]).all()
            found.add(organ)
    assert len(found) >= 2
