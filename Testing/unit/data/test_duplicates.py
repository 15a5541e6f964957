"""The same volume in training and test, however it was saved."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.data.training_files import body, write_stack, write_vqa

from med2e3.cli.main import main
from med2e3.data import VolumeEntry, VolumeStore
from med2e3.data.annotations import is_training
from med2e3.data.duplicates import find_duplicates, leaking
from med2e3.data.signature import GRID, LENGTH, reversed_order, signature, vector
from med2e3.volume import prepare, read_volume

SHAPE = (16, 64, 64)
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    def call(*words: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["med2e3", "data", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), capsys.readouterr().out

    return call


def leaky_folder(root: Path) -> tuple[Path, Path, Path]:
    """Volumes of ``ct_case`` (training) that are in ``ct_quizze`` (test) too, and annotations."""
    source = root / "M3D_Cap"
    scans = [body(seed, (20, 72, 72)) for seed in range(6)]
    rng = np.random.default_rng(0)
    noisy = scans[3] + rng.integers(-3, 4, scans[3].shape) * (scans[3] > 0)
    for number, scan in enumerate(scans):
        write_stack(source / "ct_case" / f"{number}" / "Axial", scan)
    copies = {
        "exact": scans[0],
        "reversed": scans[2][::-1],
        "brighter": (noisy.clip(0, 255) * 0.9).astype(np.uint8),
        "another": body(50, (20, 72, 72)),
    }
    for name, scan in copies.items():
        write_stack(source / "ct_quizze" / name / "Axial", scan)
    write_stack(source / "ct_quizze" / "jpeg" / "Axial", scans[1], "jpeg", quality=60)

    def row(image: str) -> tuple[object, ...]:
        return (f"{image}/Axial.npy", "r", 1, "Which plane?", "axial", "coronal", "sagittal",
                "oblique", "axial", "A")  # fmt: skip

    train = write_vqa(root / "train.csv", [row(f"ct_case/{n}") for n in range(6)])
    names = [*copies, "jpeg"]
    test = write_vqa(
        root / "test.csv", [*(row(f"ct_quizze/{name}") for name in names), row("ct_case/5")]
    )
    return source, train, test


def prepare_words(root: Path, store: Path) -> tuple[object, ...]:
    source, train, test = leaky_folder(root)
    return ("prepare", source, store, "--size", "16,64,64", "--workers", 1,
            "--annotations", train, "--annotations", test, "--vqa", "open")  # fmt: skip


def test_copies_in_training_and_test_are_found_and_taken_out(run: Run, tmp_path: Path) -> None:
    store = tmp_path / "store"
    words = prepare_words(tmp_path, store)
    run(*words)
    code, out = run("duplicates", store)
    assert code == 0
    assert "5 groups of copies: 1 exact and 3 near copies" in out
    assert "5 volumes are learned from that are in another split, too" in out
    with (store / "duplicates.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    groups: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        groups.setdefault(row["group"], []).append(row)
    found = {
        members[0]["key"]: (members[-1]["key"], members[-1]["kind"], members[-1]["slice_order"])
        for members in groups.values()
    }
    assert found == {
        "ct_case/5/Axial": ("ct_case/5/Axial", "first", "same"),
        "ct_quizze/exact/Axial": ("ct_case/0/Axial", "exact", "same"),
        "ct_quizze/jpeg/Axial": ("ct_case/1/Axial", "near", "same"),
        "ct_quizze/reversed/Axial": ("ct_case/2/Axial", "near", "reversed"),
        "ct_quizze/brighter/Axial": ("ct_case/3/Axial", "near", "same"),
    }
    assert {row["leak"] for row in rows} == {"yes"}

    code, out = run("duplicates", store, "--drop-from-train")
    assert "4 volumes and 5 samples were taken out of training." in out
    for _ in range(2):  # a later prepare does not bring them back
        opened = VolumeStore(store)
        assert [k for k, e in opened.entries.items() if is_training(e.split)] == ["ct_case/4/Axial"]
        assert [sample.volume for sample in opened.samples("train")] == ["ct_case/4/Axial"]
        assert len(opened.samples("test")) == 6
        assert "ct_case/5/Axial" in opened.entries, "it stays for testing"
        assert run("check", store)[0] == 0
        assert "0 volumes were prepared, 11 were there already" in run(*words)[1]
    code, out = run("duplicates", store, "--json")
    assert json.loads(out)["leaks"] == {}


def test_a_store_of_another_origin_needs_no_notes_of_signatures(tmp_path: Path) -> None:
    store = VolumeStore.create(tmp_path, SHAPE)
    scan = body(1, SHAPE).astype(np.float32) / 255
    scans = {"a": scan, "b": scan[::-1], "c": body(2, SHAPE).astype(np.float32) / 255}
    for key, voxels in scans.items():
        store.put(key, np.ascontiguousarray(voxels))
    splits = {"a": "test", "b": "train", "c": "train"}
    store.write_index(VolumeEntry(k, splits[k], store.content_sha256(k)) for k in scans)
    (tmp_path / "samples.jsonl").write_text("")
    copies = find_duplicates(store)
    assert [(copy.key, copy.kind, copy.slice_order) for copy in copies] == [
        ("a", "first", "same"),
        ("b", "near", "reversed"),
    ]
    assert leaking(copies) == {"b": "a"}


def test_many_volumes_are_compared_block_by_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("med2e3.data.duplicates._BLOCK", 4)
    shape = (8, 16, 16)
    store = VolumeStore.create(tmp_path, shape)
    for number in range(19):
        store.put(f"{number:02}", body(number % 17, shape).astype(np.float32) / 255)
    store.write_index(VolumeEntry(f"{n:02}", "train", f"not compared {n}") for n in range(19))
    (tmp_path / "samples.jsonl").write_text("")
    copies = find_duplicates(store, 0.9999)
    assert [(c.group, c.key, c.leak) for c in copies] == [
        (1, "00", "no"), (1, "17", "no"), (2, "01", "no"), (2, "18", "no"),
    ]  # fmt: skip


@given(st.integers(0, 2**32 - 1))
def test_a_signature_is_a_unit_vector_that_turns_with_the_slices(seed: int) -> None:
    rng = np.random.default_rng(seed)
    voxels = rng.random((9, 17, 11)).astype(np.float32)
    found = vector(signature(voxels))
    assert found.shape == (LENGTH,)
    assert np.linalg.norm(found) == pytest.approx(1, abs=1e-5)
    turned = vector(signature(np.ascontiguousarray(voxels[::-1])))
    assert float(turned @ reversed_order(found[None])[0]) > 0.9999


def test_a_signature_is_of_the_body_and_not_of_the_black_around_it() -> None:
    voxels = body(4, (16, 48, 48)).astype(np.float32) / 255
    framed = np.pad(voxels, ((3, 1), (20, 5), (2, 30)))
    assert float(vector(signature(voxels)) @ vector(signature(framed))) > 0.99
    other = body(5, (16, 48, 48)).astype(np.float32) / 255
    assert float(vector(signature(voxels)) @ vector(signature(other))) < 0.95


def test_a_signature_holds_the_means_of_the_parts() -> None:
    steps = np.repeat(np.array([0.5, 0.7, 0.6, 0.9], np.float32), 5)
    voxels = np.broadcast_to(steps[:, None, None], (20, 16, 16))
    parts = vector(signature(np.pad(voxels, ((2, 2), (3, 3), (3, 3))))).reshape(GRID)
    assert np.ptp(parts, axis=(1, 2)).max() < 0.01
    assert list(np.argsort(parts[:, 0, 0])) == [0, 2, 1, 3]
    assert not vector(signature(np.zeros((4, 8, 8), np.float32))).any()
    with pytest.raises(ValueError, match="signature"):
        vector("AAAA")


def test_real_scans_of_different_patients_are_no_copies(shared_dir: Path) -> None:
    """And the same scan from DICOM and NRRD is one, in either order of slices."""
    names = ("chest_ct_cip64.nrrd", "chest_ct_dicom", "chest_ct_slicerio.nrrd",
             "abdomen_pelvis_ct_3mm.nii.gz")  # fmt: skip
    volumes = [read_volume(shared_dir / "volumes" / name) for name in names]
    first, second, other, abdomen = (
        vector(signature(prepare(volume, (32, 64, 64)).voxels)) for volume in volumes
    )
    backwards = prepare(volumes[1], (32, 64, 64), slice_order="reversed").voxels
    assert float(first @ second) > 0.9999
    assert float(first @ reversed_order(vector(signature(backwards))[None])[0]) > 0.9999
    for different in (other, abdomen):
        assert float(first @ different) < 0.97
