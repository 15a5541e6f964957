"""One volume from its files to a store: what a process of ``med2e3 data prepare`` does.

Knows the order of steps and which failures leave a volume out.  Knows nothing of other volumes, of
annotations, or of processes.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import SimpleITK

from med2e3.data.masks import labels_of_slices, read_labels, slices_by_label
from med2e3.data.pictures import read_picture_stack
from med2e3.data.signature import signature
from med2e3.data.sources import TrainingSource
from med2e3.data.store import VolumeStore
from med2e3.errors import InputError, Med2E3Error
from med2e3.volume import Volume, WindowChoice, prepare, read_volume


@dataclass(frozen=True)
class Preparation:
    """How volumes are prepared; the same for all of a store.

    Args:
        size: (slices, rows, columns).
        window, plane, slice_order: as :func:`med2e3.volume.prepare` has them; arrays and pictures
            of M3D are taken as they are.
        trust_spacing: accept a body of unusual size.
    """

    size: tuple[int, int, int]
    window: WindowChoice = "display"
    plane: str = "axial"
    slice_order: str = "standard"
    trust_spacing: bool = False

    def as_dict(self) -> dict[str, Any]:
        """For the store's description (JSON values)."""
        values = asdict(self)
        del values["size"]
        if not isinstance(self.window, str):
            values["window"] = list(self.window)
        return values


@dataclass(frozen=True)
class Piece:
    """One volume to prepare.

    Args:
        source: its files.
        labels: its label volume, if it has one.
        label_names: name of each label value, 0 first.
        store: folder of the store.
        preparation: how.
        made_from: checksum of everything that decides the result.
    """

    source: TrainingSource
    labels: Path | None
    label_names: tuple[str, ...]
    store: Path
    preparation: Preparation
    made_from: str


@dataclass(frozen=True)
class Outcome:
    """What became of a volume.

    Args:
        reason: why it was left out; empty when it is stored.
        sha256: of the stored voxels.
        signature: see :mod:`med2e3.data.signature`.
        attributes: of the whole volume, JSON values.
        remarks: sentences for the person.
    """

    reason: str = ""
    sha256: str = ""
    signature: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()


def prepare_one(piece: Piece) -> Outcome:
    """Read, prepare and store a volume; never raises.

    A volume with a label volume that cannot be used is left out, too: it would be taken for a
    volume without labels.
    """
    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    try:
        return _prepare(piece)
    except MemoryError:
        return Outcome(reason="There is not enough memory for this volume.")
    except Med2E3Error as error:
        return Outcome(reason=str(error))
    except OSError as error:
        return Outcome(reason=f"It cannot be read or stored: {error.strerror or 'no reason told'}.")
    except Exception as error:  # one odd file must not end the work of a night
        return Outcome(reason=f"Something unexpected happened ({type(error).__name__}).")


def _prepare(piece: Piece) -> Outcome:
    wanted = piece.preparation
    volume = _read(piece.source, trust_spacing=wanted.trust_spacing)
    as_it_is = volume.units == "normalized"
    model_input = prepare(
        volume,
        wanted.size,
        window="display" if as_it_is else wanted.window,
        plane="native" if as_it_is else wanted.plane,
        slice_order="standard" if as_it_is else wanted.slice_order,
    )
    store = VolumeStore(piece.store)
    attributes: dict[str, Any] = {"source": piece.source.kind}
    chosen = model_input.preprocessing
    attributes |= {name: chosen[name] for name in ("plane", "window", "source_shape_kji")}
    labels = None
    if piece.labels is not None:
        try:
            found = read_labels(piece.labels, volume, len(piece.label_names))
        except InputError as error:
            raise InputError(f"Its label volume: {error.sentence}", hint=error.hint) from error
        labels = labels_of_slices(found, volume, chosen, wanted.size)
        attributes["label_slices"] = slices_by_label(labels, piece.label_names)
    store.put(piece.source.key, model_input.voxels, labels)
    return Outcome(
        sha256=store.content_sha256(piece.source.key),
        signature=signature(store.voxels(piece.source.key)),
        attributes=attributes,
        remarks=model_input.warnings,
    )


def _read(source: TrainingSource, *, trust_spacing: bool) -> Volume:
    if source.kind == "pictures":
        return read_picture_stack(source.path)
    return read_volume(source.path, trust_spacing=trust_spacing)
