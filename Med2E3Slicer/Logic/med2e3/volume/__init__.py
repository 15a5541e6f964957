"""Volumes: read them safely, prepare them for the model, and map its slices back to the patient.

Imports numpy and SimpleITK only. Does not know the model.
"""

from med2e3.volume.build import volume_from_array, volume_from_slicer
from med2e3.volume.model_input import MODEL_SIZE, ModelInput, prepare
from med2e3.volume.orientation import PLANES, SLICE_ORDERS
from med2e3.volume.read import VOLUME_SUFFIXES, read_volume
from med2e3.volume.recognise import dicom_series, is_one_dicom_volume
from med2e3.volume.slice_map import SliceMap, SlicePlace
from med2e3.volume.volume import Units, Volume
from med2e3.volume.window import PRESETS, WINDOW_NAMES, WindowChoice, parse_window

__all__ = [
    "MODEL_SIZE",
    "PLANES",
    "PRESETS",
    "SLICE_ORDERS",
    "VOLUME_SUFFIXES",
    "WINDOW_NAMES",
    "ModelInput",
    "SliceMap",
    "SlicePlace",
    "Units",
    "Volume",
    "WindowChoice",
    "dicom_series",
    "is_one_dicom_volume",
    "parse_window",
    "prepare",
    "read_volume",
    "volume_from_array",
    "volume_from_slicer",
]
