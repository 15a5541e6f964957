"""Slicer's Python modules that slicer-core lacks: bases of modules, parameter nodes, texts, pip.

``install()`` makes ``slicer.ScriptedLoadableModule``, ``slicer.parameterNodeWrapper``,
``slicer.i18n``, ``slicer.packaging`` and ``SampleData`` importable.
"""

from __future__ import annotations

import sys

import slicer

from .. import i18n
from . import packaging, parameters, sample_data, scripted


def install() -> None:
    """Put the modules where Slicer has them."""
    for name, module in (
        ("i18n", i18n),
        ("packaging", packaging),
        ("parameterNodeWrapper", parameters),
        ("ScriptedLoadableModule", scripted),
    ):
        sys.modules[f"slicer.{name}"] = module
        setattr(slicer, name, module)
    sys.modules["SampleData"] = sample_data
