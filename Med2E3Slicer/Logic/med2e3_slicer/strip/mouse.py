"""Which events of a view belong to a strip: the clicks on its cells, and no others.

Knows the interactor and MRML's interaction modes. A press on a cell and its release are kept from
the view's own tools. In Place mode everything passes, also a press that begins elsewhere, and one
on a markup, or on a handle that moves slices or a transform, that lies under the strip. A tool that
asks for the mouse before the view's own, as an effect of the Segment Editor does while it is
active, comes before the strip, too. Does not know where cells are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from med2e3_slicer.strip.segmenting import is_segmenting

Target = TypeVar("Target")

#: above the view's own tools, which wait with priority 0, and below the Segment Editor with its 1
PRIORITY = 0.5


class Mouse(Generic[Target]):
    """Mouse events of one view, on behalf of a strip.

    Args:
        interactor: a ``vtkRenderWindowInteractor``.
        slice_logic: the view's ``vtkMRMLSliceLogic``, by which the scene is found.
        cell_at: the cell at a pixel, or ``None``.
        hover: told the cell under the mouse, or ``None``.
        choose: told the cell that a person presses, and each one that the mouse is dragged to.
    """

    def __init__(
        self,
        interactor: Any,
        slice_logic: Any,
        *,
        cell_at: Callable[[float, float], Target | None],
        hover: Callable[[Target | None], None],
        choose: Callable[[Target], None],
    ) -> None:
        self._interactor = interactor
        self._slice_logic = slice_logic
        self._cell_at = cell_at
        self._hover = hover
        self._choose = choose
        self._chosen: Target | None = None
        self._others_button = False
        handlers = {
            "LeftButtonPressEvent": self._pressed,
            "LeftButtonDoubleClickEvent": self._pressed,
            "LeftButtonReleaseEvent": self._released,
            "MouseMoveEvent": self._moved,
            "LeaveEvent": self._left,
        }
        self._tags = {
            event: interactor.AddObserver(event, handler, PRIORITY)
            for event, handler in handlers.items()
        }

    def detach(self) -> None:
        """Remove every observer."""
        for tag in self._tags.values():
            self._interactor.RemoveObserver(tag)
        self._tags.clear()

    def lets_pass(self) -> bool:
        """Whether clicks on the strip are meant for what lies under it (Place mode)."""
        view = self._slice_logic.GetSliceNode()
        node = view and view.GetInteractionNode()
        return bool(node) and node.GetCurrentInteractionMode() == node.Place

    def _pressed(self, _caller: object, event: str) -> None:
        cell = self._cell_here()
        if cell is None or self.lets_pass() or self._on_other():
            self._others_button = True
            self._hover(None)
            return
        self._chosen = cell
        self._keep(event)
        self._choose(cell)

    def _released(self, _caller: object, event: str) -> None:
        self._others_button = False
        if self._chosen is not None:
            self._chosen = None
            self._keep(event)

    def _moved(self, _caller: object, event: str) -> None:
        if self._others_button:
            return
        cell = None if self.lets_pass() else self._cell_here()
        if self._chosen is None:
            self._hover(None if cell is None or self._hides_words() else cell)
            return
        self._keep(event)
        if cell is not None and cell != self._chosen:
            self._chosen = cell
            self._choose(cell)

    def _left(self, _caller: object, _event: str) -> None:
        self._hover(None)

    def _cell_here(self) -> Target | None:
        return self._cell_at(*self._interactor.GetEventPosition())

    def _keep(self, event: str) -> None:
        self._interactor.GetCommand(self._tags[event]).SetAbortFlag(1)

    def _hides_words(self) -> bool:
        """Whether words at the mouse would lie on what a person draws there."""
        return is_segmenting(self._nodes("vtkMRMLSegmentEditorNode"))

    def _on_other(self) -> bool:
        """Whether Slicer has something under the mouse that a person can grasp."""
        return any(
            is_grasped(display)
            for class_name, is_grasped in _GRASPED.items()
            for display in self._nodes(class_name)
        )

    def _nodes(self, class_name: str) -> list[Any]:
        scene = self._slice_logic.GetMRMLScene()
        if scene is None:
            return []
        nodes = scene.GetNodesByClass(class_name)
        nodes.UnRegister(None)
        return [nodes.GetItemAsObject(number) for number in range(nodes.GetNumberOfItems())]


def _is_under_mouse(display: Any) -> bool:
    # a display node remembers its active part also after the points are gone
    markup = display.GetDisplayableNode()
    return bool(
        display.HasActiveComponent()
        and display.GetVisibility()
        and markup is not None
        and markup.GetNumberOfControlPoints()
    )


def _is_held_ready(display: Any) -> bool:
    """Whether a handle is under the mouse that moves or turns intersecting slices."""
    nothing = (display.ComponentNone, display.ComponentSliceIntersection)  # the latter: a line
    return display.GetActiveComponentType() not in nothing


def _is_handle_ready(display: Any) -> bool:
    """Whether a handle is under the mouse that moves, turns or scales by a transform."""
    # below 1 there is none; a display node remembers its active handle also when it is hidden
    return bool(
        display.GetActiveInteractionType() > 0
        and display.GetEditorVisibility()
        and display.GetEditorSliceIntersectionVisibility()
    )


#: display nodes that know what of theirs is under the mouse
_GRASPED = {
    "vtkMRMLMarkupsDisplayNode": _is_under_mouse,
    "vtkMRMLSliceDisplayNode": _is_held_ready,
    "vtkMRMLTransformDisplayNode": _is_handle_ready,
}
