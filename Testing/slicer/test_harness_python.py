"""Slicer's Python of the harness: parameter nodes, modules, texts, packaging, files."""

from __future__ import annotations

import enum
import pathlib
import sys
from typing import Annotated, Optional

import numpy as np
import pytest

UI = """<?xml version="1.0" encoding="UTF-8"?>
<ui version="4.0"><class>Panel</class>
<widget class="qMRMLWidget" name="Panel"><layout class="QFormLayout" name="form">
 <item row="0" column="1"><widget class="qMRMLNodeComboBox" name="volume">
  <property name="nodeTypes"><stringlist notr="true">
   <string>vtkMRMLScalarVolumeNode</string></stringlist></property>
  <property name="noneEnabled"><bool>true</bool></property>
  <property name="SlicerParameterName" stdset="0"><string>volume</string></property></widget></item>
 <item row="1" column="1"><widget class="QTextEdit" name="question">
  <property name="SlicerParameterName" stdset="0"><string>question</string></property></widget>
 </item>
 <item row="2" column="1"><widget class="QSpinBox" name="words">
  <property name="SlicerParameterName" stdset="0"><string>words</string></property></widget></item>
 <item row="3" column="1"><widget class="QComboBox" name="plane">
  <property name="SlicerParameterName" stdset="0"><string>plane</string></property></widget></item>
 <item row="4" column="1"><widget class="QCheckBox" name="strip">
  <property name="SlicerParameterName" stdset="0"><string>strip</string></property></widget></item>
</layout></widget>
<customwidgets>
 <customwidget><class>qMRMLWidget</class><extends>QWidget</extends><header>q.h</header>
  <container>1</container></customwidget>
 <customwidget><class>qMRMLNodeComboBox</class><extends>QWidget</extends><header>q.h</header>
 </customwidget></customwidgets>
<connections><connection><sender>Panel</sender><signal>mrmlSceneChanged(vtkMRMLScene*)</signal>
 <receiver>volume</receiver><slot>setMRMLScene(vtkMRMLScene*)</slot></connection></connections>
</ui>"""

MODULE = """
from slicer.ScriptedLoadableModule import ScriptedLoadableModule, ScriptedLoadableModuleWidget

CALLS = []


class Lasting(ScriptedLoadableModule):
    pass


class LastingWidget(ScriptedLoadableModuleWidget):
    def setup(self):
        CALLS.append("setup")

    def enter(self):
        CALLS.append("enter")

    def cleanup(self):
        CALLS.append("cleanup")
"""


class Plane(enum.Enum):
    AXIAL = 1
    CORONAL = 2


@pytest.fixture
def parameters(application):
    """A parameter node class with one parameter of each kind, and a maker of it."""
    from slicer.parameterNodeWrapper import Choice, WithinRange, parameterNodeWrapper

    class Parameters:
        volume: application.slicer.vtkMRMLScalarVolumeNode
        question: str = "Where?"
        words: Annotated[int, WithinRange(1, 512)] = 100
        plane: Plane = Plane.CORONAL
        strip: bool = True
        window: Annotated[str, Choice(["soft", "lung"])] = "soft"
        folder: Optional[pathlib.Path] = None  # noqa: UP045
        scores: list[float] = []

    Parameters.__annotations__ = {
        "volume": application.slicer.vtkMRMLScalarVolumeNode,
        "question": str,
        "words": Annotated[int, WithinRange(1, 512)],
        "plane": Plane,
        "strip": bool,
        "window": Annotated[str, Choice(["soft", "lung"])],
        "folder": Optional[pathlib.Path],  # noqa: UP045
        "scores": list[float],
    }
    wrapped = parameterNodeWrapper(Parameters)

    def make():
        return wrapped(application.scene.AddNewNodeByClass("vtkMRMLScriptedModuleNode"))

    return make


def test_parameters_keep_types_and_refuse_others(application, parameters):
    node = parameters()
    assert (node.question, node.words, node.plane, node.strip) == (
        "Where?",
        100,
        Plane.CORONAL,
        True,
    )
    assert (node.volume, node.folder, node.scores) == (None, None, [])
    node.volume = volume = application.add_volume()
    node.scores = [0.5, 0.25]
    node.folder = pathlib.Path("somewhere")
    again = type(node)(node.parameterNode)
    assert (again.volume, again.scores, again.folder) == (
        volume,
        [0.5, 0.25],
        pathlib.Path("somewhere"),
    )
    with pytest.raises(ValueError, match="range"):
        node.words = 0
    with pytest.raises(TypeError):
        node.question = 3
    with pytest.raises(ValueError, match="not in"):
        node.window = "bone"
    application.scene.RemoveNode(volume)
    assert node.volume is None


def test_parameters_and_widgets_follow_each_other(application, parameters, tmp_path):
    file = tmp_path / "Panel.ui"
    file.write_text(UI, encoding="utf-8")
    widget = application.slicer.util.loadUI(str(file))
    ui = application.slicer.util.childWidgetVariables(widget)
    widget.setMRMLScene(application.scene)
    volume = application.add_volume()
    node = parameters()
    tag = node.connectGui(ui)
    assert ui.question.toPlainText() == "Where?"
    assert (ui.words.value, ui.words.maximum, ui.plane.currentText) == (100, 512, "CORONAL")
    application.show_panel(widget)
    application.type(ui.question, "And ")
    assert node.question == "And Where?"
    application.click(ui.strip, 8, ui.strip.height // 2)
    assert node.strip is False
    ui.volume.setCurrentNode(volume)
    assert node.volume is volume
    node.plane = Plane.AXIAL
    assert ui.plane.currentIndex == 0
    node.disconnectGui(tag)
    ui.words.value = 7
    assert node.words == 100


def test_a_widget_that_slicer_cannot_connect_is_refused(application, parameters):
    edit = application.qt.QPlainTextEdit()
    with pytest.raises(RuntimeError, match="Unable to create GUI connector"):
        parameters().connectParametersToGui({"question": edit})


@pytest.mark.parametrize("ending", [".mrb", ".mrml"])
def test_scenes_are_saved_and_loaded(application, tmp_path, ending):
    slicer = application.slicer
    application.add_volume(name="Kept")
    text = application.scene.AddNewNodeByClass("vtkMRMLTextNode", "Words")
    text.SetText("Größe 3 µm", application.vtk.VTK_ENCODING_UTF_8)
    table = slicer.util.updateTableFromArray(
        None, [np.arange(3.0), np.array([0.1, 0.2, 0.7])], ["slice", "score"]
    )
    table.SetName("Scores")
    if ending == ".mrb":
        file = tmp_path / "scene.mrb"
        assert slicer.util.saveScene(str(file))
    else:
        file = application.app.coreIOManager().saveSceneWithData(tmp_path / "scene")
    application.scene.Clear(0)
    slicer.util.loadScene(str(file))
    assert slicer.util.getNode("Kept").GetImageData().GetDimensions() == (64, 64, 40)
    assert slicer.util.getNode("Words").GetText() == "Größe 3 µm"
    assert slicer.util.arrayFromTableColumn(slicer.util.getNode("Scores"), "score")[2] == 0.7


def test_dialogs_are_answered_by_the_test(application):
    application.dialogs.answer(application.qt.QMessageBox.Ok)
    assert application.slicer.util.confirmOkCancelDisplay("Send the volume?")
    assert "Send the volume?" in application.dialogs.opened[0]
    assert not application.slicer.util.confirmOkCancelDisplay("Nobody answers")
    assert "does not answer" in application.problems.take()[0]


def test_a_second_scene_replaces_the_first(application):
    first = application.scene
    with application.second_scene() as second:
        assert application.slicer.mrmlScene is second is not first
        application.add_volume(name="Other")
        assert application.pixels(application.slice_view().VTKWidget()).max() > 200
    assert application.slicer.mrmlScene is first


def test_without_a_main_window(application):
    with application.no_main_window():
        assert application.slicer.util.mainWindow() is None
        assert application.app.layoutManager() is None
    assert application.slicer.util.mainWindow() is application.window


def test_a_reload_sets_up_and_does_not_enter(application, tmp_path):
    """Slicer leaves the module where it is: what is seen after a reload, ``setup`` must show."""
    file = tmp_path / "Lasting.py"
    file.write_text(MODULE, encoding="utf-8")
    application.load_module(file)
    application.slicer.util.selectModule("Lasting")
    assert sys.modules["Lasting"].CALLS == ["setup", "enter"]
    module = application.slicer.util.reloadScriptedModule("Lasting")
    assert module.CALLS == ["setup"]  # the list is the new module's own
    assert application.slicer.modules.lasting.widgetRepresentation().isEntered
    application.unload_module("Lasting")
    assert module.CALLS == ["setup", "cleanup"]
