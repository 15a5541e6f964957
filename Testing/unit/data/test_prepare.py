"""``med2e3 data``: from files to a store, whatever happens on the way."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK
from unit.data.training_files import body, write_json, write_stack, write_vqa

from fixtures.dicom_files import write_dicom
from fixtures.nifti_files import hounsfield, nifti, saved
from med2e3.cli.main import main
from med2e3.data import VolumeStore
from med2e3.data.pictures import read_picture_stack
from med2e3.volume import prepare, read_volume

SIZE = (8, 16, 16)
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run ``med2e3 data`` in this process: exit code, output, errors."""

    def call(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["med2e3", "data", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr()
        return int(ended.value.code or 0), shown.out, shown.err

    return call


def options(*more: object) -> tuple[object, ...]:
    return ("--size", ",".join(map(str, SIZE)), "--workers", 1, *more)


def m3d_folder(root: Path, cases: int = 2) -> Path:
    """``M3D_Cap`` with stacks, one NIfTI and what is refused, and its annotations beside it."""
    folder = root / "M3D_Cap"
    for number in range(cases):
        case = folder / "ct_case" / f"{number:06}"
        write_stack(case / "Axial_Pöschl", body(number))
        (case / "text.txt").write_text(f"study_findings: Report {number}.", encoding="utf-8")
    return folder


def refusals(store: Path) -> dict[str, str]:
    with (store / "refused.csv").open(encoding="utf-8", newline="") as stream:
        return {row["source"]: row["reason"] for row in csv.DictReader(stream)}


def test_every_kind_of_volume_equals_what_the_model_would_be_asked_about(
    run: Run, tmp_path: Path
) -> None:
    source, store = tmp_path / "source", tmp_path / "store"
    write_stack(source / "stack", body(1))
    array = body(2).astype(np.float32)[None] / 255
    np.save(source / "array.npy", array)
    saved(source / "scan.nii.gz", nifti(hounsfield((9, 30, 32))))
    (source / "dicom").mkdir()
    for k, pixels in enumerate(hounsfield((6, 20, 18))):
        write_dicom(source / "dicom" / f"{k}", pixels, position=f"0\\0\\{4 * k}")
    (source / "broken.nii").write_bytes(b"no volume")
    (source / "other.tif").write_bytes(b"II*\0")
    choices = ("--window", "-100,900", "--plane", "coronal", "--dtype", "float32")
    code, out, err = run("prepare", source, store, *options(*choices))
    assert (code, err) == (0, "")
    assert "4 volumes were prepared, 0 were there already." in out
    assert refusals(store) == {
        "broken.nii": "The file is named as NIfTI, but its content is not. "
        "Give the original file, or export the volume again.",
        ".": "1 file(s) are of no kind that is known here ('other.tif').",
    }
    opened = VolumeStore(store)
    assert sorted(opened.entries) == ["array", "dicom", "scan", "stack"]
    expected = {
        "stack": prepare(read_picture_stack(source / "stack"), SIZE),
        "array": prepare(read_volume(source / "array.npy"), SIZE),
    }
    for name, file in (("scan", "scan.nii.gz"), ("dicom", "dicom")):
        volume = read_volume(source / file)
        expected[name] = prepare(volume, SIZE, window=(-100, 900), plane="coronal")
    for name, model_input in expected.items():
        assert np.array_equal(opened.voxels(name), model_input.voxels), name
        entry = opened.entries[name]
        assert entry.sha256 == opened.content_sha256(name)
        assert entry.split == "unassigned"
    assert opened.entries["scan"].attributes["plane"] == "coronal"
    assert opened.entries["stack"].attributes["source"] == "pictures"


def test_annotations_give_samples_and_splits(run: Run, tmp_path: Path) -> None:
    source, store = m3d_folder(tmp_path, 3), tmp_path / "store"
    images = [f"M3D_Cap_npy/ct_case/{number:06}/Axial_Poschl.npy" for number in range(3)]
    cap = write_json(
        tmp_path / "M3D_Cap.json",
        {
            split: [{"image": images[n], "text": f"M3D_Cap_npy/ct_case/{n:06}/text.txt"}]
            for n, split in enumerate(("train", "validation"))
        },
    )
    row = (images[1], "r", 3, "Which organ?", "Liver", "Lung", "Heart", "Skin", "Lung", "B")
    gone = ("ct_case/9/No.npy", *row[1:])
    vqa = write_vqa(tmp_path / "M3D_VQA_val.csv", [row, gone, (*row[:9], "C")])
    talk = {
        "id": 5, "vision3d": ["ct_case/000002/Axial_Poschl.npy"], "question": "What is it?",
        "conversations": [{"from": "human", "value": "<image3d>\nWhat is it?"},
                          {"from": "gpt", "value": "A liver."}],
    }  # fmt: skip
    talks = write_json(tmp_path / "talks.json", [talk])
    files = ("--annotations", cap, "--annotations", vqa, "--annotations", f"test={talks}")
    code, out, err = run("prepare", source, store, *options(*files))
    assert (code, err) == (0, "")
    opened = VolumeStore(store)
    keys = [f"ct_case/{number:06}/Axial_Poschl" for number in range(3)]
    assert {k: e.split for k, e in opened.entries.items()} == dict(
        zip(keys, ("train", "validation", "test"), strict=True)
    )
    samples = {sample.id: sample for sample in opened.samples()}
    assert sorted(samples) == [
        "5", "M3D_VQA_val/2/closed", "M3D_VQA_val/2/open", "cap/train/1", "cap/validation/1",
    ]  # fmt: skip
    assert samples["cap/train/1"].answer == "Report 0."
    assert samples["cap/validation/1"].answer == "Report 1."
    assert samples["M3D_VQA_val/2/closed"].volume == keys[1]
    assert samples["5"].split == "test"
    assert "validation: 1 samples (closed_vqa)" in out
    with (store / "refused.csv").open(encoding="utf-8", newline="") as stream:
        assert list(csv.reader(stream))[1:] == [
            ["M3D_VQA_val.csv", "4", "Answer Choice C is another text than Answer."],
            ["M3D_VQA_val.csv", "",
             "There is no volume 'ct_case/9/No.npy', so 2 sample(s) were left out."],
        ]  # fmt: skip
    code, _, _ = run("check", store)
    assert code == 0


def write_ct(path: Path, voxels: np.ndarray, affine_flip: bool = False) -> None:
    image = SimpleITK.GetImageFromArray(voxels)
    image.SetSpacing((6.0, 6.0, 10.0))
    if affine_flip:
        image.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))
    path.parent.mkdir(parents=True, exist_ok=True)
    SimpleITK.WriteImage(image, path)


def test_labels_follow_the_volume_and_give_the_slices_of_answers(run: Run, tmp_path: Path) -> None:
    """A bright block is labelled; in the store the label is where the brightness is."""
    rng = np.random.default_rng(0)
    voxels = np.full((24, 48, 40), -1000, np.int16)
    voxels[2:22, 6:42, 4:36] = rng.integers(-20, 20, (20, 36, 32))
    voxels[12:16, 10:20, 8:20] = 190
    labels = np.zeros(voxels.shape, np.uint8)
    labels[2:22, 6:42, 4:36] = 1
    labels[12:16, 10:20, 8:20] = 2
    write_ct(tmp_path / "ct" / "a.nii.gz", voxels, affine_flip=True)
    write_ct(tmp_path / "ct" / "b.nii.gz", voxels)
    write_ct(tmp_path / "ct" / "c.nii.gz", voxels)
    write_ct(tmp_path / "ct" / "d.nii.gz", voxels)
    write_ct(tmp_path / "masks" / "a.nrrd", labels, affine_flip=True)
    write_ct(tmp_path / "masks" / "b.nii.gz", labels, affine_flip=True)
    write_ct(tmp_path / "masks" / "c.nii.gz", labels * 2)
    rows = [("a.npy", "r", 4, "Is there a lesion?", "Yes", "No", "NA", "NA", "Yes", "A")]
    vqa = write_vqa(tmp_path / "train.csv", rows)
    store = tmp_path / "store"
    more = ("--labels", tmp_path / "masks", "--label-names", "body,lesion", "--annotations", vqa)
    code, _, err = run("prepare", tmp_path / "ct", store, *options(*more))
    assert (code, err) == (0, "")
    opened = VolumeStore(store)
    assert sorted(opened.entries) == ["a", "d"]
    assert opened.description["labels"] == ["background", "body", "lesion"]
    reasons = refusals(store)
    assert "Its label volume: The labels lie up to" in reasons["b.nii.gz"]
    assert "Its label volume: The labels run from 0 to 4" in reasons["c.nii.gz"]
    assert opened.labels("d") is None
    assert "d.nii.gz,,It has no label volume." in (store / "remarks.csv").read_text()
    stored = opened.labels("a")
    assert stored is not None
    bright = opened.voxels("a") > 0.64
    inside = stored == 2
    assert (bright & inside).sum() > 0.8 * max(bright.sum(), inside.sum()) > 0
    expected = tuple(int(i) for i in np.flatnonzero(inside.any(axis=(1, 2))))
    assert {sample.slices for sample in opened.samples()} == {expected}
    assert len(expected) == 2, "4 of 20 slices are 1.6 of 8"


def test_a_second_run_keeps_what_is_there_and_makes_what_changed(run: Run, tmp_path: Path) -> None:
    source, store = m3d_folder(tmp_path, 3), tmp_path / "store"
    _, out, _ = run("prepare", source, store, *options())
    before = VolumeStore(store).entries
    _, out, _ = run("prepare", source, store, *options())
    assert "0 volumes were prepared, 3 were there already." in out
    write_stack(source / "ct_case" / "000001" / "Axial_Pöschl", body(77))
    (store / "volumes" / "ct_case" / "000002" / "Axial_Poschl.npy").unlink()
    _, out, _ = run("prepare", source, store, *options())
    assert "2 volumes were prepared, 1 were there already." in out
    after = VolumeStore(store).entries
    same = [key for key in before if before[key] == after[key]]
    assert same == ["ct_case/000000/Axial_Poschl", "ct_case/000002/Axial_Poschl"]
    code, _, err = run("prepare", source, store, *options("--window", "full"))
    assert code == 2
    assert "made otherwise" in err


def command(source: Path, store: Path, *more: object) -> list[str]:
    words = ("prepare", source, store, "--size", "32,256,256", *more)
    code = "from med2e3.cli.main import main; main()"
    return [sys.executable, "-c", code, "data", *map(str, words)]


def wait_for_progress(store: Path, lines: int, process: subprocess.Popen[Any]) -> None:
    journal = store / "progress.jsonl"
    for _ in range(6000):
        if journal.exists() and len(journal.read_bytes().splitlines()) >= lines:
            return
        assert process.poll() is None, "it ended before it could be stopped"
        time.sleep(0.01)
    pytest.fail("nothing was prepared")


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_run_leaves_whole_volumes_only_and_goes_on(
    run: Run, tmp_path: Path, stop: signal.Signals
) -> None:
    source, store = m3d_folder(tmp_path, 16), tmp_path / "store"
    process = subprocess.Popen(
        command(source, store, "--workers", 2),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_for_progress(store, 3, process)
    if stop is signal.SIGKILL:
        process.kill()
    else:
        os.killpg(process.pid, stop)  # as Ctrl-C on a terminal does
    _, err = process.communicate(timeout=60)
    if stop is signal.SIGINT:
        assert process.returncode == 130
        assert err.splitlines() == [
            "Stopped on request; volumes that were prepared are kept.",
            "Run the same command to continue.",
        ]
    files = [f for f in (store / "volumes").rglob("*.npy") if not f.name.startswith(".")]
    assert 3 <= len(files) < 16
    for file in files:
        assert np.load(file, allow_pickle=False).shape == (32, 256, 256)

    same = ("--size", "32,256,256", "--workers", 1)
    for _ in range(500):  # processes of the killed one finish the volume that they are at
        code, out, err = run("prepare", source, store, *same)
        if "Another program" not in err:
            break
        time.sleep(0.02)
    assert (code, err) == (0, "")
    kept = int(out.split(" volumes were prepared, ")[1].split()[0])
    assert 3 <= kept < 16
    whole = tmp_path / "whole"
    run("prepare", source, whole, *same)
    assert (store / "index.jsonl").read_text() == (whole / "index.jsonl").read_text()
    assert not list(store.rglob(".*.part"))
    assert run("check", store)[0] == 0


def test_a_line_that_a_kill_cut_short_is_not_taken_for_done(run: Run, tmp_path: Path) -> None:
    source, store = m3d_folder(tmp_path), tmp_path / "store"
    run("prepare", source, store, *options())
    journal = store / "progress.jsonl"
    journal.write_bytes(journal.read_bytes()[:-30])
    _, out, _ = run("prepare", source, store, *options())
    assert "1 volumes were prepared, 1 were there already." in out
    _, out, _ = run("prepare", source, store, *options())
    assert "0 volumes were prepared, 2 were there already." in out


def test_two_folders_with_the_same_names_are_told_apart_by_a_prefix(
    run: Run, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    for number, name in enumerate(("ct_case", "ct_quizze")):
        write_stack(tmp_path / name / "000001" / "Axial", body(number))
    run("prepare", tmp_path / "ct_case", store, *options())
    _, out, _ = run("prepare", tmp_path / "ct_quizze", store, *options())
    assert "A volume of the folder 'ct_case' has the same name in the store." in out
    run("prepare", tmp_path / "ct_quizze", store, *options("--prefix", "quizze"))
    entries = VolumeStore(store).entries
    assert sorted(entries) == ["000001/Axial", "quizze/000001/Axial"]
    assert len({entry.sha256 for entry in entries.values()}) == 2


def test_damage_is_found_by_check_and_mended_by_prepare(run: Run, tmp_path: Path) -> None:
    source, store = m3d_folder(tmp_path, 4), tmp_path / "store"
    row = ("ct_case/000000/Axial_Poschl.npy", "r", 1, "Which plane?", "axial", "coronal",
           "sagittal", "oblique", "axial", "A")  # fmt: skip
    vqa = write_vqa(tmp_path / "train.csv", [row])
    words = ("prepare", source, store, *options("--annotations", vqa))
    run(*words)
    files = [store / "volumes" / "ct_case" / f"00000{n}" / "Axial_Poschl.npy" for n in range(4)]
    files[0].unlink()
    files[1].write_bytes(files[1].read_bytes()[:500])
    content = bytearray(files[2].read_bytes())
    content[-1] ^= 255
    files[2].write_bytes(content)
    with (store / "samples.jsonl").open("a", encoding="utf-8") as stream:
        stream.write((store / "samples.jsonl").read_text(encoding="utf-8").splitlines()[0] + "\n")
        bad = {"id": "x", "volume": "none", "split": "train", "task": "open_vqa", "answer": "y",
               "question": "?", "slices": [99]}  # fmt: skip
        stream.write(json.dumps(bad) + "\n")
    code, out, err = run("check", store, "--json")
    assert code == 1
    assert json.loads(out)["problems"] == [
        "ct_case/000000/Axial_Poschl: The volume is missing.",
        "ct_case/000001/Axial_Poschl: The volume is damaged or has another size.",
        "ct_case/000002/Axial_Poschl: The voxels are not those that were stored "
        "(the checksum differs).",
        "samples.jsonl, line 3: Another sample has the id 'train/2/open', too.",
        "samples.jsonl, line 4: There is no volume 'none' in the index.",
        "samples.jsonl, line 4: It names slices that the volume does not have.",
    ]
    assert "6 problems" in err
    files[2].unlink()
    run(*words)
    assert run("check", store)[0] == 0


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (("--size", "32,256"), "'32,256' is no size."),
        (("--dtype", "int8"), "There is no number format 'int8'."),
        (("--plane", "oblique"), "There is no plane 'oblique'."),
        (("--annotations", "none.csv"), "The file 'none.csv' cannot be read"),
        (("--labels", "."), "What the values of the label volumes mean is not told."),
        (("--workers", "0"), "At least one process is needed."),
    ],
)
def test_wrong_options_end_before_any_work(
    run: Run, tmp_path: Path, more: tuple[str, ...], sentence: str
) -> None:
    source = m3d_folder(tmp_path, 1)
    code, out, err = run("prepare", source, tmp_path / "store", *options(*more))
    assert (code, out) == (2, "")
    assert sentence in err
    assert not list((tmp_path / "store").rglob("*.npy"))


def test_folders_without_volumes_and_stores_in_the_source_are_refused(
    run: Run, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    code, _, err = run("prepare", tmp_path / "empty", tmp_path / "store", *options())
    assert code == 2
    assert "The folder 'empty' holds no volumes." in err
    source = m3d_folder(tmp_path, 1)
    code, _, err = run("prepare", source, source / "store", *options())
    assert code == 2
    assert "would lie in the folder of the volumes" in err
    assert str(tmp_path) not in err
    code, _, err = run("check", tmp_path / "empty")
    assert code == 2
    assert "holds no prepared training data" in err


def test_a_process_that_dies_costs_one_volume(tmp_path: Path) -> None:
    from unit.data.mortal_work import work_or_die

    from med2e3.data.pool import run_in_processes

    results = dict(run_in_processes([1, 2, -1, 4, -1, 6], work_or_die, 2))
    assert results == {1: 10, 2: 20, -1: None, 4: 40, 6: 60}
