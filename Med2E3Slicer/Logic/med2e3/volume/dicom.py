"""Reads a DICOM file or folder into one image.

Knows which objects are images, which of several stacks to take or when to refuse, and how stored
pixels become values. Geometry is judged in `dicom_series`, headers are read in `dicom_header`.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import SimpleITK

from med2e3.errors import VolumeError
from med2e3.volume.decoded import Decoded
from med2e3.volume.dicom_header import (
    DICOM_SUFFIXES,
    DicomHeader,
    NotDicomError,
    is_ignored,
    read_dicom_header,
)
from med2e3.volume.dicom_series import Slice, Stack, group_stacks, sort_and_check
from med2e3.volume.volume import Voxels

SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)

_OBJECTS = {
    "RTSTRUCT": "a radiotherapy structure set",
    "RTPLAN": "a radiotherapy plan",
    "RTDOSE": "a radiotherapy dose map",
    "SEG": "a segmentation",
    "SR": "a structured report",
    "PR": "a presentation state",
    "KO": "a list of key objects",
    "REG": "a registration",
    "DOC": "a document",
}
_AIR_HU = -1024
#: no tissue, metal or air has such a value: padding
_PADDING_ABOVE_HU = 30000


def read_dicom_folder(folder: Path) -> Decoded:
    """Read the one volume in a folder and its subfolders.

    Raises:
        VolumeError: no images, no volume among them, several volumes, or a series that does not
            form a volume (see `dicom_series`).
    """
    return _read_stack(*find_stack(folder))


def find_stack(folder: Path) -> tuple[Stack, list[str]]:
    """The one stack of images in a folder and its subfolders, and what to tell; reads headers only.

    Raises:
        VolumeError: no images, no volume among them, or several volumes.
    """
    files, problems = _read_headers(folder)
    if not files:
        raise _nothing_usable(problems)
    stacks = group_stacks(files)
    volumes = [stack for stack in stacks if not stack.is_scout]
    if len(volumes) > 1:
        counts = sorted((len(stack.slices) for stack in volumes), reverse=True)
        raise VolumeError(
            f"The folder holds {len(volumes)} image series ({', '.join(map(str, counts))} slices), "
            "and only one can be used.",
            hint="Give a folder with one series.",
        )
    if not volumes:
        raise _no_volume(stacks, len(files))
    if problems["truncated"]:
        raise VolumeError(
            f"{problems['truncated']} of the image files are cut short or damaged.",
            hint="Copy or export the series again.",
        )
    warnings = []
    others = len(files) - len(volumes[0].slices)
    others += problems["object"] + problems["colour"] + problems["frames"]
    if others:
        warnings.append(
            f"{others} other DICOM files in the folder (scouts, reports and the like) were left "
            "out."
        )
    return volumes[0], warnings


def read_dicom_file(path: Path) -> Decoded:
    """Say why one DICOM file is not a volume.

    Raises:
        VolumeError: always: one file holds one slice, or frames whose places cannot be checked.
    """
    try:
        header = read_dicom_header(path)
    except NotDicomError as error:
        raise VolumeError(
            "The file is not a volume in a format known here, or it is damaged.",
            hint="Give NIfTI, NRRD, MetaImage, a DICOM folder, or an M3D .npy file.",
            detail=str(error),
        ) from error
    problem = _why_not_an_image(header)
    if problem == "object":
        raise VolumeError(f"This DICOM file is {_object_name(header)}, not an image.",
                          hint="Give the folder of the CT series.")  # fmt: skip
    if problem == "colour":
        raise VolumeError("This DICOM file is a colour picture, not a CT image.",
                          hint="Give the folder of the CT series.")  # fmt: skip
    if problem == "frames":
        raise VolumeError(
            "This DICOM file holds several frames (multi-frame or enhanced DICOM), whose places "
            "in the patient cannot be checked here.",
            hint="Convert it to single-slice DICOM, NIfTI or NRRD first.",
        )
    if problem == "truncated":
        raise VolumeError("The DICOM file is cut short: its pixel data are incomplete.",
                          hint="Copy or export it again.")  # fmt: skip
    if "LOCALIZER" in header.text("image_type").upper():
        raise VolumeError("This DICOM file is a scout (localizer) picture, not a volume.",
                          hint="Give the folder of the CT series.")  # fmt: skip
    raise VolumeError(
        "This DICOM file is a single slice; the model needs a volume of many slices.",
        hint="Give the folder of the whole series.",
    )


def _read_headers(folder: Path) -> tuple[list[tuple[Path, DicomHeader]], Counter[str]]:
    """Headers of the images in a folder, and how many other files there are of each kind."""
    files = []
    problems: Counter[str] = Counter()
    for path in _all_files(folder):
        try:
            header = read_dicom_header(path)
        except NotDicomError:
            damaged = path.suffix.lower() in DICOM_SUFFIXES
            problems["truncated" if damaged else "other"] += 1
            continue
        except OSError:
            problems["unreadable"] += 1
            continue
        problem = _why_not_an_image(header)
        if problem:
            problems[problem] += 1
        else:
            files.append((path, header))
    if problems["unreadable"]:
        raise VolumeError(
            f"{problems['unreadable']} files in the folder cannot be opened.",
            hint="Check the permissions of the folder.",
        )
    return files, problems


def _all_files(folder: Path) -> Iterator[Path]:
    for directory, subfolders, names in os.walk(folder):
        subfolders.sort()
        for name in sorted(names):
            if not is_ignored(name):
                yield Path(directory, name)


def _why_not_an_image(header: DicomHeader) -> str:
    """Empty for a grey-scale single-frame image with all its pixels."""
    if header.pixels == "absent" or header.text("modality") in _OBJECTS:
        return "object"
    if header.number("samples", 1) != 1 or header.text("photometric") not in (
        "MONOCHROME1",
        "MONOCHROME2",
        "",
    ):
        return "colour"
    if header.number("frames", 1) > 1:
        return "frames"
    return "truncated" if header.pixels == "truncated" else ""


def _object_name(header: DicomHeader) -> str:
    return _OBJECTS.get(header.text("modality"), "an object without pixels")


def _nothing_usable(problems: Counter[str]) -> VolumeError:
    """The sentence for a folder without a single usable image."""
    sentences = {
        "truncated": "All image files in the folder are cut short or damaged.",
        "frames": "The folder holds multi-frame (enhanced) DICOM, which is not supported.",
        "colour": "The folder holds colour pictures only, not a CT series.",
        "object": "The folder holds DICOM objects (segmentations, plans, reports), but no images.",
        "other": "There are no DICOM images in the folder.",
    }
    for problem, sentence in sentences.items():
        if problems[problem]:
            return VolumeError(sentence, hint="Give the folder of the CT series.")
    return VolumeError("The folder is empty.", hint="Give the folder of the CT series.")


def _no_volume(stacks: list[Stack], count: int) -> VolumeError:
    placed = sum(len(stack.slices) for stack in stacks)
    if placed == 0:
        sentence = "The DICOM images do not tell where they lie in the patient"
    elif len(stacks) > 1:
        sentence = (
            f"The {count} DICOM images in the folder do not form a volume: they differ in "
            "direction, size or pixel spacing, or are scouts"
        )
    elif count == 1:
        sentence = "The folder holds a single slice; the model needs a volume of many slices"
    else:
        sentence = f"The folder holds only {count} slices or scout pictures, not a volume"
    return VolumeError(sentence + ".", hint="Give the folder of the whole CT series.")


def _read_stack(stack: Stack, warnings: list[str]) -> Decoded:
    slices, ijk_to_lps, notes = sort_and_check(stack)
    header = slices[len(slices) // 2].header
    modality = header.text("modality") or None
    if modality in (None, "CT") and header.text("photometric") == "MONOCHROME1":
        raise VolumeError(
            "The pictures are stored with black and white exchanged (MONOCHROME1), so that their "
            "values are not known to be Hounsfield units.",
            hint="Convert the series to MONOCHROME2, NIfTI or NRRD first.",
        )
    voxels = _read_pixels(slices)
    if modality == "CT":
        voxels = _padding_to_air(voxels, slices)
    return Decoded(
        voxels,
        ijk_to_lps,
        modality,
        _common_window(slices),
        _declares_hu(header),
        tuple(warnings + notes),
    )


def _read_pixels(slices: list[Slice]) -> Voxels:
    """Values after rescaling, each slice with its own slope and intercept."""
    reader = SimpleITK.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    volume: Voxels | None = None
    for number, one in enumerate(slices):
        reader.SetFileName(str(one.path))
        try:
            image = reader.Execute()
        except RuntimeError as error:
            raise VolumeError(
                f"Image {number + 1} of {len(slices)} of the series cannot be decoded: it is "
                "damaged or compressed in an unknown way.",
                hint="Copy or export the series again.",
                detail=str(error).replace(str(one.path.parent), ""),
            ) from error
        picture = SimpleITK.GetArrayViewFromImage(image)
        dtype = np.dtype(np.float32) if picture.dtype.kind == "f" else picture.dtype
        if volume is None:
            volume = np.empty((len(slices), *picture.shape[-2:]), dtype)
        elif not np.can_cast(dtype, volume.dtype):
            volume = volume.astype(np.promote_types(volume.dtype, dtype))
        volume[number] = picture.reshape(volume.shape[1:])
    assert volume is not None
    return volume


def _padding_to_air(voxels: Voxels, slices: list[Slice]) -> Voxels:
    """Make padding that is brighter than anything real as dark as air."""
    header = slices[0].header
    if "padding" not in header.values or voxels.max() < _PADDING_ABOVE_HU:
        return voxels
    stored = header.number("padding")
    if header.number("signed") and stored >= 1 << 15:
        stored -= 1 << 16
    for picture, one in zip(voxels, slices, strict=True):
        slope = (one.header.numbers("rescale_slope") or (1.0,))[0]
        intercept = (one.header.numbers("rescale_intercept") or (0.0,))[0]
        padding = stored * slope + intercept
        if padding >= _PADDING_ABOVE_HU:
            picture[picture == padding] = _AIR_HU
    return voxels


def _common_window(slices: list[Slice]) -> tuple[float, float] | None:
    """The first window of the headers, if at least half of the slices have the same one.

    Some exporters write another window into each slice, fitted to that slice's range; none of them
    is a choice for the volume.
    """
    windows: Counter[tuple[float, float]] = Counter()
    for one in slices:
        center = one.header.numbers("window_center")
        width = one.header.numbers("window_width")
        if center and width:
            windows[center[0], width[0]] += 1
    if not windows:
        return None
    window, count = windows.most_common(1)[0]
    return window if 2 * count >= len(slices) else None


def _declares_hu(header: DicomHeader) -> bool | None:
    if header.text("modality") != "CT":
        return None
    kind = header.text("rescale_type").upper()
    if kind:
        return kind == "HU"
    return True if "rescale_intercept" in header.values else None
