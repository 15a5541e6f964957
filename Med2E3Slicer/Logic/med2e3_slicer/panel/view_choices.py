"""What of an answer is shown in Slicer's views: the strips, and the plot beside them.

Keeps the parameter node, the panel's two boxes and the views at one; knows no widgets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .answer_view import AnswerView
    from .parameters import PanelParameters
    from .ports import Display

#: in the parameter node: there is no layout to go back to
_NO_LAYOUT = -1


class ViewChoices:
    """Whether strips and plot are shown.

    Args:
        display: the strips and the plot.
        answer: the section with the two boxes.
    """

    def __init__(self, display: Display, answer: AnswerView) -> None:
        self._display = display
        self._answer = answer
        self._parameters: PanelParameters | None = None
        self._before: int | None = None
        display.plot_closed = self._plot_was_closed

    def read(self, parameters: PanelParameters | None) -> None:
        """Show what the scene says; with None the scene goes away, and its plot with it."""
        self._parameters = parameters
        if parameters is None:
            self.close()
            return
        layout = parameters.layoutBeforePlot
        self._before = None if layout == _NO_LAYOUT else layout
        self._display.set_strips_visible(parameters.showStrips)
        self._show_plot(parameters.showPlot)
        self._answer.show_displays(parameters.showStrips, parameters.showPlot)

    def set_strips(self, shown: bool) -> None:
        """A person shows or hides the strips."""
        self._display.set_strips_visible(shown)
        if self._parameters is not None:
            self._parameters.showStrips = shown

    def set_plot(self, shown: bool) -> None:
        """A person opens or closes the plot."""
        self._show_plot(shown)
        if self._parameters is not None:
            self._parameters.showPlot = shown

    def close(self) -> None:
        """Bring the person's own layout back."""
        if self._display.plot_is_open:
            self._display.close_plot(self._before)
        self._before = None

    def _show_plot(self, shown: bool) -> None:
        if shown == self._display.plot_is_open:
            return
        if not shown:
            self.close()
        else:
            before = self._display.open_plot()
            self._before = before if before is not None else self._before
        if self._parameters is not None:
            before = self._before
            self._parameters.layoutBeforePlot = _NO_LAYOUT if before is None else before

    def _plot_was_closed(self) -> None:
        """The person chose a layout without a plot: there is nothing to go back to."""
        self._before = None
        if self._parameters is not None:
            self._parameters.layoutBeforePlot = _NO_LAYOUT
            self._parameters.showPlot = False
            self._answer.show_displays(self._parameters.showStrips, False)
