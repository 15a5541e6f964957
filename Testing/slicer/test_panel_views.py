"""Strips and plot in Slicer's views, as the panel shows and hides them."""

from __future__ import annotations

import pytest

from med2e3.asking import Question
from panel_kit import choose, close_panel, open_panel, use_engine, widget


@pytest.fixture
def panel(application):
    from med2e3_slicer.panel.selftest import add_exchange

    opened = open_panel(application)
    use_engine(application)
    choose(application, opened, application.add_volume((40, 128, 128), 2.5))
    add_exchange(opened.volume, Question("In which plane is this CT?"), "axial")
    add_exchange(opened.volume, Question.report(), "Axial CT of the chest.")
    application.process()
    opened.ui.exchangesList.currentRow = 0
    application.process()
    yield opened
    close_panel(application)


def parameters(application):
    return widget(application).logic.getParameterNode()


def test_the_strips_are_hidden_and_shown_again(application, panel):
    strips = panel._parts.display.strips
    application.click(panel.ui.stripsCheckBox, 8, panel.ui.stripsCheckBox.size.height() // 2)
    assert not strips.visible
    assert not parameters(application).showStrips
    panel.ui.exchangesList.currentRow = 1  # another answer does not bring them back
    application.process()
    assert not strips.strip_in("Red").visible
    parameters(application).showStrips = True
    application.process()
    assert strips.strip_in("Red").visible
    assert panel.ui.stripsCheckBox.checked


@pytest.mark.parametrize("layout", ["FourUpView", "ConventionalView", "OneUpRedSliceView"])
def test_the_plot_comes_and_the_earlier_layout_returns(application, panel, layout):
    manager = application.app.layoutManager()
    own = getattr(application.slicer.vtkMRMLLayoutNode, f"SlicerLayout{layout}")
    manager.setLayout(own)
    box = panel.ui.plotCheckBox
    application.click(box, 8, box.size.height() // 2)
    assert manager.layout != own
    view = manager.plotWidget(0).mrmlPlotViewNode()
    assert view.GetPlotChartNode() is panel._parts.display.plot.chart
    panel.ui.exchangesList.currentRow = 1  # the plot follows the answer
    application.process()
    assert view.GetPlotChartNode() is panel._parts.display.plot.chart is not None
    if layout == "FourUpView":
        application.screenshot("panel-plot")
    application.click(box, 8, box.size.height() // 2)
    assert manager.layout == own
    assert not parameters(application).showPlot


def test_a_layout_with_a_plot_of_its_own_stays(application, panel):
    manager = application.app.layoutManager()
    own = application.slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalPlotView
    manager.setLayout(own)
    panel.ui.plotCheckBox.checked = True
    assert manager.layout == own
    panel.ui.plotCheckBox.checked = False
    assert manager.layout == own


def test_another_layout_of_the_persons_own_is_not_taken_back(application, panel):
    manager = application.app.layoutManager()
    nodes = application.slicer.vtkMRMLLayoutNode
    panel.ui.plotCheckBox.checked = True
    manager.setLayout(nodes.SlicerLayoutConventionalView)
    application.process()
    assert not panel.ui.plotCheckBox.checked
    assert not parameters(application).showPlot
    panel.ui.plotCheckBox.checked = True
    panel.ui.plotCheckBox.checked = False
    assert manager.layout == nodes.SlicerLayoutConventionalView


def test_closing_the_scene_brings_the_layout_back(application, panel):
    manager = application.app.layoutManager()
    own = manager.layout
    panel.ui.plotCheckBox.checked = True
    application.scene.Clear(0)
    application.wait(30)
    assert manager.layout == own
    assert not panel.ui.plotCheckBox.checked


def test_nothing_is_opened_before_a_scene_is_loaded_whole(application, panel):
    scene, manager = application.scene, application.app.layoutManager()
    own = manager.layout
    scene.StartState(scene.ImportState)
    parameters(application).showPlot = True  # as the node's place in the file wants it
    assert not panel._parts.display.plot_is_open
    assert manager.layout == own
    scene.EndState(scene.ImportState)
    application.process()
    assert panel._parts.display.plot_is_open
    assert panel.ui.plotCheckBox.checked


def test_a_view_of_another_layout_is_left_alone(application, panel):
    """Slicer names every slice view that it ever made; only those that are seen get a strip."""
    manager = application.app.layoutManager()
    nodes = application.slicer.vtkMRMLLayoutNode
    manager.setLayout(nodes.SlicerLayoutThreeOverThreeView)
    application.process()
    strips = panel._parts.display.strips
    extra = [name for name in manager.sliceViewNames() if name not in ("Red", "Green", "Yellow")]
    assert all(strips.strip_in(name) is not None for name in extra)
    manager.setLayout(nodes.SlicerLayoutOneUpGreenSliceView)
    application.process()
    assert all(strips.strip_in(name) is None for name in (*extra, "Red", "Yellow"))
    assert strips.strip_in("Green").legend
