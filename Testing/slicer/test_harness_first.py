"""The application of the harness: views draw the volume, events reach VTK, pictures are kept."""

from __future__ import annotations

import pytest


def test_the_volume_is_drawn_in_three_views(application):
    application.add_volume()
    manager = application.app.layoutManager()
    assert set(manager.sliceViewNames()) >= {"Red", "Green", "Yellow"}
    for name in ("Red", "Green", "Yellow"):
        picture = application.pixels(application.slice_view(name).VTKWidget())
        assert picture.max() > 200
        assert picture.min() == 0


def test_the_wheel_scrolls_the_slice(application):
    application.add_volume()
    logic = application.app.layoutManager().sliceWidget("Red").sliceLogic()
    before = logic.GetSliceOffset()
    application.wheel(application.slice_view().VTKWidget(), 1)
    assert logic.GetSliceOffset() == before + 3.0


def test_a_screenshot_shows_the_whole_window(application):
    application.add_volume()
    path = application.screenshot("harness-empty-panel")
    image = application.qt.QImage(str(path))
    assert (image.width(), image.height()) == (1400, 900)


def test_what_a_person_cannot_reach_cannot_be_clicked(application):
    button = application.qt.QPushButton("hidden")
    with pytest.raises(ValueError, match="not visible"):
        application.click(button)
    with pytest.raises(ValueError, match="no widget"):
        application.type(None, "a")


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_begins_with_an_empty_scene_and_the_keyboard(application, turn):
    assert application.scene.GetNumberOfNodesByClass("vtkMRMLScriptedModuleNode") == 0
    assert application.scene.GetNumberOfNodesByClass("vtkMRMLVolumeNode") == 0
    assert application.window.isActiveWindow
    application.add_volume()
    node = application.slicer.vtkMRMLScriptedModuleNode()
    node.SetSingletonTag("Anything")
    application.scene.AddNode(node)
    other = application.qt.QLineEdit()
    other.show()
    other.activateWindow()
    application.process()
    other.close()


def test_views_are_kept_over_changes_of_the_layout(application):
    layouts = application.slicer.vtkMRMLLayoutNode
    manager = application.app.layoutManager()
    red = manager.sliceWidget("Red")
    application.add_volume()
    for layout in (
        layouts.SlicerLayoutOneUpRedSliceView,
        layouts.SlicerLayoutThreeOverThreeView,
        layouts.SlicerLayoutFourUpPlotView,
        layouts.SlicerLayoutFourUpView,
    ):
        manager.setLayout(layout)
        application.process()
        application.app.sendPostedEvents(None, application.qt.QEvent.DeferredDelete)
        assert manager.sliceWidget("Red") is red
        assert application.pixels(red.sliceView().VTKWidget()).max() > 200
