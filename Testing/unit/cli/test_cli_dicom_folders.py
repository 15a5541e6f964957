"""DICOM in a folder of folders: one volume, several, or a series that was spread."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from unit.cli.cli_harness import RunCli

from fixtures.dicom_files import picture, write_dicom
from med2e3.cli.folders import find_volumes
from med2e3.volume import read_volume


def write_slices(folder: Path, numbers: range, *, prefix: bool = True, **values: str) -> None:
    for number in numbers:
        write_dicom(
            folder / f"IM{number:04d}",
            picture(number),
            prefix=prefix,
            position=f"0\\0\\{5 * number}",
            instance_uid=f"1.2.{values.get('series_uid', '3')}.{number}",
            **values,
        )


@pytest.fixture
def split(tmp_path: Path) -> Path:
    """A series of 40 slices in two folders, beside a directory of files."""
    folder = tmp_path / "in" / "split"
    write_slices(folder / "DIR0", range(20), series_uid="7")
    write_slices(folder / "DIR1", range(20, 40), series_uid="7")
    (folder / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    return folder


def names(folder: Path) -> list[str]:
    return [source.name for source in find_volumes(folder)]


def test_a_series_in_two_folders_is_one_volume(run_cli: RunCli, split: Path) -> None:
    result = split.parents[1] / "r.json"
    ended = run_cli("ask", split, "Where?", "--max-new-tokens", 1, "--json", result)
    assert ended.code == 0, ended.err
    (record,) = json.loads(result.read_text(encoding="utf-8"))["exchanges"]
    assert record["preprocessing"]["source_shape_kji"][0] == 40


def test_in_a_batch_as_well_and_every_part_of_it_counts(run_cli: RunCli, split: Path) -> None:
    write_slices(split.parent / "other", range(20), series_uid="8")
    assert names(split.parent) == ["other", "split"]
    results = split.parents[1] / "results"

    def states() -> dict[str, str]:
        options = ("--max-new-tokens", 1, "--output", results)
        assert run_cli("ask", split.parent, "Where?", *options).code == 0
        rows = json.loads((results / "summary.json").read_text(encoding="utf-8"))["volumes"]
        return {row["volume"]: row["state"] for row in rows}

    assert states() == {"other": "answered", "split": "answered"}
    assert states() == {"other": "already there", "split": "already there"}
    write_slices(split / "DIR1", range(40, 44), series_uid="7")
    assert states() == {"other": "already there", "split": "answered"}


def test_a_scout_in_its_own_folder_does_not_make_two_volumes(run_cli: RunCli, split: Path) -> None:
    scout = split / "DIR2" / "scout"
    write_dicom(scout, picture(0), position="0\\0\\0", series_uid="9", image_type="A\\B\\LOCALIZER")
    ended = run_cli("ask", split, "Where?", "--max-new-tokens", 1)
    assert ended.code == 0, ended.err
    assert "1 other DICOM files" in ended.out


def test_copies_of_a_series_are_volumes_of_their_own(tmp_path: Path) -> None:
    write_slices(tmp_path / "a", range(20), series_uid="7")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert names(tmp_path) == ["a", "b"]


def test_whatever_the_reader_reads_is_found(tmp_path: Path) -> None:
    """Without the usual prefix, and with a name that looks like something else."""
    write_slices(tmp_path / "bare", range(20), prefix=False)
    for path in (tmp_path / "bare").iterdir():
        path.rename(path.with_name(f"{path.name}.img"))
    (tmp_path / "raw").mkdir()
    np.full(5000, 8, np.int16).tofile(tmp_path / "raw" / "voxels")  # begins like such a file
    assert read_volume(tmp_path / "bare").voxels.shape[0] == 20
    assert names(tmp_path) == ["bare"]
