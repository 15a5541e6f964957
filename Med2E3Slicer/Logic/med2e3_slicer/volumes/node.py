"""What a volume node holds, checked and copied, so that the rest needs no node.

Knows MRML volume nodes, their parent transforms and where Slicer keeps modality and units. Does
not know windows, the model, or anything of the patient: names, dates and paths are not read.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from slicer.i18n import tr as _
from vtkmodules.vtkCommonMath import vtkMatrix4x4

from med2e3.errors import VolumeError
from med2e3.volume.volume import Voxels

#: bytes that are copied at a time: a millisecond, and few also where memory is slow
_SLAB_BYTES = 2 << 20
#: codes of DICOM's "real world value" of a voxel, as Slicer's DICOM import sets them
_MODALITY_OF_QUANTITY = {"112031": "CT", "110852": "MR"}
#: UCUM's code of the Hounsfield unit
_HOUNSFIELD = "[hnsf'U]"


@dataclass(frozen=True, eq=False)
class VolumeSnapshot:
    """A volume node's content at one moment; can be handed to a thread or a child process.

    Args:
        voxels: (K, J, I), a copy of its own, or of the node where a function says so.
        ijk_to_ras: 4x4, voxel indices to world coordinates (mm, RAS), parent transforms applied.
        modality: DICOM modality, if the scene tells it.
        display_window: (center, width), unless Slicer chose it by itself from the values.
        declares_hu: ``True`` if the node says that its values are HU, ``None`` if it is silent.
    """

    voxels: Voxels
    ijk_to_ras: npt.NDArray[np.float64]
    modality: str | None = None
    display_window: tuple[float, float] | None = None
    declares_hu: bool | None = None


def check_node(node: Any) -> None:
    """Refuse a node that is no image of one number for each voxel, or whose slices are bent.

    Costs no time that depends on the volume's size.

    Raises:
        VolumeError: one sentence that says what is wrong.
    """
    if node is None:
        raise VolumeError(_("No volume is chosen."), hint=_("Choose the CT volume."))
    if not node.IsA("vtkMRMLScalarVolumeNode"):
        raise VolumeError(_("The chosen node is no volume."), hint=_("Choose the CT volume."))
    if node.IsA("vtkMRMLLabelMapVolumeNode"):
        raise VolumeError(
            _("This volume is a label map (a segmentation), not an image."),
            hint=_("Choose the volume that was segmented."),
        )
    image = node.GetImageData()
    scalars = None if image is None else image.GetPointData().GetScalars()
    if scalars is None or scalars.GetNumberOfTuples() == 0:
        raise VolumeError(
            _("The volume is empty: it holds no voxels."),
            hint=_("Load its images again, or choose another volume."),
        )
    components = scalars.GetNumberOfComponents()
    if components > 1:
        raise VolumeError(
            _(
                "The volume has {count} numbers for each voxel (colours, vectors or time points); "
                "the model needs one."
            ).format(count=components),
            hint=_("Choose the grey-scale volume."),
        )
    transform = node.GetParentTransformNode()
    if transform is not None and not transform.IsTransformToWorldLinear():
        raise VolumeError(
            _(
                "The volume lies under a transform that is not linear, so its slices are not flat: "
                "Slicer adds one to scans with tilted or unevenly spaced slices, and deformable "
                "registration makes one."
            ),
            hint=_(
                "Harden the transform on a copy of the volume (Data module), which resamples it, "
                "and choose the copy."
            ),
        )


def view_volume(node: Any) -> VolumeSnapshot:
    """The node's content without a copy: its voxels are those of the node, read-only.

    Only for work that ends before anything else can change the node.

    Raises:
        VolumeError: as :func:`check_node`.
    """
    check_node(node)
    return VolumeSnapshot(
        _voxels(node), _ijk_to_world(node), _modality(node), _window(node), _declares_hu(node)
    )


def copy_volume(node: Any) -> VolumeSnapshot:
    """The node's content with a copy of the voxels, all at once.

    Raises:
        VolumeError: as :func:`check_node`.
    """
    steps = copy_in_steps(node)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            snapshot: VolumeSnapshot = end.value
            return snapshot


def copy_in_steps(node: Any) -> Generator[float, None, VolumeSnapshot]:
    """The same in steps of a few milliseconds each, between which Slicer can do other work.

    Yields:
        The part that is done, up to 1.

    Returns:
        The snapshot.

    Raises:
        VolumeError: as :func:`check_node`, and when the volume changes between two steps.
    """
    view = view_volume(node)
    source = view.voxels
    image, changed = node.GetImageData(), node.GetImageData().GetMTime()
    voxels = np.empty_like(source, order="C", subok=False)
    slices = max(1, _SLAB_BYTES // max(1, source[0].nbytes))
    for start in range(0, len(source), slices):
        if node.GetImageData() is not image or image.GetMTime() != changed:
            raise VolumeError(
                _("The volume was changed while it was being read."), hint=_("Ask again.")
            )
        voxels[start : start + slices] = source[start : start + slices]
        yield min(1.0, (start + slices) / len(source))
    voxels.flags.writeable = False
    return VolumeSnapshot(
        voxels, view.ijk_to_ras, view.modality, view.display_window, view.declares_hu
    )


def ijk_to_world(node: Any) -> npt.NDArray[np.float64]:
    """4x4, voxel indices to world coordinates (mm, RAS), linear parent transforms applied.

    Raises:
        VolumeError: as :func:`check_node`.
    """
    check_node(node)
    return _ijk_to_world(node)


def _voxels(node: Any) -> Voxels:
    image = node.GetImageData()
    i, j, k = image.GetDimensions()
    voxels = np.asarray(memoryview(image.GetPointData().GetScalars())).reshape(k, j, i)
    voxels.flags.writeable = False
    return voxels


def _ijk_to_world(node: Any) -> npt.NDArray[np.float64]:
    matrix = vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    ijk_to_ras = _as_array(matrix)
    transform = node.GetParentTransformNode()
    if transform is None:
        return ijk_to_ras
    transform.GetMatrixTransformToWorld(matrix)
    return _as_array(matrix) @ ijk_to_ras


def _as_array(matrix: vtkMatrix4x4) -> npt.NDArray[np.float64]:
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def _modality(node: Any) -> str | None:
    scene = node.GetScene()
    hierarchy = scene and scene.GetFirstNodeByClass("vtkMRMLSubjectHierarchyNode")
    item = hierarchy.GetItemByDataNode(node) if hierarchy else 0
    told = hierarchy.GetItemAttribute(item, "DICOM.Modality") if item else ""
    if told:
        return str(told)
    quantity = node.GetVoxelValueQuantity()
    return _MODALITY_OF_QUANTITY.get(quantity.GetCodeValue()) if quantity else None


def _declares_hu(node: Any) -> bool | None:
    units = node.GetVoxelValueUnits()
    return True if units and units.GetCodeValue() == _HOUNSFIELD else None


def _window(node: Any) -> tuple[float, float] | None:
    display = node.GetScalarVolumeDisplayNode()
    if display is None or display.GetAutoWindowLevel():
        return None
    return display.GetLevel(), display.GetWindow()
