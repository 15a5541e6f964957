"""The plot of scores, in MRML's own nodes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from med2e3_slicer.plot import ScorePlot
from med2e3_slicer.strip import Shown
from strip_scene import hot, matrix, plant


def column(series: Any, name: str) -> list[float]:
    array = series.GetTableNode().GetTable().GetColumnByName(name)
    return [array.GetValue(row) for row in range(array.GetNumberOfTuples())]


def series_of(chart: Any) -> dict[str, Any]:
    count = chart.GetNumberOfPlotSeriesNodes()
    nodes = [chart.GetNthPlotSeriesNode(number) for number in range(count)]
    return {node.GetName(): node for node in nodes}


def test_scores_uniform_and_the_slice_shown(application: Any) -> None:
    planted = plant(application, matrix((2.0, 2.0, 3.0)))
    plot = ScorePlot(application.scene)
    plot.show(planted.shown, current=planted.index)
    series = series_of(plot.chart)
    assert list(series) == ["score", "uniform", "slice shown"]
    assert column(series["score"], "slice") == list(range(1, 33))
    assert column(series["score"], "score") == pytest.approx(planted.shown.relative)
    assert column(series["uniform"], "uniform") == [1.0] * 32
    assert column(series["slice shown"], "slice") == [planted.index + 1] * 2
    plot.mark(3)
    assert column(series["slice shown"], "slice") == [4.0] * 2
    plot.mark(None)
    assert np.isnan(column(series["slice shown"], "slice")).all()
    plot.cleanup()


def test_it_is_drawn_in_slicers_plot_view(
    application: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    planted = plant(application, matrix((2.0, 2.0, 3.0)))
    plot = ScorePlot(application.scene)
    plot.show(planted.shown, Shown(planted.shown.slice_map, hot(4)), current=planted.index)
    layout = application.app.layoutManager()
    layout.setLayout(application.slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalPlotView)
    application.process()
    widget = layout.plotWidget(0)
    widget.mrmlPlotViewNode().SetPlotChartNodeID(plot.chart.GetID())
    application.wait(20)
    picture = application.pixels(widget).astype(int)
    orange, blue = np.array([0xC8, 0x4E, 0x00]), np.array([0x1F, 0x5D, 0x94])
    for color in (orange, blue):
        assert (np.abs(picture - color).sum(axis=2) < 30).any()
    application.screenshot("score-plot")
    plot.mark(None)
    application.wait(20)
    application.pixels(widget)
    assert "ERR|" not in capfd.readouterr().err  # a line without points is one, at every frame
    plot.cleanup()


def test_nothing_is_left_and_nothing_is_saved(application: Any) -> None:
    planted = plant(application, matrix((2.0, 2.0, 3.0)))
    classes = ("vtkMRMLTableNode", "vtkMRMLPlotSeriesNode", "vtkMRMLPlotChartNode")

    def count() -> list[int]:
        return [application.scene.GetNumberOfNodesByClass(name) for name in classes]

    before = count()
    plot = ScorePlot(application.scene)
    plot.show(planted.shown)
    plot.show(planted.shown, Shown(planted.shown.slice_map, hot(4)))
    assert count() == [before[0] + 2, before[1] + 4, before[2] + 1]
    application.scene.SetSaveToXMLString(1)
    application.scene.Commit()
    saved = application.scene.GetSceneXMLString()
    assert "vtkMRMLScalarVolumeNode" in saved or "Volume" in saved
    assert "Med2E3" not in saved
    plot.show()
    assert count() == before
    assert plot.chart is None
    plot.mark(3)  # with nothing shown: nothing happens
    plot.show(planted.shown)
    application.scene.Clear(0)
    assert plot.chart is None
    plot.cleanup()
