"""The application of the harness: views draw the volume, events reach VTK, pictures are kept."""

from __future__ import annotations


def test_the_volume_is_drawn_in_three_views(application):
    application.add_volume()
    manager = application.app.layoutManager()
    assert manager.sliceViewNames() == ("Red", "Green", "Yellow")
    for name in manager.sliceViewNames():
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
