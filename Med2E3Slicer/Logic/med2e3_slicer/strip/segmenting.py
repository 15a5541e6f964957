"""Whether a person draws segments now: an effect of the Segment Editor is active.

Knows the editor's node, and the editors among Slicer's windows. The node alone does not tell: it is
saved with the scene, and then names an effect that is active in no editor.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import slicer


def is_segmenting(nodes: Sequence[Any]) -> bool:
    """Whether one of these ``vtkMRMLSegmentEditorNode`` names an effect that an editor uses."""
    if not any(node.GetActiveEffectName() for node in nodes):
        return False
    return any(editor.activeEffect() is not None for editor in _editors())


def _editors() -> Iterator[Any]:
    """The editors of Slicer's module, of other modules, and of scripts."""
    kind = getattr(slicer, "qMRMLSegmentEditorWidget", None)
    if kind is None:  # a Slicer without segmentations
        return
    for window in slicer.app.topLevelWidgets():
        if isinstance(window, kind):
            yield window
        yield from window.findChildren(kind)
