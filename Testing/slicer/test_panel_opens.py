"""The module as shipped: it opens, reloads, and survives what Slicer does with modules."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref

import pytest

from panel_kit import (
    MODULE,
    choose,
    close_panel,
    in_panel,
    open_panel,
    use_engine,
    widget,
)


@pytest.fixture
def panel(application):
    yield open_panel(application)
    close_panel(application)


def test_it_opens_with_the_notice_and_the_next_step(application, panel):
    assert "not for diagnosis" in panel.ui.noticeLabel.text
    assert panel.ui.noticeLabel.isVisible()
    assert panel.ui.messagePrimaryButton.isVisible()  # nothing is installed here: set up
    assert not panel.ui.reportButton.enabled
    application.screenshot("panel-not-installed")


def test_a_volume_is_chosen_described_and_warned_of(application, panel):
    use_engine(application)
    assert panel.presenter.state.look.value == "no-volume"
    application.screenshot("panel-no-volume")
    volume = application.add_volume()
    choose(application, panel, volume)
    assert panel.ui.volumeSummaryLabel.text == "64 × 64 × 40 · 2 × 2 × 3 mm"
    assert "128 x 128 mm" in panel.ui.warningLabel.text
    assert panel.ui.warningFrame.isVisible()
    assert panel.ui.reportButton.enabled
    assert not panel.ui.askButton.enabled
    application.screenshot("panel-idle")


def test_a_volume_that_is_loaded_is_chosen_where_none_is(application, panel):
    """Dropping a file ends as here: the reader makes the new volume the one that is shown."""

    def load(name):
        volume = application.add_volume(name=name)
        logic = application.app.applicationLogic()
        logic.GetSelectionNode().SetActiveVolumeID(volume.GetID())
        logic.PropagateVolumeSelection()
        application.wait(30)
        return volume

    use_engine(application)
    assert panel.volume is None
    application.type(panel.ui.questionEdit, "Is there a lesion?")
    first = load("first")
    assert panel.volume is first
    assert panel.ui.volumeSummaryLabel.text
    assert panel.ui.reportButton.enabled
    assert panel.question.text == "Is there a lesion?"
    load("second")
    assert panel.volume is first
    application.scene.Clear(0)
    application.wait(30)
    assert panel.volume is None
    third = load("third")
    assert panel.volume is third


def test_an_unusable_volume_is_refused_in_words(application, panel):
    use_engine(application)
    volume = application.slicer.util.addVolumeFromArray(
        __import__("numpy").zeros((40, 64, 64), "int16"), name="empty"
    )
    choose(application, panel, volume)
    assert "same value" in panel.ui.messageLabel.text
    assert not panel.ui.reportButton.enabled


def test_a_suggestion_fills_the_question_and_its_options(application, panel):
    use_engine(application)
    choose(application, panel, application.add_volume())
    menu = in_panel(application, panel, "QPushButton", "topic_plane").menu()
    menu.actions()[-1].trigger()
    application.process()
    assert panel.question.text == "What is the plane of this CT?"
    assert panel.question.choices == ("axial", "coronal", "sagittal")
    assert panel.ui.choicesFrame.isVisible()
    assert panel.ui.askButton.enabled
    application.click(panel.ui.addChoiceButton)
    application.type(application.app.focusWidget(), "oblique")
    assert panel.question.choices == ("axial", "coronal", "sagittal", "oblique")
    application.screenshot("panel-multiple-choice")


def test_what_is_typed_is_kept_in_the_scene(application, panel):
    application.type(panel.ui.questionEdit, "Is there a lesion?")
    panel.ui.planeSelector.currentIndex = 1
    parameters = widget(application).logic.getParameterNode()
    assert parameters.question == "Is there a lesion?"
    assert parameters.plane == "sagittal"
    parameters.question = "Where is it?"
    application.process()
    assert panel.question.text == "Where is it?"


def test_a_window_that_is_typed_is_used(application, panel):
    """The list stays as it is: an entry that Qt adds to it would stand for no window."""
    choose(application, panel, application.add_volume())
    panel.ui.advancedSection.collapsed = False
    box = panel.ui.windowSelector
    entries = box.count
    box.lineEdit().selectAll()
    application.type(box, "40,400")
    application.key(box, application.qt.Qt.Key_Return)
    application.wait(20)
    assert widget(application).logic.getParameterNode().window == "40,400"
    assert not panel.presenter.state.volume_problem
    assert box.count == entries


def test_a_scene_that_is_added_brings_its_choices(application, panel, tmp_path):
    """Slicer's selector of volumes loses its choice then, which is nobody's wish."""
    saved = application.add_volume(name="saved")
    choose(application, panel, saved)
    application.type(panel.ui.questionEdit, "Is there a lesion?")
    scene = tmp_path / "saved.mrb"
    assert application.slicer.util.saveScene(str(scene))
    application.scene.Clear(0)
    choose(application, panel, application.add_volume(name="open"))
    application.type(panel.ui.questionEdit, "Which organ is abnormal?")
    application.slicer.util.loadScene(str(scene))
    application.wait(30)
    assert panel.question.text == "Is there a lesion?"
    assert panel.volume.GetName() == "saved"
    assert widget(application).logic.getParameterNode().inputVolume is panel.volume


def test_a_scene_without_choices_leaves_those_that_are_made(application, panel, tmp_path):
    choices = widget(application).logic.getParameterNode().parameterNode
    close_panel(application)
    application.scene.RemoveNode(choices)
    application.add_volume(name="added")
    scene = tmp_path / "added.mrb"
    assert application.slicer.util.saveScene(str(scene))
    application.scene.Clear(0)
    panel = open_panel(application)
    application.add_volume(name="first")
    volume = application.add_volume(name="second")
    choose(application, panel, volume)
    application.slicer.util.loadScene(str(scene))
    application.wait(30)
    assert panel.volume is volume
    application.type(panel.ui.questionEdit, "Why?")
    assert widget(application).logic.getParameterNode().question == "Why?"


def test_options_are_shown_with_their_probabilities(application, panel):
    from med2e3_slicer.panel.answer_view import AnswerTexts

    texts = AnswerTexts(
        "Plane?", "", "", probabilities=(("A", "axial", 0.75), ("B", "coronal", 0.25))
    )
    frame, bar = panel.ui.probabilitiesFrame, application.qt.QProgressBar
    for _ in range(2):  # the second time, the bars of the first go
        panel.answer.show(texts, "A")
        application.wait(20)
        assert [each.value for each in frame.findChildren(bar)] == [75, 25]
    assert frame.isVisible()


def test_closing_the_scene_leaves_nothing_of_it(application, panel):
    choose(application, panel, application.add_volume())
    application.type(panel.ui.questionEdit, "Is there a lesion?")
    application.scene.Clear(0)
    application.wait(30)
    assert panel.volume is None
    assert panel.question.text == ""
    assert panel.ui.volumeSummaryLabel.text == ""


def test_closing_the_scene_takes_an_unfinished_answer_away(application, panel, monkeypatch):
    use_engine(application)
    choose(application, panel, application.add_volume())
    asked, stopped = [], []
    monkeypatch.setattr(panel._parts.asking, "ask", lambda *order: asked.append(order))
    monkeypatch.setattr(panel._parts.asking, "stop", lambda: stopped.append(1))
    application.click(panel.ui.reportButton)
    panel.presenter.wrote("There is no")
    assert panel.ui.answerEdit.toPlainText() == "There is no"
    application.scene.Clear(0)
    application.wait(30)
    assert asked
    assert stopped
    assert not panel.presenter.state.busy
    assert panel.ui.answerEmptyLabel.isVisible()
    assert not panel.ui.answerFrame.isVisible()


def test_reload_drops_the_packages_and_opens_again(application, panel):
    first = panel
    application.problems.take()
    widget(application).onReload()
    application.process()
    second = widget(application).panel
    assert second is not None
    assert second is not first
    assert type(second) is not type(first)  # the package was loaded anew


def test_it_survives_without_main_window_and_with_a_second_scene(application):
    with application.testing_mode(), application.no_main_window():
        application.load_module(MODULE)
        made = widget(application)
        assert made.panel is not None
        with application.second_scene():
            made.enter()
            made.exit()
    close_panel(application)


def test_nothing_of_it_lives_on_when_it_is_unloaded(application):
    """What Python keeps of VTK when Slicer quits, VTK's leak check counts as lost."""
    from med2e3.asking import Question
    from med2e3_slicer.panel.selftest import add_exchange

    panel = open_panel(application)
    volume = application.add_volume()
    choose(application, panel, volume)
    panel.exchanges.choose(add_exchange(volume, Question("Why?"), "because").key)
    panel.views.set_plot(True)
    application.process()
    display, logic = panel._parts.display, widget(application).logic.med2e3
    strip = display.strips.strip_in("Red")
    kept = (
        panel, logic, logic.store, logic.store._watch, display, display.strips, strip,
        strip._mouse, strip._sheet._shapes, display.plot, display.plot.chart, display._pane,
    )  # fmt: skip
    left = [weakref.ref(each) for each in kept]
    del panel, display, logic, strip, kept
    close_panel(application)
    application.wait(30)
    gc.collect()
    assert [each() for each in left if each() is not None] == []


def test_the_self_test_of_the_application_passes(application, panel):
    from med2e3_slicer.panel import selftest

    class Case:
        """What the tests need of unittest."""

        def __getattr__(self, name):
            import unittest

            return getattr(unittest.TestCase(), name)

    for test in selftest.TESTS:
        application.scene.Clear(0)
        application.process()
        test(Case())


def test_importing_the_panel_imports_no_torch():
    code = (
        "import sys; sys.path.insert(0, {path!r});"
        "import med2e3_slicer.panel.state, med2e3_slicer.panel.strip_picture;"
        "assert 'torch' not in sys.modules"
    ).format(path=str(MODULE.parent / "Logic"))
    subprocess.run([sys.executable, "-c", code], check=True)


def test_models_are_listed_without_what_slicers_python_lacks(application, monkeypatch):
    for name in [n for n in sys.modules if n.startswith("med2e3.weights")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "filelock", None)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    from med2e3_slicer.panel.models import installed_models

    models = installed_models()
    assert models[-1].key == "embedded"
    assert "DEMONSTRATION" in models[-1].remark
