"""From a snapshot of a volume node to the model input; the heavy part, without any node.

Plain functions of plain data: they may run in a thread or in a child process, since what they
take and give can be pickled. Do not know MRML.
"""

from __future__ import annotations

from slicer.i18n import tr as _

from med2e3.errors import InputError
from med2e3.record import Exchange
from med2e3.volume import MODEL_SIZE, ModelInput, Volume, prepare, volume_from_array
from med2e3.volume.volume import LPS_FROM_RAS
from med2e3_slicer.volumes.node import VolumeSnapshot
from med2e3_slicer.volumes.options import PreparationOptions


def volume_of(snapshot: VolumeSnapshot, *, trust_spacing: bool = False) -> Volume:
    """Check a snapshot and make it a volume.

    Raises:
        VolumeError: for what must not be shown to the model.
    """
    return volume_from_array(
        snapshot.voxels,
        LPS_FROM_RAS @ snapshot.ijk_to_ras,
        modality=snapshot.modality,
        display_window=snapshot.display_window,
        declares_hu=snapshot.declares_hu,
        trust_spacing=trust_spacing,
    )


def make_model_input(
    snapshot: VolumeSnapshot,
    size: tuple[int, int, int] = MODEL_SIZE,
    options: PreparationOptions | None = None,
) -> ModelInput:
    """Check, orient, window, crop and resize.

    Args:
        snapshot: of the node.
        size: (slices, rows, columns) of the model.
        options: the person's choices.

    Raises:
        InputError: for a volume that must not be shown to the model, or a choice that does not
            fit it.
    """
    options = options or PreparationOptions()
    return prepare(
        volume_of(snapshot, trust_spacing=options.trust_spacing),
        size,
        window=options.window,
        plane=options.plane,
        slice_order=options.slice_order,
    )


def repeat_model_input(snapshot: VolumeSnapshot, exchange: Exchange) -> ModelInput:
    """Make the model input of a record again, and make sure that it is the same.

    Args:
        snapshot: of the volume that the record is about.
        exchange: the record.

    Raises:
        InputError: when the record does not tell enough, or the volume is not what it was.
    """
    if len(exchange.volume.shape) != 3:
        raise InputError(_("The record does not tell which volume it is about."))
    slices, rows, columns = exchange.volume.shape
    options = PreparationOptions.of_record(exchange.preprocessing)
    model_input = make_model_input(snapshot, (slices, rows, columns), options)
    if model_input.sha256 != exchange.volume.sha256:
        raise InputError(_("The volume is no longer what it was when this question was asked."))
    return model_input
