"""Strips in all slice views, as one thing: what is shown, and where a click leads.

Knows which views there are and which of them scroll along the slices. Does not know how a strip is
drawn, nor where exchanges come from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np
import vtk
from slicer.i18n import tr as _

from med2e3.errors import InputError
from med2e3_slicer.strip import words
from med2e3_slicer.strip.shown import Shown, Stack, Vector
from med2e3_slicer.strip.slice_strip import Cell, SliceStrip
from med2e3_slicer.strip.views import LayoutViews, SliceView, Views

#: told which of the shown exchanges, and which of its slices, the views jumped to
JumpCallback = Callable[[int, int], None]
#: told what changed: a slice was scrolled to, or views came and went
_Tag = tuple[Any, int]


class StripManager:
    """The strips of all slice views.

    Args:
        views: which views there are; see `for_layout`.
        scene: the ``vtkMRMLScene``.
    """

    def __init__(self, views: Views, scene: Any) -> None:
        self._views = views
        self._scene = scene
        self._shown: tuple[Shown, ...] = ()
        self._volume_id = ""
        self._visible = True
        self._rank = -1
        self._strips: dict[str, tuple[SliceView, SliceStrip]] = {}
        self._view_tags: dict[str, _Tag] = {}
        self._scene_tags: list[_Tag] = []
        self._stop_views: Callable[[], None] | None = None
        self._jumped: list[JumpCallback] = []
        self._scrolled: list[Callable[[], None]] = []
        self._begin()

    @classmethod
    def for_layout(cls, layout_manager: Any, scene: Any) -> Self:
        """Strips for the slice views of ``slicer.app.layoutManager()``."""
        return cls(LayoutViews(layout_manager), scene)

    # what is shown

    def show(self, *shown: Shown, volume_id: str = "") -> None:
        """Show one exchange, or two side by side, in all slice views.

        Args:
            shown: its scores and places; see `Shown`.
            volume_id: MRML ID of the volume they are about; views that show another one are left
                as they are when a jump comes from somewhere else. Empty: all views count.
        """
        self._shown = shown
        self._volume_id = volume_id
        self._rank = -1
        self.refresh()
        for _view, strip in self._strips.values():
            strip.show(*shown)

    def update(self, *shown: Shown) -> None:
        """Show the same exchanges in another place: their volume was moved."""
        self._shown = shown
        for _view, strip in self._strips.values():
            strip.show(*shown)

    def compare(self, first: Shown, second: Shown, volume_id: str = "") -> None:
        """Show two exchanges side by side."""
        self.show(first, second, volume_id=volume_id)

    def clear(self) -> None:
        """Show nothing, and leave the views as if nothing had been there."""
        self._shown = ()
        self._rank = -1
        for name in list(self._strips):
            self._detach(name)

    @property
    def shown(self) -> tuple[Shown, ...]:
        """The exchanges on show."""
        return self._shown

    @property
    def visible(self) -> bool:
        """Whether the strips are seen; a person may hide them."""
        return self._visible

    @visible.setter
    def visible(self, visible: bool) -> None:
        self._visible = visible
        for _view, strip in self._strips.values():
            strip.visible = visible

    def strip_in(self, name: str) -> SliceStrip | None:
        """The strip of a view, or ``None`` where nothing is shown."""
        entry = self._strips.get(name)
        return entry[1] if entry else None

    # going to a slice

    def jump(self, index: int, column: int = 0) -> None:
        """Show a model slice in the views that scroll along the slices.

        Raises:
            InputError: if nothing is shown or the slice has no known position.
        """
        stack = self._stack(column)
        if not 0 <= index < len(stack):
            raise InputError(
                _("There is no slice {number}; the model saw {count} slices.").format(
                    number=index + 1, count=len(stack)
                )
            )
        for strip in self._followers(stack):
            strip.jump(Cell(column, index))
        self._tell_jump(column, index)

    def jump_to_hottest(self, rank: int = 0, column: int = 0) -> int:
        """Show the slice with the highest score, or with rank 1 the next one, and so on.

        Returns:
            its index; ranks beyond the last stay at the last.

        Raises:
            InputError: if nothing is shown or the slices have no known position.
        """
        self._stack(column)
        order = self._shown[column].hottest
        self._rank = min(max(rank, 0), len(order) - 1)
        index = order[self._rank]
        self.jump(index, column)
        return index

    def next_hottest(self, column: int = 0) -> int:
        """Show the slice with the next lower score; see `jump_to_hottest`."""
        return self.jump_to_hottest(self._rank + 1, column)

    def previous_hottest(self, column: int = 0) -> int:
        """Show the slice with the next higher score; see `jump_to_hottest`."""
        return self.jump_to_hottest(self._rank - 1, column)

    @property
    def rank(self) -> int:
        """Rank of the slice that was last gone to by `jump_to_hottest`; -1 before."""
        return self._rank

    def current_index(self, column: int = 0) -> int | None:
        """The model slice that the views show now, if one of them scrolls along the slices."""
        if column >= len(self._shown):
            return None
        stack = self._shown[column].stack
        point = None if stack is None else self._reference(stack)
        if stack is None or point is None:
            return None
        level = round(stack.level(point))
        return level if 0 <= level < len(stack) else None

    # callbacks

    def on_jump(self, callback: JumpCallback) -> Callable[[], None]:
        """Be told after each jump; returns how to end that."""
        self._jumped.append(callback)
        return lambda: self._jumped.remove(callback)

    def on_scroll(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Be told when a slice view moved; returns how to end that."""
        self._scrolled.append(callback)
        return lambda: self._scrolled.remove(callback)

    # views that come and go

    def refresh(self) -> None:
        """Give every slice view of the layout its strip, and take those of others away."""
        if not self._shown:
            return
        present = {view.name: view for view in self._views.views()}
        for name, (old, _strip) in list(self._strips.items()):
            new = present.get(name)
            if new is None or new.renderer is not old.renderer:
                self._detach(name)
        for name, view in present.items():
            if name not in self._strips:
                self._attach(view)
        self._explain_once()

    def cleanup(self) -> None:
        """Take every actor and observer away; the manager is of no use afterwards."""
        self.clear()
        for caller, tag in self._scene_tags:
            caller.RemoveObserver(tag)
        self._scene_tags.clear()
        if self._stop_views is not None:
            self._stop_views()
            self._stop_views = None
        self._jumped.clear()
        self._scrolled.clear()

    def _begin(self) -> None:
        self._stop_views = self._views.observe(self.refresh)
        scene = self._scene
        closing = scene.AddObserver(scene.StartCloseEvent, lambda *_: self.clear())
        self._scene_tags.append((scene, closing))
        interaction = scene.GetFirstNodeByClass("vtkMRMLInteractionNode")
        if interaction is not None:
            mode = interaction.AddObserver(
                interaction.InteractionModeChangedEvent, lambda *_: self._request_renders()
            )
            self._scene_tags.append((interaction, mode))

    def _attach(self, view: SliceView) -> None:
        strip = SliceStrip(
            view.renderer,
            view.interactor,
            view.slice_logic,
            request_render=view.request_render,
            on_jump=self._chosen,
            reference=self._reference,
            legend=False,
        )
        strip.visible = self._visible
        strip.show(*self._shown)
        self._strips[view.name] = (view, strip)
        node = view.slice_logic.GetSliceNode()
        tag = node.AddObserver(vtk.vtkCommand.ModifiedEvent, self._view_moved)
        self._view_tags[view.name] = (node, tag)

    def _detach(self, name: str) -> None:
        view, strip = self._strips.pop(name)
        node, tag = self._view_tags.pop(name)
        node.RemoveObserver(tag)
        strip.detach()
        view.request_render()

    def _explain_once(self) -> None:
        """The legend stands in one view: the first that scrolls along the slices."""
        strips = [strip for _view, strip in self._strips.values()]
        stack = self._shown[0].stack if self._shown else None
        along = [strip for strip in strips if stack is not None and strip.scrolls_along(stack)]
        explaining = (along or strips)[:1]
        for strip in strips:
            strip.legend = strip in explaining

    def _view_moved(self, caller: Any, _event: str) -> None:
        """Views that cut across show where the others are."""
        for shown in self._shown:
            if shown.stack is None:
                continue
            for _view, strip in self._strips.values():
                node = strip.slice_logic.GetSliceNode()
                if node is not caller and not strip.scrolls_along(shown.stack):
                    strip.request_render()
        self._explain_once()
        for callback in list(self._scrolled):
            callback()

    def _request_renders(self) -> None:
        for _view, strip in self._strips.values():
            strip.request_render()

    # who follows

    def _stack(self, column: int) -> Stack:
        if column >= len(self._shown):
            raise InputError(_("There is no strip to go along: show an answer first."))
        stack = self._shown[column].stack
        if stack is None:
            raise InputError(words.why_no_place(self._shown[column]))
        return stack

    def _followers(self, stack: Stack) -> list[SliceStrip]:
        """The views that show slices of the stack one at a time and show its volume."""
        strips = [strip for _view, strip in self._strips.values()]
        along = [strip for strip in strips if strip.scrolls_along(stack)]
        if not along:  # all views are oblique: those that are nearer to along than to across
            along = [
                strip
                for strip in strips
                if abs(float(strip.geometry().normal_ras @ stack.normal_ras)) > np.sqrt(0.5)
            ]
        return [strip for strip in along if self._shows_volume(strip)]

    def _shows_volume(self, strip: SliceStrip) -> bool:
        composite = strip.slice_logic.GetSliceCompositeNode()
        if not self._volume_id or composite is None:
            return True
        layers = (
            composite.GetBackgroundVolumeID(),
            composite.GetForegroundVolumeID(),
            composite.GetLabelVolumeID(),
        )
        return self._volume_id in layers or not any(layers)

    def _chosen(self, strip: SliceStrip, cell: Cell) -> None:
        """A person chose a cell: this view goes there if it can, else those that can."""
        stack = self._stack(cell.column)
        followers = self._followers(stack)
        for target in [strip] if strip in followers else followers:
            target.jump(cell)
        order = self._shown[cell.column].hottest
        self._rank = order.index(cell.index)
        self._tell_jump(cell.column, cell.index)

    def _tell_jump(self, column: int, index: int) -> None:
        for callback in list(self._jumped):
            callback(column, index)

    def _reference(self, stack: Stack) -> Vector | None:
        """The point that the first view along the stack shows now."""
        for _view, strip in self._strips.values():
            geometry = strip.geometry()
            if geometry.scrolls_along(stack) and self._shows_volume(strip):
                return geometry.middle_ras
        return None
