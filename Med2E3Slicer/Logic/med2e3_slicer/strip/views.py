"""The slice views that there are now.

Knows Slicer's layout manager by what it offers Python; a fixed list of views does as well. Does not
know strips.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, eq=False)
class SliceView:
    """One slice view.

    Args:
        name: as in the layout: ``"Red"``.
        renderer: its own ``vtkRenderer``.
        interactor: its ``vtkRenderWindowInteractor``.
        slice_logic: its ``vtkMRMLSliceLogic``.
        request_render: draws it soon.
    """

    name: str
    renderer: Any
    interactor: Any
    slice_logic: Any
    request_render: Callable[[], None]


class Views(Protocol):
    """Where strips are to be drawn."""

    def views(self) -> list[SliceView]:
        """The views that are in the layout now."""

    def observe(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call ``changed`` when views came or went; returns how to end that."""


class LayoutViews:
    """The slice views of Slicer's layout.

    Args:
        layout_manager: ``slicer.app.layoutManager()``.
    """

    def __init__(self, layout_manager: Any) -> None:
        self._layout_manager = layout_manager

    def views(self) -> list[SliceView]:
        """The views that are in the layout now."""
        found = []
        for name in self._layout_manager.sliceViewNames():
            widget = self._layout_manager.sliceWidget(name)
            if widget is None or widget.sliceLogic() is None:
                continue
            # Slicer names every view that it ever made, also those that no layout shows now
            if not widget.mrmlSliceNode().IsMappedInLayout():
                continue
            view = widget.sliceView()
            window = view.renderWindow()
            renderer = window.GetRenderers().GetItemAsObject(0)
            interactor = window.GetInteractor()
            if renderer is not None and interactor is not None:
                found.append(
                    SliceView(name, renderer, interactor, widget.sliceLogic(), _drawing(view))
                )
        return found

    def observe(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call ``changed`` after each change of the layout; returns how to end that."""

        def layout_changed(_layout: int) -> None:
            changed()

        self._layout_manager.connect("layoutChanged(int)", layout_changed)
        return lambda: self._layout_manager.disconnect("layoutChanged(int)", layout_changed)


def _drawing(view: Any) -> Callable[[], None]:
    """Draws a view soon; does nothing once Slicer has deleted it, as it does when it exits."""

    def draw() -> None:
        with suppress(ValueError):  # PythonQt's for a method of a deleted widget
            view.scheduleRender()

    return draw


class FixedViews:
    """A list of views that does not change by itself."""

    def __init__(self, views: Iterable[SliceView]) -> None:
        self._views = list(views)

    def views(self) -> list[SliceView]:
        """The same views every time."""
        return list(self._views)

    def observe(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Nothing to observe."""
        del changed
        return lambda: None
