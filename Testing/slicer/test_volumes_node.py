"""Volume nodes become the right model input, or are refused in words."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed")

import slicer
import slicer.util
import vtk

from fixtures import slicer_scenes as scenes
from med2e3.asking import Question
from med2e3.errors import InputError, VolumeError
from med2e3_slicer.volumes import (
    PreparationOptions,
    check_node,
    copy_in_steps,
    copy_volume,
    examine,
    make_model_input,
    repeat_model_input,
)

SIZE = (32, 64, 64)


@pytest.fixture
def scene() -> Any:
    return scenes.new_scene()


def add_transform(scene: Any, matrix: Any, *nodes: Any) -> Any:
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(np.asarray(matrix, float)))
    for node in nodes:
        node.SetAndObserveTransformNodeID(transform.GetID())
    return transform


def add_grid_transform(scene: Any, node: Any) -> None:
    """What the DICOM import adds to unevenly spaced slices."""
    grid = vtk.vtkImageData()
    grid.SetDimensions(2, 2, 3)
    grid.AllocateScalars(vtk.VTK_DOUBLE, 3)
    grid.GetPointData().GetScalars().Fill(0)
    grid.SetScalarComponentFromDouble(0, 0, 1, 2, 4.0)
    transform = slicer.vtkOrientedGridTransform()
    transform.SetDisplacementGridData(grid)
    transform_node = scene.AddNewNodeByClass("vtkMRMLGridTransformNode")
    transform_node.SetAndObserveTransformFromParent(transform)
    node.SetAndObserveTransformNodeID(transform_node.GetID())


@pytest.mark.parametrize(
    "dtype", ["int8", "uint8", "int16", "uint16", "int32", "float32", "float64"]
)
def test_voxels_are_copied(scene: Any, dtype: str) -> None:
    voxels = np.arange(4 * 20 * 24).reshape(4, 20, 24).astype(dtype)
    node = scenes.add_volume(scene, voxels)
    snapshot = copy_volume(node)
    assert snapshot.voxels.dtype == dtype
    slicer.util.arrayFromVolume(node)[:] = 0
    np.testing.assert_array_equal(snapshot.voxels, voxels)
    scene.Clear(False)
    np.testing.assert_array_equal(snapshot.voxels, voxels)


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_a_landmark_is_where_slicer_shows_it(scene: Any, plane: str) -> None:
    voxels = scenes.body_voxels()
    k, j, i = 25, 40, 64
    voxels[k - 1 : k + 2, j - 2 : j + 3, i - 2 : i + 3] = 3000
    node = scenes.add_volume(scene, voxels)
    tilt, shift = np.radians(20), [12.0, -7.0, 33.0]
    matrix = np.eye(4)
    matrix[:2, :2] = [[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]]
    matrix[:3, 3] = shift
    outer = add_transform(scene, np.diag([1, 1, 1.5, 1]))
    add_transform(scene, matrix, node).SetAndObserveTransformNodeID(outer.GetID())

    world = [0.0, 0.0, 0.0]
    ijk_to_ras = slicer.util.arrayFromVTKMatrix(_ijk_to_ras(node))
    node.TransformPointToWorld((ijk_to_ras @ [i, j, k, 1])[:3], world)
    options = PreparationOptions(window=(1500, 3000), plane=plane, trust_spacing=True)
    made = make_model_input(copy_volume(node), SIZE, options)
    brightest = int(np.argmax(made.voxels.max(axis=(1, 2))))
    x, y, z = world
    assert abs(made.slice_map.nearest((-x, -y, z)) - brightest) <= 1


def _ijk_to_ras(node: Any) -> Any:
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return matrix


def test_the_same_picture_as_from_a_file(scene: Any, tmp_path: Any) -> None:
    from med2e3.volume import prepare, read_volume

    node = scenes.add_volume(scene)
    path = tmp_path / "volume.nrrd"
    storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
    storage.SetFileName(str(path))
    assert storage.WriteData(node)
    from_file = prepare(read_volume(path), SIZE)
    from_node = make_model_input(copy_volume(node), SIZE)
    assert from_node.sha256 == from_file.sha256
    ours, theirs = from_node.slice_map, from_file.slice_map
    places = [[place.position_lps_mm for place in each.slices] for each in (ours, theirs)]
    np.testing.assert_allclose(places[0], places[1], atol=1e-9)
    assert [p.source_first for p in ours.slices] == [p.source_first for p in theirs.slices]


def test_refusals(scene: Any) -> None:
    def refused(node: Any) -> str:
        found = examine(node)
        assert found.refusal is not None
        assert found.warnings == ()
        with pytest.raises(VolumeError) as error:
            copy_volume(node)
        assert str(error.value) == str(found.refusal)
        return str(error.value)

    assert "No volume is chosen" in refused(None)
    assert "no volume" in refused(scene.AddNewNodeByClass("vtkMRMLTextNode"))
    label = scenes.add_volume(scene, class_name="vtkMRMLLabelMapVolumeNode")
    assert "label map" in refused(label)
    assert "empty" in refused(scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode"))
    empty = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    empty.SetAndObserveImageData(vtk.vtkImageData())
    assert "empty" in refused(empty)
    colours = scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode")
    slicer.util.updateVolumeFromArray(colours, np.zeros((5, 20, 20, 3), np.uint8))
    assert "3 numbers for each voxel" in refused(colours)
    bent = scenes.add_volume(scene)
    add_grid_transform(scene, bent)
    assert "not linear" in refused(bent)
    assert "Harden" in refused(bent)


def test_what_only_the_voxels_tell_is_refused_before_running(scene: Any) -> None:
    rng = np.random.default_rng(0)
    cases = {
        "same value": np.zeros((20, 64, 64), np.int16),
        "label map": np.kron(np.arange(8).reshape(2, 2, 2), np.ones((10, 32, 32))).astype("uint8"),
        "single slice": scenes.body_voxels((1, 64, 64)),
        "too small": scenes.body_voxels((20, 8, 8)),
        "not Hounsfield": rng.integers(0, 255, (20, 64, 64)).astype(np.uint8),
    }
    for sentence, voxels in cases.items():
        node = scenes.add_volume(scene, voxels)
        assert sentence in str(examine(node).refusal), sentence
        with pytest.raises(InputError, match=sentence):
            make_model_input(copy_volume(node), SIZE)
    tiny = scenes.add_volume(scene, spacing=(0.5, 0.5, 1.0))
    assert "spacing is probably wrong" in str(examine(tiny).refusal)
    assert examine(tiny, PreparationOptions(trust_spacing=True)).refusal is None


def test_a_good_volume_needs_no_words_but_for_its_window(scene: Any) -> None:
    node = scenes.add_volume(scene)
    found = examine(node, size=SIZE)
    assert found.refusal is None
    assert found.warnings == make_model_input(copy_volume(node), SIZE).warnings
    node.CreateDefaultDisplayNodes()
    display = node.GetScalarVolumeDisplayNode()
    display.AutoWindowLevelOff()
    display.SetWindowLevel(1500, -600)
    assert examine(node, size=SIZE).warnings == ()
    window = make_model_input(copy_volume(node), SIZE).preprocessing["window"]
    assert (window["center"], window["width"], window["source"]) == (-600, 1500, "file")
    display.AutoWindowLevelOn()
    window = make_model_input(copy_volume(node), SIZE).preprocessing["window"]
    assert (window["name"], window["source"]) == ("soft-tissue", "preset")


def test_warnings(scene: Any) -> None:
    def said(node: Any, **options: Any) -> str:
        found = examine(node, PreparationOptions(trust_spacing=True, **options), SIZE)
        assert found.refusal is None, found.refusal
        return " ".join(found.warnings)

    rng = np.random.default_rng(0)
    mr = scenes.add_volume(scene, rng.integers(0, 900, (40, 64, 64)).astype(np.int16))
    assert "not Hounsfield units" in said(mr)
    scenes.add_study(scene, mr, "MR")
    assert "not CT (modality MR)" in said(mr)
    tilted = scenes.add_volume(scene)
    shear = np.eye(4)
    shear[1, 2] = np.tan(np.radians(12))
    add_transform(scene, shear, tilted)
    assert "tilted by 12 degrees" in said(tilted)
    small = scenes.add_volume(scene, spacing=(0.6, 0.6, 2.0))
    assert "only 58 x 77 mm" in said(small) or "only 77 x 58 mm" in said(small)
    few = scenes.add_volume(scene, scenes.body_voxels((12, 96, 128)), spacing=(3, 3, 3))
    assert "12 axial slices, fewer than the 32" in said(few)
    assert "cover only 36 mm" in said(few)
    assert "axial slices, fewer" not in said(few, plane="coronal")


def test_modality_and_units_from_the_scene(scene: Any) -> None:
    node = scenes.add_volume(scene)
    assert (copy_volume(node).modality, copy_volume(node).declares_hu) == (None, None)
    code = slicer.vtkCodedEntry()
    code.SetValueSchemeMeaning("112031", "DCM", "Attenuation Coefficient")
    node.SetVoxelValueQuantity(code)
    units = slicer.vtkCodedEntry()
    units.SetValueSchemeMeaning("[hnsf'U]", "UCUM", "Hounsfield unit")
    node.SetVoxelValueUnits(units)
    assert (copy_volume(node).modality, copy_volume(node).declares_hu) == ("CT", True)
    scenes.add_study(scene, node, "PT")
    assert copy_volume(node).modality == "PT"
    # a cropped CT without air is still CT
    inside = scenes.add_volume(scene, scenes.body_voxels()[:, 40:56, 58:74].clip(-150, None))
    inside.SetVoxelValueUnits(units)
    inside.SetVoxelValueQuantity(code)
    options = PreparationOptions(trust_spacing=True)
    assert make_model_input(copy_volume(inside), SIZE, options).preprocessing["units"] == "HU"


def test_copy_in_steps(scene: Any) -> None:
    voxels = np.zeros((90, 400, 400), np.int16)
    voxels[:, ::2] = np.arange(400, dtype=np.int16)
    node = scenes.add_volume(scene, voxels)
    steps = copy_in_steps(node)
    done = [next(steps)]
    try:
        while True:
            done.append(next(steps))
    except StopIteration as end:
        snapshot = end.value
    assert len(done) >= 3
    assert done == sorted(done)
    assert done[-1] == 1.0
    np.testing.assert_array_equal(snapshot.voxels, voxels)

    steps = copy_in_steps(node)
    next(steps)
    slicer.util.arrayFromVolumeModified(node)
    with pytest.raises(VolumeError, match="changed while"):
        list(steps)
    steps = copy_in_steps(node)
    next(steps)
    scene.RemoveNode(node)
    node.SetAndObserveImageData(None)
    with pytest.raises(VolumeError, match="changed while"):
        list(steps)


def test_prepared_elsewhere(scene: Any) -> None:
    snapshot = copy_volume(scenes.add_volume(scene))
    here = make_model_input(snapshot, SIZE)
    sent = pickle.loads(pickle.dumps(snapshot))
    assert make_model_input(sent, SIZE).sha256 == here.sha256
    with ThreadPoolExecutor(1) as pool:
        there = pool.submit(make_model_input, snapshot, SIZE).result()
    assert there.sha256 == here.sha256
    assert pickle.loads(pickle.dumps(here)).slice_map == here.slice_map


@pytest.mark.parametrize("window", ["display", "lung", "full", (-123.4, 777.7)])
@pytest.mark.parametrize("order", ["standard", "reversed"])
def test_repeated_from_the_record(scene: Any, window: Any, order: str) -> None:
    node = scenes.add_volume(scene)
    options = PreparationOptions(window, "coronal", order)
    made = make_model_input(copy_volume(node), SIZE, options)
    exchange = scenes.ask(made, Question("What is seen?"), 2)
    again = repeat_model_input(copy_volume(node), exchange)
    np.testing.assert_array_equal(again.voxels, made.voxels)
    slicer.util.arrayFromVolume(node)[20, 40, 60] += 500
    slicer.util.arrayFromVolumeModified(node)
    with pytest.raises(InputError, match="no longer what it was"):
        repeat_model_input(copy_volume(node), exchange)
    with pytest.raises(InputError, match="how its volume was prepared"):
        repeat_model_input(copy_volume(node), replace(exchange, preprocessing={}))


def test_unknown_choices() -> None:
    for choice in ({"window": "lungs"}, {"plane": "oblique"}, {"slice_order": "up"}):
        with pytest.raises(InputError):
            PreparationOptions(**choice)


def test_names_are_never_read(scene: Any) -> None:
    node = scenes.add_volume(scene, name="Mustermann^Erika")
    scenes.add_study(scene, node)
    check_node(node)
    assert b"Mustermann" not in pickle.dumps(copy_volume(node))
