"""From a volume node to what the model sees.

Of Slicer only the translation of sentences is used, so that :func:`make_model_input` can run in a
thread; nodes are only asked through their own methods.
"""

from med2e3_slicer.volumes.examine import Examination, examine
from med2e3_slicer.volumes.node import VolumeSnapshot, check_node, copy_in_steps, copy_volume
from med2e3_slicer.volumes.options import PreparationOptions
from med2e3_slicer.volumes.preparing import make_model_input, repeat_model_input

__all__ = [
    "Examination",
    "PreparationOptions",
    "VolumeSnapshot",
    "check_node",
    "copy_in_steps",
    "copy_volume",
    "examine",
    "make_model_input",
    "repeat_model_input",
]
