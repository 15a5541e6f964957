"""Stand-ins for the widgets of CTK and MRML that ``.ui`` files and Python code name.

``install()`` makes them known to ``slicer``, ``ctk`` and the loader of ``.ui`` files.
"""

from __future__ import annotations

import sys
import types
from typing import Any

import slicer

from ..pythonqt import CUSTOM_WIDGETS
from . import ctk_boxes, ctk_inputs, mrml, selectors

CTK = (
    ctk_boxes.ctkCollapsibleButton,
    ctk_boxes.ctkCollapsibleGroupBox,
    ctk_boxes.ctkMessageBox,
    ctk_boxes.ctkFittedTextBrowser,
    ctk_boxes.ctkExpandableWidget,
    ctk_inputs.ctkPathLineEdit,
    ctk_inputs.ctkDirectoryButton,
    ctk_inputs.ctkSliderWidget,
    ctk_inputs.ctkComboBox,
    ctk_inputs.ctkSearchBox,
)
MRML = (
    mrml.qMRMLWidget,
    mrml.qMRMLTextWidget,
    mrml.qMRMLSegmentEditorWidget,
    selectors.qMRMLNodeComboBox,
)


def install() -> None:
    """Put the stand-ins into ``ctk`` and ``slicer``."""
    ctk: Any = types.ModuleType("ctk")
    for cls in CTK:
        setattr(ctk, cls.__name__, cls)
    for cls in MRML:
        setattr(slicer, cls.__name__, cls)
    CUSTOM_WIDGETS.update({cls.__name__: cls for cls in (*CTK, *MRML)})
    sys.modules["ctk"] = ctk
