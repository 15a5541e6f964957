"""The strips in the slice views and the plot, as the panel uses them.

Knows how a record becomes what they show; made when first needed, and never without views.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import slicer

from med2e3.errors import InputError
from med2e3.record import Exchange
from med2e3_slicer.plot import ScorePlot
from med2e3_slicer.records import StoredExchange, slice_map_of
from med2e3_slicer.strip import Shown, StripManager

from .words import exchange_title


class StripDisplay:
    """The real :class:`~.ports.Display`.

    Args:
        jumped: called with the model slice that a person chose in a view.
    """

    def __init__(self, jumped: Callable[[int], None] = lambda index: None) -> None:
        self.jumped = jumped
        self._strips: StripManager | None = None
        self._plot: ScorePlot | None = None
        self._jumping = False

    def show(self, stored: StoredExchange) -> None:
        """Show one exchange's scores and nothing else."""
        self._show([stored.exchange], stored.volume_id)

    def show_live(self, partial: Exchange, volume: Any) -> None:
        """Show the scores of the question that is being answered, and its hottest slice."""
        self._show([partial], volume.GetID() if volume is not None else None)
        if partial.scores:
            self._jump(partial.top_slices(1)[0])

    def compare(self, first: StoredExchange, second: StoredExchange) -> None:
        """Show two side by side."""
        self._show([first.exchange, second.exchange], first.volume_id)

    def clear(self) -> None:
        """Show none."""
        if self._strips is not None:
            self._strips.clear()
        if self._plot is not None:
            self._plot.clear()

    def jump(self, stored: StoredExchange, index: int) -> None:
        """Show a model slice in the slice views."""
        self._jump(index)

    def close(self) -> None:
        """Leave the views as if nothing had been there."""
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
            self._strips.on_jump(self._on_jump)
        return self._strips

    @property
    def plot(self) -> ScorePlot:
        """The plot of scores."""
        if self._plot is None:
            self._plot = ScorePlot(slicer.mrmlScene)
        return self._plot

    def _show(self, exchanges: list[Exchange], volume_id: str | None) -> None:
        shown = []
        for exchange in exchanges:
            with suppress(InputError):  # no scores, or no places: there is nothing to draw
                shown.append(
                    Shown(slice_map_of(exchange), exchange.scores, exchange_title(exchange))
                )
        if not shown:
            self.clear()
            return
        self.plot.show(*shown)
        if self.strips is not None:
            self.strips.show(*shown, volume_id=volume_id or "")

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
