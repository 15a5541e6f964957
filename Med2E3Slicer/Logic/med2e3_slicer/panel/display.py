"""The strips in the slice views and the plot, as the panel uses them.

Knows how a record becomes what they show; made when first needed, and never without views.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

import slicer
import vtk

from med2e3.errors import InputError
from med2e3.record import Exchange
from med2e3_slicer.plot import PlotPane, ScorePlot
from med2e3_slicer.records import StoredExchange, geometry_text, motion, slice_map_of
from med2e3_slicer.strip import Shown, StripManager

from .words import exchange_title


@dataclass(frozen=True)
class _Told:
    """An exchange, and where its volume lay when it was asked about."""

    exchange: Exchange
    geometry: str

    @classmethod
    def of(cls, stored: StoredExchange) -> Self:
        return cls(stored.exchange, stored.geometry)


class StripDisplay:
    """The real :class:`~.ports.Display`.

    Args:
        jumped: called with the model slice that a person chose in a view.
    """

    def __init__(self, jumped: Callable[[int], None] = lambda index: None) -> None:
        self.jumped = jumped
        self.plot_closed: Callable[[], None] = lambda: None
        self._strips: StripManager | None = None
        self._plot: ScorePlot | None = None
        self._pane: PlotPane | None = None
        self._strips_visible = True
        self._told: list[_Told] = []
        self._volume: Any = None
        self._lies = ""
        self._tags: list[int] = []
        self._jumping = False

    def show(self, stored: StoredExchange) -> None:
        """Show one exchange's scores and nothing else."""
        self._show([_Told.of(stored)], stored.volume_id)

    def show_live(self, partial: Exchange, volume: Any) -> None:
        """Show the scores of the question that is being answered, and its hottest slice."""
        told = _Told(partial, geometry_text(volume))
        self._show([told], volume.GetID() if volume is not None else None)
        if partial.scores:
            self._jump(partial.top_slices(1)[0])

    def compare(self, first: StoredExchange, second: StoredExchange) -> None:
        """Show two side by side."""
        self._show([_Told.of(first), _Told.of(second)], first.volume_id)

    def clear(self) -> None:
        """Show none."""
        self._told = []
        self._follow(None)
        if self._strips is not None:
            self._strips.clear()
        if self._plot is not None:
            self._plot.clear()

    def jump(self, stored: StoredExchange, index: int) -> None:
        """Show a model slice in the slice views."""
        self._jump(index)

    def set_strips_visible(self, visible: bool) -> None:
        """Show or hide the strips in the views."""
        self._strips_visible = visible
        if self._strips is not None:
            self._strips.visible = visible

    @property
    def plot_is_open(self) -> bool:
        """Whether Slicer's plot view shows the scores."""
        return self._pane is not None and self._pane.is_open

    def open_plot(self) -> int | None:
        """Show the plot beside the views; returns the layout to go back to, if it changed."""
        if self._pane is None:
            self._pane = PlotPane(
                slicer.mrmlScene,
                lambda: self.plot_closed(),  # noqa: PLW0108 (it is set later)
            )
        return self._pane.open(self.plot.chart)

    def close_plot(self, layout: int | None) -> None:
        """Take the plot away and go back to a layout, if the person chose no other meanwhile."""
        if self._pane is not None:
            self._pane.close(layout)

    def close(self) -> None:
        """Leave the views as if nothing had been there."""
        self.close_plot(None)
        self._follow(None)
        if self._strips is not None:
            self._strips.cleanup()
            self._strips = None
        if self._plot is not None:
            self._plot.cleanup()
            self._plot = None

    @property
    def strips(self) -> StripManager | None:
        """The strips; None without views."""
        manager = slicer.app.layoutManager()
        if self._strips is None and manager is not None:
            self._strips = StripManager.for_layout(manager, slicer.mrmlScene)
            self._strips.visible = self._strips_visible
            self._strips.on_jump(self._on_jump)
        return self._strips

    @property
    def plot(self) -> ScorePlot:
        """The plot of scores."""
        if self._plot is None:
            self._plot = ScorePlot(slicer.mrmlScene)
        return self._plot

    def _show(self, told: list[_Told], volume_id: str | None) -> None:
        volume = slicer.mrmlScene.GetNodeByID(volume_id) if volume_id else None
        self._told = told
        self._follow(volume)
        shown = self._shown(volume)
        if not shown:
            self.clear()
            return
        self.plot.show(*shown)
        if self._pane is not None:
            self._pane.follow(self.plot.chart)
        if self.strips is not None:
            self.strips.show(*shown, volume_id=volume_id or "")

    def _shown(self, volume: Any) -> list[Shown]:
        shown = []
        for each in self._told:
            exchange = each.exchange
            with suppress(InputError):  # no scores, or no places: there is nothing to draw
                shown.append(
                    Shown(
                        slice_map_of(exchange),
                        exchange.scores,
                        exchange_title(exchange),
                        motion(each.geometry, volume).matrix,
                    )
                )
        return shown

    def _follow(self, volume: Any) -> None:
        """Hear of a volume's moves, and no longer of the one before."""
        for tag in self._tags:
            self._volume.RemoveObserver(tag)
        self._tags, self._volume = [], volume
        if volume is not None:
            self._lies = geometry_text(volume)
            events = (volume.TransformModifiedEvent, vtk.vtkCommand.ModifiedEvent)
            self._tags = [volume.AddObserver(event, self._volume_moved) for event in events]

    def _volume_moved(self, volume: Any, _event: str) -> None:
        lies = geometry_text(volume)
        if lies == self._lies:
            return
        self._lies = lies
        if self._strips is not None:
            self._strips.update(*self._shown(volume))

    def _jump(self, index: int) -> None:
        self.plot.mark(index)
        if self.strips is None:
            return
        self._jumping = True
        try:
            with suppress(InputError):  # no known position in the patient
                self.strips.jump(index)
        finally:
            self._jumping = False

    def _on_jump(self, column: int, index: int) -> None:
        if not self._jumping and column == 0:
            self.plot.mark(index)
            self.jumped(index)
