"""The PythonQt layer refuses what PythonQt refuses."""

from __future__ import annotations

import functools

import pytest


def test_properties_are_attributes_and_cannot_be_called(application):
    qt = application.qt
    button = qt.QPushButton("Ask")
    assert (button.text, button.enabled, button.name, button.className()) == (
        "Ask", True, "", "QPushButton",
    )  # fmt: skip
    button.text = "Stop"
    button.enabled = False
    assert (button.text, button.isEnabled()) == ("Stop", False)
    assert button.size.width() > 0
    with pytest.raises(TypeError, match="not callable"):
        button.text()
    with pytest.raises(AttributeError, match="does not accept"):
        button.enabled = "no"
    with pytest.raises(AttributeError, match="not writable"):
        button.width = 3


def test_unknown_attributes_are_refused_on_objects_of_cpp_only(application):
    qt = application.qt
    label = qt.QLabel()
    with pytest.raises(AttributeError):
        label.txt  # noqa: B018
    with pytest.raises(AttributeError, match="creating new"):
        label.txt = "a"

    class Label(qt.QLabel):
        def __init__(self, parent=None):
            super().__init__(parent)
            self.mine = 3

    assert Label(parent=None).mine == 3
    label.setProperty("SlicerParameterName", "question")
    assert label.SlicerParameterName == "question"


def test_keyword_arguments_of_constructors_are_refused(application):
    with pytest.raises(TypeError, match="keyword"):
        application.qt.QLabel(text="a")


def test_wrong_signatures_return_false_and_are_recorded(application):
    button = application.qt.QPushButton()
    assert button.connect("clicked(bool)", print) is True
    assert button.connect("clicked(int)", print) is False
    assert "clicked(int)" in application.problems.take()[0]


def test_a_signal_that_only_qt6_has_is_refused(application):
    box = application.qt.QCheckBox()
    assert box.connect("checkStateChanged(Qt::CheckState)", print) is False
    assert application.problems.take()
    with pytest.raises(AttributeError):
        box.checkStateChanged  # noqa: B018
    assert not hasattr(application.qt, "QKeyCombination")
    margins = application.qt.QVBoxLayout().contentsMargins()
    assert margins.left() >= 0


def test_arguments_are_cut_to_what_a_function_takes(application):
    button = application.qt.QPushButton()
    got = []

    class Receiver:
        def none(self):
            got.append("none")

        def one(self, on):
            got.append(on)

    receiver = Receiver()
    button.connect("clicked(bool)", receiver.none)
    button.connect("clicked(bool)", receiver.one)
    button.connect("clicked(bool)", functools.partial(got.append))
    button.click()
    assert got == ["none", False, False]
    assert button.disconnect("clicked(bool)", receiver.one)
    button.click()
    assert got == ["none", False, False, "none", False]


@pytest.mark.parametrize("way", ["signature", "attribute", "timer"])
def test_exceptions_in_slots_are_recorded(application, way):
    def fails():
        raise ValueError("in a slot")

    button = application.qt.QPushButton()
    if way == "signature":
        button.connect("clicked()", fails)
    elif way == "attribute":
        button.clicked.connect(fails)
    else:
        application.qt.QTimer.singleShot(0, fails)
    button.click()
    application.process()
    assert "in a slot" in application.problems.take()[0]


def test_exceptions_in_vtk_observers_are_recorded(application):
    def fails(_caller, _event):
        raise ValueError("in an observer")

    application.scene.AddObserver("ModifiedEvent", fails)
    application.scene.Modified()
    application.scene.RemoveObservers("ModifiedEvent")
    assert "in an observer" in application.problems.take()[0]


def test_images_of_bytes_are_refused_and_ppm_is_read(application):
    qt = application.qt
    with pytest.raises(TypeError, match="does not work in PythonQt"):
        qt.QImage(bytes(12), 2, 2, 6, qt.QImage.Format_RGB888)
    pixmap = qt.QPixmap()
    assert pixmap.loadFromData(b"P6\n2 2\n255\n" + bytes(12), "PPM")
    assert pixmap.width() == 2


def test_lists_come_as_tuples(application):
    qt = application.qt
    widget = qt.QWidget()
    qt.QLabel(widget)
    assert isinstance(widget.children(), tuple)
    assert isinstance(widget.findChildren(qt.QLabel), tuple)
    assert isinstance(qt.QSettings().allKeys(), tuple)


def test_enumerations_work_scoped_and_unscoped(application):
    qt = application.qt
    assert qt.Qt.AlignLeft == qt.Qt.AlignmentFlag.AlignLeft
    label = qt.QLabel()
    label.alignment = qt.Qt.AlignRight | qt.Qt.AlignTop
    assert label.alignment & qt.Qt.AlignRight


def test_own_widgets_paint_and_get_events(application):
    qt = application.qt
    seen = []

    class Strip(qt.QWidget):
        def paintEvent(self, event):
            painter = qt.QPainter(self)
            painter.fillRect(self.rect, qt.QColor(255, 0, 0))
            painter.end()

        def mousePressEvent(self, event):
            seen.append((event.x(), event.pos().y()))

        def wheelEvent(self, event):
            seen.append(event.angleDelta().y())

    strip = Strip()
    strip.resize(40, 30)
    application.show_panel(strip)
    application.click(strip, 7, 9)
    application.wheel(strip, -1)
    assert seen == [(7, 9), -120]
    assert (application.pixels(strip)[5, 5] == (255, 0, 0)).all()


def test_event_filters_on_a_slice_view(application):
    qt = application.qt
    seen = []

    class Filter(qt.QObject):
        def eventFilter(self, watched, event):
            if event.type() == qt.QEvent.MouseButtonPress:
                seen.append(event.pos().x())
            return False

    target = application.slice_view().VTKWidget()
    watcher = Filter()
    target.installEventFilter(watcher)
    application.click(target, 11, 12)
    target.removeEventFilter(watcher)
    assert seen == [11]


def test_processes_report_as_in_slicer(application):
    process = application.qt.QProcess()
    got = []
    process.connect("finished(int,QProcess::ExitStatus)", lambda code, status: got.append(code))
    process.start("sh", ["-c", "echo hello; exit 3"])
    application.wait_until(lambda: got)
    assert got == [3]
    assert bytes(process.readAllStandardOutput().data()) == b"hello\n"


def test_an_empty_layout_is_false_and_is_not_among_the_names(application, tmp_path):
    qt = application.qt
    path = tmp_path / "empty.ui"
    path.write_text(
        '<ui version="4.0"><widget class="QWidget" name="Outer">'
        '<layout class="QVBoxLayout" name="outerLayout"><item><widget class="QWidget" name="inner">'
        '<layout class="QVBoxLayout" name="innerLayout"/></widget></item></layout></widget></ui>',
        encoding="utf-8",
    )
    widget = application.slicer.util.loadUI(str(path))
    names = vars(application.slicer.util.childWidgetVariables(widget))
    assert {"outerLayout", "inner"} <= set(names)
    assert "innerLayout" not in names
    assert not names["inner"].layout()
    assert names["inner"].layout() is not None
    assert not qt.QMenu()
    assert not qt.QTextDocument()
    assert qt.QTextDocument("a")


def test_a_destroyed_object_is_false_and_says_so(application):
    qt = application.qt
    label = qt.QLabel("a")
    button = qt.QPushButton("b", label)
    assert label
    assert button
    label.deleteLater()
    application.wait(20)
    assert not label
    assert not button  # its parent took it along
    for use in (
        lambda: label.text,
        lambda: label.setText("c"),
        lambda: button.connect("clicked()", print),
        lambda: button.isVisible(),
    ):
        with pytest.raises(ValueError, match="destroyed"):
            use()
    with pytest.raises(AttributeError, match="destroyed"):
        label.text = "c"
