"""The scores as a plot in Slicer's own plot view."""

from med2e3_slicer.plot.pane import PlotPane
from med2e3_slicer.plot.score_plot import ScorePlot

__all__ = ["PlotPane", "ScorePlot"]
