"""Every kind of input gets the outcome and the sentence that docs/input-volumes.md promises."""

from __future__ import annotations

import gzip
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK

from fixtures.dicom_files import picture, write_dicom, write_series
from fixtures.nifti_files import hounsfield, nifti, saved
from med2e3.errors import InputError
from med2e3.volume import prepare, read_volume

PAGE = Path(__file__).resolve().parents[3] / "docs" / "input-volumes.md"
SIZE = (8, 16, 16)

Make = Callable[[Path], Path]
#: what to give, and how to ask for it
Case = tuple[Make, dict[str, Any]]


def promises() -> dict[str, tuple[str, str]]:
    """Kind of input -> (outcome, sentence) from the page's tables."""
    text = PAGE.read_text(encoding="utf-8")
    start = text.index("## What happens to each kind of input")
    section = text[start : text.index("## What is done")]
    rows = re.findall(r"^\| (.+?) \| (refused|warning) \| (.+?) \|$", section, re.MULTILINE)
    return {kind: (outcome, sentence) for kind, outcome, sentence in rows}


def outcome_of(path: Path, arguments: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
    trust = arguments.pop("trust_spacing", False)
    try:
        result = prepare(read_volume(path, trust_spacing=trust), SIZE, **arguments)
    except InputError as error:
        assert error.exit_code == 2
        assert "\n" not in error.sentence
        shown = f"{error} {error.detail}"
        assert str(path.parent) not in shown
        return "refused", (error.sentence,)
    return "warning", result.warnings


def matches(sentence: str, promised: str) -> bool:
    pattern = ".+".join(re.escape(part) for part in promised.split("…"))
    return re.fullmatch(pattern, sentence) is not None


# --- making one file of each kind ---------------------------------------------------------------


def file(name: str, content: bytes) -> Make:
    return lambda folder: _write(folder / name, content)


def _write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def nii(voxels: np.ndarray | None = None, name: str = "v.nii", **fields: Any) -> Make:
    return lambda folder: saved(
        folder / name, nifti(hounsfield() if voxels is None else voxels, **fields)
    )


def cut(make: Make, end: int | float) -> Make:
    """The file without its end (bytes if negative, else the part that is kept)."""

    def cut_file(folder: Path) -> Path:
        path = make(folder)
        content = path.read_bytes()
        path.write_bytes(content[: end if isinstance(end, int) else int(end * len(content))])
        return path

    return cut_file


def damaged(make: Make) -> Make:
    def damage_file(folder: Path) -> Path:
        path = make(folder)
        content = bytearray(path.read_bytes())
        middle = len(content) // 2
        content[middle : middle + 40] = bytes(40)
        return _write(path, bytes(content))

    return damage_file


def itk(name: str, voxels: np.ndarray, compressed: bool = False, vector: bool = False) -> Make:
    def write(folder: Path) -> Path:
        image = SimpleITK.GetImageFromArray(voxels, isVector=vector)
        SimpleITK.WriteImage(image, str(folder / name), compressed)
        return folder / name

    return write


def npy(array: np.ndarray) -> Make:
    def write(folder: Path) -> Path:
        np.save(folder / "a.npy", array)
        return folder / "a.npy"

    return write


def one_dicom(**values: Any) -> Make:
    def write(folder: Path) -> Path:
        write_dicom(folder / "one", picture(0), **({"position": "0\\0\\0"} | values))
        return folder / "one"

    return write


def series(*positions: tuple[float, float, float], **values: Any) -> Make:
    def write(folder: Path) -> Path:
        write_series(folder / "series", positions, **values)
        return folder / "series"

    return write


def up(*heights: float) -> list[tuple[float, float, float]]:
    return [(0.0, 0.0, float(z)) for z in heights]


def together(*makes: Make) -> Make:
    """Several series below one folder."""

    def write(folder: Path) -> Path:
        for number, make in enumerate(makes):
            (folder / "all" / str(number)).mkdir(parents=True)
            make(folder / "all" / str(number))
        return folder / "all"

    return write


def edited(make: Make, old: bytes, new: bytes) -> Make:
    def edit(folder: Path) -> Path:
        path = make(folder)
        content = path.read_bytes()
        assert old in content
        return _write(path, content.replace(old, new, 1))

    return edit


def with_voxels_at(offset: float) -> Make:
    """A NIfTI file with another vox_offset."""
    return edited(nii(), np.float32(352).tobytes(), np.float32(offset).tobytes())


def without(make: Make, name: str) -> Make:
    def remove(folder: Path) -> Path:
        path = make(folder)
        (folder / name).unlink()
        return path

    return remove


def chest(width_mm: float, *, lungs: bool = True) -> np.ndarray:
    """An ellipse of soft tissue, 120 of 160 pixels wide, with two lungs."""
    y, x = np.mgrid[:160, :160] - 79.5
    picture_ = np.full((160, 160), -1000, dtype=np.int16)
    picture_[(x / 60) ** 2 + (y / 42) ** 2 < 1] = 40
    if lungs:
        picture_[((np.abs(x) - 30) / 20) ** 2 + (y / 30) ** 2 < 1] = -850
    noise = np.random.default_rng(0).integers(-15, 15, (20, 160, 160))
    return (picture_ + noise).astype(np.int16)


def scaled(spacing: float) -> np.ndarray:
    affine = np.diag([spacing, spacing, 3 * spacing, 1.0])
    affine[:3, 3] = 1, 2, 3
    return affine


def turned(degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s, 0, 5], [s, c, 0, 6], [0, 0, 3, 7], [0, 0, 0, 1.0]])


def tilted() -> Make:
    c, s = np.cos(np.radians(12)), np.sin(np.radians(12))
    return series(*up(*range(0, 40, 4)), orientation=f"1\\0\\0\\0\\{c:.7f}\\{-s:.7f}")


def labels(count: int) -> np.ndarray:
    """Patches of whole numbers."""
    patches = np.random.default_rng(0).integers(0, count, (4, 6, 6))
    return patches.repeat(8, axis=0).repeat(8, axis=1).repeat(8, axis=2).astype(np.uint8)


def not_finite(value: float) -> np.ndarray:
    voxels = hounsfield().astype(np.float32)
    voxels[3, 4, 5] = value
    return voxels


def unmarked(low: int, high: int, dtype: str = "i2") -> np.ndarray:
    return np.random.default_rng(0).integers(low, high, (9, 18, 20)).astype(dtype)


def shifted_ct() -> np.ndarray:
    tissue = np.stack([picture(n) for n in range(12)]) + 1024
    tissue[:, 12, 12] = 2500
    return np.clip(tissue, 0, None).astype(np.uint16)


def _symlink_free_long_name(folder: Path) -> Path:
    return folder / ("x" * 300 + ".nii")


def _empty_folder(folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"


def _text_folder(folder: Path) -> Path:
    (folder / "notes").mkdir()
    _write(folder / "notes" / "a.txt", b"hello")
    return folder / "notes"


def _truncated_in_series(folder: Path) -> Path:
    path = series(*up(*range(0, 24, 3)))(folder)
    cut(lambda _: path / "007", -30)(folder)
    return path


def beside(make: Make, name: str, content: bytes) -> Make:
    def add(folder: Path) -> Path:
        path = make(folder)
        _write(path / name, content)
        return path

    return add


def _copies(folder: Path) -> Path:
    path = series(*up(*range(0, 24, 3)))(folder)
    _write(path / "copy", (path / "003").read_bytes())
    return path


PNG = b"\x89PNG\r\n\x1a\n" + bytes(400)
RGB = np.zeros((6, 18, 20, 3), dtype=np.uint8)
SCOUT = {"image_type": "ORIGINAL\\PRIMARY\\LOCALIZER", "series_uid": "1.2.77"}
UNIT = np.eye(4)

CASES: dict[str, list[Case]] = {
    "nothing at that path": [(lambda folder: folder / "no.nii", {})],
    "file or folder that may not be opened": [(_symlink_free_long_name, {})],
    "empty file": [(file("v.nii.gz", b""), {}), (file("v.npy", b""), {}), (file("v", b""), {})],
    "another kind of file": [
        (file("v.png", PNG), {}),
        (file("v", b"hello " * 99), {}),
        (file("v.dcm", b"hello " * 99), {}),
    ],
    "another kind of file, named as NIfTI": [
        (file("v.nii.gz", PNG), {}),
        (file("v.nii.gz", gzip.compress(PNG)), {}),
        (file("v.nii", b"short"), {}),
        (edited(nii(), b"n+1\0", b"abc\0"), {}),
        (with_voxels_at(np.nan), {}),
        (with_voxels_at(np.inf), {}),
    ],
    "another kind of file, named as NRRD": [(file("v.nrrd", PNG), {}), (file("v.nhdr", PNG), {})],
    "another kind of file, named as MetaImage": [
        (file("v.mha", PNG), {}),
        (edited(itk("v.mha", hounsfield()), b"DimSize = 20 18 9", b"DimSize = a b c"), {}),
        (edited(itk("v.mha", hounsfield()), b"DimSize = 20 18 9", b"DimSize = 20 18"), {}),
        (edited(itk("v.mha", hounsfield()), b"NDims = 3", b"NDims = 9"), {}),
        (edited(itk("v.mha", hounsfield()), b"Offset = 0", b"Offset = nan"), {}),
        (edited(itk("v.mha", hounsfield()), b"MET_SHORT", b"MET_THING"), {}),
        (edited(itk("v.mha", hounsfield()), b"Spacing = 1 1 1", b"Spacing = 1 1"), {}),
        (edited(itk("v.mha", hounsfield()), b"Matrix = 1 0", b"Matrix = a 0"), {}),
        (edited(itk("v.mha", hounsfield()), b"DimSize = 20", b"DimSize = -20"), {}),
    ],
    "half of a NIfTI pair": [(edited(nii(), b"n+1\0", b"ni1\0"), {})],
    "truncated or damaged NIfTI, compressed or not": [
        (cut(nii(), -1), {}),
        (cut(nii(), 0.5), {}),
        (cut(nii(name="v.nii.gz"), -1), {}),
        (cut(nii(name="v.nii.gz"), -9), {}),
        (cut(nii(name="v.nii.gz"), 0.3), {}),
        (damaged(nii(name="v.nii.gz")), {}),
        (nii(np.zeros((2, 2, 2), dtype=np.int16), name="v.nii.gz"), {"_dims": (30000,) * 3}),
    ],
    "truncated or damaged MetaImage": [
        (damaged(itk("v.mha", hounsfield((30, 40, 40)), compressed=True)), {}),
        (cut(itk("v.mha", hounsfield()), -2), {}),
        (cut(itk("v.mha", hounsfield(), compressed=True), 0.6), {}),
        (edited(itk("v.mha", hounsfield(), compressed=True), b"Size = 20 18", b"Size = 20 17"), {}),
    ],
    "other truncated NRRD, headers that contradict themselves": [
        (cut(itk("v.nrrd", hounsfield()), -2), {}),
        (edited(itk("v.nrrd", hounsfield()), b"sizes: 20 18 9", b"sizes: 20 18"), {}),
    ],
    "truncated or damaged compressed NRRD": [
        (cut(itk("v.nrrd", hounsfield(), compressed=True), 0.6), {}),
        (damaged(itk("v.nrrd", hounsfield(), compressed=True)), {}),
    ],
    "NRRD compressed with bzip2": [
        (edited(itk("v.nrrd", hounsfield()), b"encoding: raw", b"encoding: bzip2"), {}),
    ],
    "MetaImage with voxels as text": [
        (edited(itk("v.mha", hounsfield()), b"BinaryData = True", b"BinaryData = False"), {}),
    ],
    "header whose data file is missing": [
        (without(itk("v.nhdr", hounsfield(), compressed=True), "v.raw.gz"), {}),
        (without(itk("v.mhd", hounsfield()), "v.raw"), {}),
    ],
    "truncated DICOM file": [
        (cut(one_dicom(), -2), {}),
        (cut(one_dicom(), 0.2), {}),
        (cut(one_dicom(), 132), {}),
        (cut(one_dicom(), -(2 * 24 * 24 + 12)), {}),  # just before the pixel data
    ],
    "truncated or damaged array": [
        (cut(npy(np.ones((3, 20, 20), dtype=np.float32)), -4), {}),
        (file("a.npy", b"\x93NUMPY"), {}),
        (npy(np.array([{"a": 1}], dtype=object)), {}),
    ],
    "empty folder": [(_empty_folder, {})],
    "folder without images": [(_text_folder, {})],
    "more than three dimensions": [
        (nii(np.ones((2, 9, 18, 20), dtype=np.int16)), {}),
        (itk("v.nrrd", np.ones((2, 9, 18, 20), dtype=np.int16)), {}),
        (itk("v.mha", np.ones((2, 9, 18, 20), dtype=np.int16)), {}),
    ],
    "two dimensions": [
        (nii(hounsfield((18, 20))), {}),
        (itk("v.nrrd", hounsfield((18, 20))), {}),
        (itk("v.mha", hounsfield((18, 20))), {}),
    ],
    "one slice": [(nii(hounsfield((1, 18, 20))), {}), (itk("v.mha", hounsfield((1, 18, 20))), {})],
    "fewer than 3 slices, or less than 16 voxels across": [
        (nii(hounsfield((2, 18, 20))), {}),
        (nii(hounsfield((15, 15, 20))), {}),
    ],
    "colour NIfTI": [(edited(nii(), b"\x04\x00\x10\x00", b"\x80\x00\x18\x00"), {})],
    "colour NRRD or MetaImage": [
        (itk("v.nrrd", RGB, vector=True), {}),
        (itk("v.mha", RGB, vector=True), {}),
    ],
    "complex numbers or bits": [
        (edited(nii(), b"\x04\x00\x10\x00", b"\x20\x00\x40\x00"), {}),
    ],
    "label map": [
        (nii(labels(2)), {}),
        (nii(labels(9)), {}),
        (nii(labels(40).astype(np.float32)), {}),
        (itk("v.nrrd", labels(5)), {}),
    ],
    "Slicer segmentation (`.seg.nrrd`)": [
        (itk("v.seg.nrrd", labels(3)), {}),
        (edited(itk("v.nrrd", labels(3)), b"\n\n", b"\nSegment0_ID:=a\n\n"), {}),
    ],
    "NaN or infinity": [
        (nii(not_finite(np.nan)), {}),
        (nii(not_finite(np.inf)), {}),
        (nii(not_finite(-np.inf)), {}),
    ],
    "values beyond ±10⁹": [
        (nii(scale=(1e30, 0.0)), {}),
        (nii(hounsfield().astype(np.float64) * 1e200), {}),
    ],
    "the same value everywhere": [(nii(np.full((9, 18, 20), 7, dtype=np.int16)), {})],
    "one file of a series": [(one_dicom(), {}), (one_dicom(prefix=False), {})],
    "scout (localizer)": [(one_dicom(**SCOUT), {})],
    "segmentation, structure set, plan, report": [
        (one_dicom(modality="SEG"), {}),
        (one_dicom(modality="RTSTRUCT"), {}),
        (one_dicom(modality="RTDOSE"), {}),
    ],
    "colour picture": [
        (one_dicom(photometric="RGB"), {}),
        (one_dicom(photometric="PALETTE COLOR"), {}),
    ],
    "multi-frame or enhanced DICOM": [
        (one_dicom(frames=2, rows=12), {}),
    ],
    "folder with such objects only": [(series(*up(0), modality="RTPLAN"), {})],
    "folder with one slice": [(series(*up(0)), {})],
    "folder with several series": [
        (together(series(*up(0, 3, 6)), series(*up(0, 3, 6, 9), series_uid="9.9")), {}),
    ],
    "series beside scouts and reports": [
        (together(series(*up(0, 3, 6, 9)), series(*up(0), **SCOUT)), {}),
        (together(series(*up(0, 3, 6, 9)), series(*up(0), modality="SR")), {}),
    ],
    "copies of the same file": [(_copies, {})],
    "several phases or time points in one series": [
        (together(series(*up(0, 3, 6, 9)), series(*up(0, 3, 6, 9))), {}),
    ],
    "missing slices": [
        (series(*up(0, 3, 6, 12, 15, 18)), {}),
        (series(*up(0, 3, 6, 21, 24, 27)), {}),
    ],
    "uneven spacing": [
        (series(*up(0, 3, 6, 9, 13, 17, 21)), {}),
        (series(*up(0, 3, 6, 7, 10, 13)), {}),
        (series(*up(0, 3, 6, 10.4, 13.4)), {}),
    ],
    "slices beside one another": [
        (series((0, 0, 0), (0, 0, 3), (4, 0, 6), (0, 0, 9), (0, 0, 12)), {}),
    ],
    "slices in different directions": [
        (
            together(
                series(*up(0, 3)),
                series(*up(6, 9), orientation="1\\0\\0\\0\\0.98\\0.199"),
            ),
            {},
        ),
    ],
    "images without a position": [(series(*up(0, 3, 6), orientation=None), {})],
    "some files of the series truncated, or named as DICOM (`.dcm`, `.ima`) but empty or something "
    "else": [
        (_truncated_in_series, {}),
        (beside(series(*up(*range(0, 24, 3))), "a.dcm", b""), {}),
        (beside(series(*up(*range(0, 24, 3))), "a.IMA", b"hello " * 99), {}),
    ],
    "CT with black and white exchanged": [
        (series(*up(0, 3, 6, 9), photometric="MONOCHROME1"), {}),
    ],
    "even spacing with gantry tilt": [(tilted(), {})],
    "impossible window in the header": [
        (series(*up(0, 3, 6, 9), window_center="40", window_width="0"), {}),
    ],
    "spacing of zero or below, not a number, directions that contradict, origin more than 100 m "
    "away": [
        (nii(affine=np.diag([0.0, 1, 1, 1])), {}),
        (nii(affine=np.diag([np.nan, 1, 1, 1])), {}),
        (nii(affine=np.array([[1.0, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])), {}),
        (nii(affine=np.diag([np.inf, 1, 1, 1])), {}),
        (nii(affine=np.array([[2, 0, 0, 1e30], [0, 2, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1.0]])), {}),
        (nii(codes=(1, 0), quatern=(2.0, 0.0, 0.0)), {}),
        (
            edited(itk("v.mha", hounsfield()), b"Spacing = 1 1 1", b"Spacing = 1 1 -1"),
            {},
        ),
        (series(*up(0, 3, 6), pixel_spacing="0\\1"), {}),
    ],
    "spacing beyond 0.02 to 100 mm": [
        (nii(affine=scaled(0.01)), {}),
        (nii(affine=np.diag([1.0, 1, 120, 1])), {}),
        (nii(affine=scaled(2.0), units=1), {}),
    ],
    "volume shorter than 15 mm or longer than 3 m": [
        (nii(affine=scaled(0.1)), {}),
        (nii(hounsfield((9, 18, 80)), affine=np.diag([50.0, 50, 50, 1])), {}),
    ],
    "chest less than 180 mm wide": [(nii(chest(120), affine=scaled(1.0)), {})],
    "the same with `--trust-spacing`": [
        (nii(chest(120), affine=scaled(1.0)), {"trust_spacing": True}),
    ],
    "body more than 700 mm wide": [(nii(chest(840, lungs=False), affine=scaled(7.0)), {})],
    "another body less than 180 mm wide, wider than deep": [
        (nii(chest(120, lungs=False), affine=scaled(1.0)), {}),
    ],
    "orientation not known": [
        (nii(codes=(0, 0)), {}),
        (nii(affine=UNIT, codes=(0, 2), units=0), {}),
        (nii(affine=UNIT, codes=(2, 0), units=0), {}),
        (nii(affine=UNIT, codes=(0, 2), units=0), {"plane": "coronal"}),
        (
            edited(
                itk("v.nrrd", hounsfield()),
                b"space: left-posterior-superior",
                b"space dimension: 3",
            ),
            {},
        ),
        (edited(itk("v.mha", hounsfield()), b"TransformMatrix = 1 0 0 0 1 0 0 0 1\n", b""), {}),
    ],
    "NIfTI with the unit matrix, stated (see below)": [
        (nii(affine=UNIT, codes=(0, 1), units=0), {}),
        (nii(affine=UNIT, codes=(1, 0), units=0), {}),
        (nii(affine=UNIT, codes=(2, 2), units=0), {}),
        (nii(affine=UNIT, codes=(0, 2), units=2), {}),
    ],
    "NRRD or MetaImage without an origin": [
        (edited(itk("v.nrrd", hounsfield()), b"space origin: (0,0,0)\n", b""), {}),
        (edited(itk("v.mha", hounsfield()), b"Offset = 0 0 0\n", b""), {}),
    ],
    "NIfTI with two different positions": [
        (nii(codes=(1, 1), qoffset=(300.0, 0.0, 0.0)), {}),
    ],
    "turned by more than 30 degrees": [(nii(affine=turned(38)), {})],
    "CT in HU without a window of its own": [(nii(), {}), (series(*up(0, 3, 6, 9)), {})],
    "MR and other modalities in DICOM": [
        (series(*up(0, 3, 6), modality="MR", intercept="2000", slope=None), {}),
        (series(*up(0, 3, 6), modality="PT", intercept="2000"), {}),
    ],
    "not HU, modality not said (such as MR in NRRD)": [
        (nii(unmarked(0, 900)), {}),
        (itk("v.nrrd", unmarked(0, 4000)), {}),
    ],
    "windowed picture (values within 0 to 255)": [
        (nii(unmarked(0, 256, "u1")), {}),
        (nii(unmarked(0, 256, "u1"), cal=(0.0, 255.0)), {}),
        (nii(unmarked(0, 256, "f4") / np.float32(255)), {}),
    ],
    "the same with the window `full`": [(nii(unmarked(0, 256, "u1")), {"window": "full"})],
    "CT with 1024 added": [(nii(shifted_ct()), {})],
    "DICOM says CT, values are not HU": [
        (series(*up(0, 3, 6), intercept=None, slope="9", rescale_type="US", signed=0), {}),
    ],
    "a preset in HU for values that may be (not told, down to −50 or less)": [
        (nii(unmarked(-160, 240)), {"window": "liver"}),
    ],
    "a preset in HU for values that are not": [
        (nii(unmarked(0, 900)), {"window": "lung"}),
        (nii(unmarked(0, 256, "u1")), {"window": "soft-tissue"}),
    ],
    "nothing brighter than black": [(nii(), {"window": (5000, 10)})],
    "array of integers": [
        (npy(np.ones((5, 20, 20), dtype=np.uint8)), {}),
        (npy(np.ones((5, 20, 20), dtype=bool)), {}),
    ],
    "array of another shape": [
        (npy(np.ones((20, 20), dtype=np.float32)), {}),
        (npy(np.ones((3, 5, 20, 20), dtype=np.float32)), {}),
    ],
    "array with values beyond ±10": [
        (npy(hounsfield().astype(np.float32)), {}),
        (npy(unmarked(0, 256, "f4")), {}),
    ],
    "array with values beyond 0 to 1": [
        (npy(np.linspace(-0.4, 3.1, 2000, dtype=np.float32).reshape(5, 20, 20)), {}),
    ],
    "array of zeros": [(npy(np.zeros((5, 20, 20), dtype=np.float32)), {})],
    "array and a choice of window, plane or order": [
        (npy(np.ones((5, 20, 20), dtype=np.float32)), {"window": "lung"}),
        (npy(np.ones((5, 20, 20), dtype=np.float32)), {"plane": "coronal"}),
        (npy(np.ones((5, 20, 20), dtype=np.float32)), {"slice_order": "reversed"}),
    ],
}


def test_every_row_of_the_page_is_tried() -> None:
    assert set(CASES) == set(promises())


@pytest.mark.parametrize(
    ("kind", "number"), [(kind, n) for kind, cases in CASES.items() for n in range(len(cases))]
)
def test_outcome(kind: str, number: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    make, arguments = CASES[kind][number]
    arguments = dict(arguments)
    path = make(tmp_path)
    if dims := arguments.pop("_dims", None):
        content = bytearray(gzip.decompress(path.read_bytes()))
        content[42:48] = np.array(dims, dtype="<i2").tobytes()
        path.write_bytes(gzip.compress(bytes(content)))
    capfd.readouterr()
    promised, sentence = promises()[kind]
    outcome, said = outcome_of(path, arguments)
    assert outcome == promised, said
    assert any(matches(one, sentence) for one in said), said
    assert capfd.readouterr() == ("", ""), "a library wrote to the terminal"


@pytest.mark.skipif(
    sys.platform == "win32" or getattr(os, "geteuid", lambda: 0)() == 0,
    reason="this user may open every file",
)
def test_a_file_without_permission(tmp_path: Path) -> None:
    path = nii()(tmp_path)
    path.chmod(0)
    with pytest.raises(InputError, match="cannot be opened"):
        read_volume(path)


#: the files that lie beside the checkout, and the row of the page that each belongs to
SHARED = {
    "odd/ct_16x16_cols_no_ext_dicom": "missing slices",
    "odd/ct_localizer_phantom.dcm": "scout (localizer)",
    "odd/ct_single_slice_128.dcm": "one file of a series",
    "odd/ct_tiny_23x38x3_binary_dicom": "label map",
    "odd/dicom_seg_liver.dcm": "segmentation, structure set, plan, report",
    "odd/enhanced_ct_2frames.dcm": "multi-frame or enhanced DICOM",
    "odd/made_empty.nii.gz": "empty file",
    "odd/made_nan_inf.nii.gz": "NaN or infinity",
    "odd/made_no_orientation_codes.nii.gz": "orientation not known",
    "odd/made_png_named_nii.nii.gz": "another kind of file, named as NIfTI",
    "odd/made_truncated.nii.gz": "truncated or damaged NIfTI, compressed or not",
    "odd/made_windowed_uint8_not_HU.nii.gz": "windowed picture (values within 0 to 255)",
    "odd/mr_4d_two_volumes.nii.gz": "more than three dimensions",
    "odd/mr_truncated_pixeldata.dcm": "truncated DICOM file",
    "odd/rgb_2d_image.nii.gz": "colour NIfTI",
    "odd/rgb_secondary_capture_2frames.dcm": "colour picture",
    "odd/rtstruct_no_pixels.dcm": "segmentation, structure set, plan, report",
    "head_ct_gantry_tilt_dicom": "uneven spacing",
    "chest_ct_wrong_spacing.nii.gz": "chest less than 180 mm wide",
    "mr_brain_tumor.nrrd": "not HU, modality not said (such as MR in NRRD)",
    "abdomen_ct_small_totalseg_labels.nii.gz": "label map",
    "abdomen_pelvis_ct_3mm_vertebrae_labels.nii.gz": "label map",
    "chest_ct_cip64_lung_labels.nrrd": "label map",
    "chest_ct_slicerio.seg.nrrd": "Slicer segmentation (`.seg.nrrd`)",
    "chest_ct_dicom": "CT in HU without a window of its own",
    "chest_ct_cip64.nrrd": "CT in HU without a window of its own",
    "abdomen_ct_small.nii.gz": "CT in HU without a window of its own",
}


@pytest.mark.parametrize("name", SHARED)
def test_outcome_of_real_files(
    name: str, shared_dir: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    promised, sentence = promises()[SHARED[name]]
    outcome, said = outcome_of(shared_dir / "volumes" / name, {})
    assert outcome == promised, said
    assert any(matches(one, sentence) for one in said), said
    assert capfd.readouterr() == ("", "")


def test_every_odd_file_is_listed_here(shared_dir: Path) -> None:
    odd = {f"odd/{path.name}" for path in (shared_dir / "volumes" / "odd").iterdir()}
    assert odd <= set(SHARED)
