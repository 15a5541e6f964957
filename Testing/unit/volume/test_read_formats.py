"""Good files of every format, read right."""

from __future__ import annotations

import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.dicom_files import write_dicom, write_series
from fixtures.nifti_files import AFFINE_RAS, hounsfield, nifti, saved
from med2e3.errors import InputError
from med2e3.volume import Volume, prepare, read_volume, volume_from_slicer

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
SHAPE = hounsfield().shape


@pytest.mark.parametrize("name", ["v.nii", "v.nii.gz", "V.NII.GZ"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("version", [1, 2])
def test_nifti_of_either_version_and_byte_order(
    tmp_path: Path, name: str, order: str, version: int
) -> None:
    voxels = hounsfield()
    volume = read_volume(saved(tmp_path / name, nifti(voxels, order=order, version=version)))
    assert np.array_equal(volume.voxels, voxels)
    assert np.allclose(volume.ijk_to_lps, LPS @ AFFINE_RAS, atol=1e-5)
    assert volume.units == "HU"


@pytest.mark.parametrize("dtype", ["i2", "i4", "i8", "f4", "f8"])
def test_nifti_of_signed_types(tmp_path: Path, dtype: str) -> None:
    voxels = hounsfield().astype(dtype)
    volume = read_volume(saved(tmp_path / "v.nii", nifti(voxels)))
    assert np.array_equal(volume.voxels, voxels)
    assert prepare(volume, (4, 8, 8)).voxels.dtype == np.float32


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "u8"])
def test_nifti_scale_and_offset(tmp_path: Path, dtype: str) -> None:
    stored = np.random.default_rng(0).integers(0, 250, SHAPE).astype(dtype)
    volume = read_volume(saved(tmp_path / "v.nii", nifti(stored, scale=(8.0, -1024.0))))
    assert np.array_equal(volume.voxels, stored.astype(np.float32) * 8 - 1024)
    assert volume.units == "HU"


@pytest.mark.parametrize("offset", [0.0, 100.0, -5.0, 352.0])
def test_nifti_voxels_never_start_before_byte_352(tmp_path: Path, offset: float) -> None:
    content = bytearray(nifti(hounsfield()))
    content[108:112] = np.float32(offset).tobytes()
    assert np.array_equal(
        read_volume(saved(tmp_path / "v.nii", bytes(content))).voxels, hounsfield()
    )


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 347), st.binary(min_size=1, max_size=8))
def test_nifti_with_any_bytes_in_its_header_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, start: int, patch: bytes
) -> None:
    content = bytearray(nifti(hounsfield()))
    content[start : start + len(patch)] = patch
    path = saved(tmp_path_factory.getbasetemp() / "patched.nii", bytes(content))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            prepare(read_volume(path), (4, 8, 8))
        except InputError as error:
            assert error.exit_code == 2


def test_nifti_scale_of_zero_means_none(tmp_path: Path) -> None:
    volume = read_volume(saved(tmp_path / "v.nii", nifti(hounsfield(), scale=(0.0, 55.0))))
    assert np.array_equal(volume.voxels, hounsfield())


@pytest.mark.parametrize(("units", "factor"), [(0, 1), (1, 1000), (2, 1), (3, 0.001)])
def test_nifti_units_become_mm(tmp_path: Path, units: int, factor: float) -> None:
    affine = AFFINE_RAS.copy()
    affine[:3] /= factor
    volume = read_volume(saved(tmp_path / "v.nii", nifti(hounsfield(), affine=affine, units=units)))
    assert np.allclose(volume.ijk_to_lps, LPS @ AFFINE_RAS, rtol=1e-5)


def test_nifti_window(tmp_path: Path) -> None:
    volume = read_volume(saved(tmp_path / "v.nii", nifti(hounsfield(), cal=(-160.0, 240.0))))
    assert volume.display_window == (40.0, 400.0)
    window = prepare(volume, (4, 8, 8)).preprocessing["window"]
    assert (window["name"], window["center"], window["width"]) == ("display", 40.0, 400.0)


@pytest.mark.parametrize("handedness", [1.0, -1.0])
def test_nifti_quaternion_as_simpleitk_reads_it(tmp_path: Path, handedness: float) -> None:
    content = nifti(
        hounsfield(),
        codes=(1, 0),
        quatern=(0.1, -0.2, 0.3),
        qoffset=(5.0, 6.0, 7.0),
        pixdim=[handedness, 1.5, 2.0, 4.0, 1, 1, 1, 1],
    )
    path = saved(tmp_path / "v.nii", content)
    image = SimpleITK.ReadImage(str(path))
    expected = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    volume = read_volume(path)
    assert volume.ijk_to_lps is not None
    assert np.allclose(volume.ijk_to_lps[:3, :3], expected, atol=1e-5)
    assert np.allclose(volume.ijk_to_lps[:3, 3], image.GetOrigin(), atol=1e-5)


def test_nifti_with_two_positions_says_which_is_used(tmp_path: Path) -> None:
    content = nifti(hounsfield(), codes=(1, 1), qoffset=(500.0, 0.0, 0.0))
    volume = read_volume(saved(tmp_path / "v.nii", content))
    assert np.allclose(volume.ijk_to_lps, LPS @ AFFINE_RAS, atol=1e-5)
    assert any("two different positions" in w for w in volume.warnings)


def test_nifti_with_an_empty_sform_uses_the_qform(tmp_path: Path) -> None:
    content = bytearray(nifti(hounsfield(), codes=(1, 1)))
    content[280:328] = bytes(48)
    volume = read_volume(saved(tmp_path / "v.nii", bytes(content)))
    assert volume.spacing_mm == pytest.approx(np.linalg.norm(AFFINE_RAS[:3, :3], axis=0), rel=1e-5)


def test_trailing_dimensions_of_one_are_dropped(tmp_path: Path) -> None:
    volume = read_volume(saved(tmp_path / "v.nii", nifti(hounsfield()[None, None])))
    assert volume.voxels.shape == SHAPE


@pytest.mark.parametrize("name", ["v.nrrd", "v.nhdr", "v.mha", "v.mhd", "v.nii", "v.nii.gz"])
@pytest.mark.parametrize("compressed", [False, True])
def test_what_simpleitk_writes_is_read_as_simpleitk_reads_it(
    tmp_path: Path, name: str, compressed: bool
) -> None:
    image = SimpleITK.GetImageFromArray(hounsfield())
    angle = np.radians(20)
    image.SetDirection([np.cos(angle), 0, np.sin(angle), 0, 1, 0, -np.sin(angle), 0, np.cos(angle)])
    image.SetSpacing((0.7, 0.8, 3.0))
    image.SetOrigin((-100.0, 50.5, 7.25))
    SimpleITK.WriteImage(image, str(tmp_path / name), compressed)
    volume = read_volume(tmp_path / name)
    assert np.array_equal(volume.voxels, hounsfield())
    assert volume.ijk_to_lps is not None
    for index in [(0, 0, 0), (19, 0, 0), (3, 17, 8)]:
        expected = image.TransformIndexToPhysicalPoint(index)
        assert np.allclose((volume.ijk_to_lps @ [*index, 1])[:3], expected, atol=1e-3)
    assert volume.units == "HU"


@pytest.mark.parametrize(("units", "factor"), [('"cm" "cm" "cm"', 10.0), ('"mm" "mm" "mm"', 1.0)])
def test_nrrd_space_units(tmp_path: Path, units: str, factor: float) -> None:
    image = SimpleITK.GetImageFromArray(hounsfield())
    SimpleITK.WriteImage(image, str(tmp_path / "v.nrrd"), False)
    head, data = (tmp_path / "v.nrrd").read_bytes().split(b"\n\n", 1)
    (tmp_path / "v.nrrd").write_bytes(head + f"\nspace units: {units}\n\n".encode() + data)
    assert read_volume(tmp_path / "v.nrrd").spacing_mm == pytest.approx((factor,) * 3)


def test_ras_nrrd_lies_where_lps_nrrd_does(tmp_path: Path) -> None:
    image = SimpleITK.GetImageFromArray(hounsfield())
    image.SetOrigin((10.0, 20.0, 30.0))
    SimpleITK.WriteImage(image, str(tmp_path / "v.nrrd"), False)
    raw = (tmp_path / "v.nrrd").read_bytes()
    assert b"left-posterior-superior" in raw
    (tmp_path / "r.nrrd").write_bytes(
        raw.replace(b"left-posterior-superior", b"right-anterior-superior")
    )
    lps = read_volume(tmp_path / "v.nrrd").ijk_to_lps
    ras = read_volume(tmp_path / "r.nrrd").ijk_to_lps
    assert np.allclose(ras, LPS @ lps)


def along_z(count: int, gap: float = 4.0, start: float = -30.0) -> list[tuple[float, float, float]]:
    return [(-5.0, 6.0, start + gap * n) for n in range(count)]


@pytest.mark.parametrize("prefix", [True, False])
def test_dicom_folder_without_suffixes_in_subfolders(tmp_path: Path, prefix: bool) -> None:
    pictures = write_series(tmp_path / "a" / "b", along_z(8)[::-1], prefix=prefix)
    (tmp_path / "notes.txt").write_text("not DICOM")
    (tmp_path / "a" / "DICOMDIR").write_bytes(b"x")
    volume = read_volume(tmp_path)
    assert np.array_equal(volume.voxels, pictures[::-1])
    expected = np.diag([3.0, 2.0, 4.0, 1.0])
    expected[:3, 3] = -5, 6, -30
    assert np.allclose(volume.ijk_to_lps, expected)
    assert (volume.modality, volume.units, volume.warnings) == ("CT", "HU", ())


def test_dicom_slope_and_intercept_of_each_slice(tmp_path: Path) -> None:
    slopes = [1.0, 2.0, 0.5, 1.0]
    base = np.arange(24 * 24, dtype=np.int16).reshape(24, 24)
    for number, slope in enumerate(slopes):
        write_dicom(
            tmp_path / f"{number}.dcm",
            base,
            position=f"0\\0\\{number * 3}",
            slope=slope,
            intercept=-1000 - number,
        )
    volume = read_volume(tmp_path)
    for number, slope in enumerate(slopes):
        assert np.allclose(volume.voxels[number], base * slope - 1000 - number)


def test_dicom_window_is_used_when_slices_agree(tmp_path: Path) -> None:
    write_series(tmp_path, along_z(6), window_center="-600\\40", window_width="1500\\400")
    assert read_volume(tmp_path).display_window == (-600.0, 1500.0)


def test_dicom_windows_fitted_to_each_slice_are_no_window(tmp_path: Path) -> None:
    for number in range(6):
        write_series(tmp_path / str(number), along_z(1, start=3.0 * number),
                     window_center=str(number), window_width=str(300 + number))  # fmt: skip
    volume = read_volume(tmp_path)
    assert volume.display_window is None
    assert prepare(volume, (4, 8, 8)).preprocessing["window"]["name"] == "soft-tissue"


@pytest.mark.parametrize(("center", "width"), [("40", "0"), ("40", "-5")])
def test_impossible_dicom_window_is_ignored_with_a_word(
    tmp_path: Path, center: str, width: str
) -> None:
    write_series(tmp_path, along_z(5), window_center=center, window_width=width)
    volume = read_volume(tmp_path)
    assert volume.display_window is None
    assert any("window in the file" in w for w in volume.warnings)


def test_gantry_tilt_keeps_every_voxel_in_its_place(tmp_path: Path) -> None:
    """Rows tilted by 15 degrees, slices moved straight along z: the grid is sheared."""
    angle = np.radians(15)
    orientation = f"1\\0\\0\\0\\{np.cos(angle):.8f}\\{-np.sin(angle):.8f}"
    write_series(tmp_path, along_z(10), orientation=orientation)
    volume = read_volume(tmp_path)
    assert any("tilt of 15.0 degrees" in w for w in volume.warnings)
    assert volume.ijk_to_lps is not None
    corner = (volume.ijk_to_lps @ [2, 5, 9, 1])[:3]
    down = 5 * 2.0
    expected = [-5 + 2 * 3, 6 + down * np.cos(angle), -30 + 9 * 4 - down * np.sin(angle)]
    assert np.allclose(corner, expected, atol=1e-4)
    slice_map = prepare(volume, (10, 24, 24), window="full").slice_map
    assert slice_map.spacing_mm == pytest.approx(4 * np.cos(angle), rel=1e-4)


def test_positions_rounded_by_the_exporter_are_accepted(tmp_path: Path) -> None:
    positions = [(0.0, 0.0, round(0.625 * n, 1)) for n in range(40)]
    write_series(tmp_path, positions)
    assert read_volume(tmp_path).spacing_mm == pytest.approx((3, 2, 0.625), rel=1e-2)


def test_copies_of_files_are_left_out(tmp_path: Path) -> None:
    write_series(tmp_path / "a", along_z(6))
    (tmp_path / "b").mkdir()
    for name in ("001", "002"):
        (tmp_path / "b" / name).write_bytes((tmp_path / "a" / name).read_bytes())
    volume = read_volume(tmp_path)
    assert volume.voxels.shape[0] == 6
    assert any("2 files are copies" in w for w in volume.warnings)


def test_scout_and_report_beside_a_series_are_left_out(tmp_path: Path) -> None:
    write_series(tmp_path / "ct", along_z(7))
    scout = {"image_type": "ORIGINAL\\PRIMARY\\LOCALIZER", "orientation": "0\\1\\0\\0\\0\\-1"}
    write_series(tmp_path / "scout", along_z(1), series_uid="1.2.9", **scout)
    write_series(tmp_path / "seg", along_z(1), series_uid="1.2.8", modality="SEG")
    volume = read_volume(tmp_path)
    assert volume.voxels.shape[0] == 7
    assert any("2 other DICOM files" in w for w in volume.warnings)


def test_bright_padding_becomes_air(tmp_path: Path) -> None:
    pixels = np.full((24, 24), 1100, dtype=np.uint16)
    pixels[0] = 65535
    for number in range(4):
        write_dicom(tmp_path / str(number), pixels + np.uint16(number) * (pixels < 65535),
                    position=f"0\\0\\{number * 3}", intercept="-1024", padding=65535)  # fmt: skip
    volume = read_volume(tmp_path)
    assert volume.value_range == (-1024, 79)


def test_magnetic_resonance_is_read_with_a_warning(tmp_path: Path) -> None:
    for number in range(4):
        pixels = np.random.default_rng(number).integers(0, 900, (24, 24)).astype(np.int16)
        write_dicom(tmp_path / str(number), pixels, position=f"0\\0\\{number * 3}", modality="MR",
                    intercept=None, slope=None)  # fmt: skip
    volume = read_volume(tmp_path)
    assert (volume.modality, volume.units) == ("MR", "unknown")
    assert any("not CT" in w and "knows CT only" in w for w in volume.warnings)
    assert prepare(volume, (4, 8, 8)).preprocessing["window"]["name"] == "full"


def test_no_patient_data_are_kept(tmp_path: Path) -> None:
    write_series(tmp_path, along_z(4))
    result = prepare(read_volume(tmp_path), (4, 8, 8))
    assert "Secret" not in repr(result.preprocessing) + repr(result.warnings)
    assert "1.2.3" not in repr(result.preprocessing) + repr(result.warnings)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize("leading", [(), (1,)])
def test_m3d_arrays(tmp_path: Path, dtype: str, leading: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).random((5, 20, 20)).astype(dtype)
    np.save(tmp_path / "a.npy", array.reshape(leading + array.shape))
    volume = read_volume(tmp_path / "a.npy")
    assert np.array_equal(volume.voxels, array.astype(np.float32))
    assert (volume.units, volume.ijk_to_lps, volume.warnings) == ("normalized", None, ())


def test_m3d_array_beyond_one_is_passed_on_with_a_warning(tmp_path: Path) -> None:
    array = np.random.default_rng(0).random((5, 20, 20)).astype(np.float32) * 4 - 0.5
    np.save(tmp_path / "a.npy", array)
    volume = read_volume(tmp_path / "a.npy")
    assert np.array_equal(volume.voxels, array)
    assert any("beyond 0 to 1" in w for w in volume.warnings)


def test_slicer_arrays_are_read_only_views() -> None:
    voxels = hounsfield()
    volume = volume_from_slicer(voxels, AFFINE_RAS, display_window=(40.0, 400.0))
    assert np.shares_memory(volume.voxels, voxels)
    assert not volume.voxels.flags.writeable
    assert voxels.flags.writeable
    assert np.allclose(volume.ijk_to_lps, LPS @ AFFINE_RAS)


def test_dicom_and_nrrd_of_one_scan_give_the_same_input(shared_dir: Path) -> None:
    inputs = [
        prepare(read_volume(shared_dir / "volumes" / name))
        for name in ("chest_ct_dicom", "chest_ct_cip64.nrrd")
    ]
    assert inputs[0].sha256 == inputs[1].sha256
    for a, b in zip(*(i.slice_map.slices for i in inputs), strict=True):
        assert a.position_lps_mm == pytest.approx(b.position_lps_mm, abs=2e-3)
        assert (a.source_first, a.source_last) == (b.source_first, b.source_last)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("abdomen_ct_small.nii.gz", (30, 101, 122)),
        ("abdomen_pelvis_ct_3mm.nii.gz", (112, 101, 122)),
        ("chest_ct_cip64_oblique.nrrd", (79, 64, 64)),
        ("chest_ct_slicerio.nrrd", (34, 128, 128)),
    ],
)
def test_real_ct_is_read_as_simpleitk_reads_it(
    shared_dir: Path, name: str, shape: tuple[int, ...]
) -> None:
    path = shared_dir / "volumes" / name
    volume: Volume = read_volume(path)
    image = SimpleITK.ReadImage(str(path))
    assert volume.voxels.shape == shape
    assert np.array_equal(volume.voxels, SimpleITK.GetArrayViewFromImage(image))
    assert volume.ijk_to_lps is not None
    for index in [(0, 0, 0), (50, 3, 20)]:
        expected = image.TransformIndexToPhysicalPoint(index)
        assert np.allclose((volume.ijk_to_lps @ [*index, 1])[:3], expected, atol=1e-3)
    assert (volume.units, volume.warnings) == ("HU", ())
    assert prepare(volume).voxels.max() == 1.0


def metaimage(voxels: np.ndarray, **fields: str | None) -> bytes:
    """A MetaImage file in one piece; a field of ``None`` is left out."""
    k, j, i = voxels.shape
    header: dict[str, str | None] = {
        "ObjectType": "Image",
        "NDims": "3",
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "CompressedData": "False",
        "TransformMatrix": "0.8 0.6 0 -0.6 0.8 0 0 0 1",
        "Offset": "-10 20 30.5",
        "ElementSpacing": "2 3 4.5",
        "DimSize": f"{i} {j} {k}",
        "ElementType": "MET_SHORT",
    } | fields
    lines = [f"{name} = {value}" for name, value in header.items() if value is not None]
    data = voxels.tobytes()
    if header["CompressedData"] == "True":
        data = zlib.compress(data)
    return "\n".join([*lines, "ElementDataFile = LOCAL\n"]).encode() + data


@pytest.mark.parametrize(
    ("dtype", "fields"),
    [
        ("<i2", {}),
        (">i2", {"BinaryDataByteOrderMSB": "True"}),
        (">i2", {"BinaryDataByteOrderMSB": None, "ElementByteOrderMSB": "True"}),
        ("<i4", {"ElementType": "MET_INT"}),
        ("<f4", {"ElementType": "MET_FLOAT"}),
        (">f8", {"ElementType": "MET_DOUBLE", "BinaryDataByteOrderMSB": "True"}),
        ("<i2", {"Offset": None, "Position": "-10 20 30.5"}),
        ("<i2", {"TransformMatrix": None, "Orientation": "0.8 0.6 0 -0.6 0.8 0 0 0 1"}),
        ("<i2", {"HeaderSize": "-1"}),
    ],
)
def test_metaimage_as_simpleitk_reads_it(
    tmp_path: Path, dtype: str, fields: dict[str, str | None]
) -> None:
    path = tmp_path / "v.mha"
    path.write_bytes(metaimage(hounsfield().astype(dtype), **fields))
    image = SimpleITK.ReadImage(str(path))
    volume = read_volume(path)
    assert np.array_equal(volume.voxels, SimpleITK.GetArrayFromImage(image))
    assert np.array_equal(volume.voxels, hounsfield())
    assert volume.ijk_to_lps is not None
    for index in ((0, 0, 0), (5, 7, 3), (19, 0, 8)):
        expected = image.TransformIndexToPhysicalPoint(index)
        assert np.allclose((volume.ijk_to_lps @ [*index, 1])[:3], expected)


@pytest.mark.parametrize("size", [None, "7"])
def test_metaimage_compressed_without_its_size(tmp_path: Path, size: str | None) -> None:
    """The toolkit gives memory that was never written for such a file."""
    content = metaimage(hounsfield(), CompressedData="True", CompressedDataSize=size)
    path = tmp_path / "v.mha"
    path.write_bytes(content)
    assert np.array_equal(read_volume(path).voxels, hounsfield())


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 300), st.binary(min_size=1, max_size=6))
def test_metaimage_with_any_bytes_in_its_header_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, start: int, patch: bytes
) -> None:
    content = bytearray(metaimage(hounsfield(), CompressedData="True"))
    content[start : start + len(patch)] = patch
    path = tmp_path_factory.getbasetemp() / "patched.mha"
    path.write_bytes(content)
    try:
        prepare(read_volume(path), (4, 8, 8))
    except InputError as error:
        assert error.exit_code == 2
