"""From a click to the answer: the real engine with the embedded model behind the real panel."""

from __future__ import annotations

import pytest

from med2e3.asking import Question
from med2e3.notice import NOTICE
from panel_kit import (
    PATIENCE_S,
    choose,
    close_panel,
    in_panel,
    open_panel,
    use_engine,
    wait_idle,
    widget,
)


@pytest.fixture
def panel(application):
    opened = open_panel(application)
    use_engine(application)
    choose(application, opened, application.add_volume((40, 128, 128), 2.5))
    yield opened
    close_panel(application)


@pytest.fixture
def answered(application, panel):
    """A panel with two exchanges that the self-test made, the report newer."""
    from med2e3_slicer.panel.selftest import add_exchange

    add_exchange(panel.volume, Question("In which plane is this CT?"), "axial")
    add_exchange(panel.volume, Question.report(), "Axial CT of the chest.")
    application.process()
    return panel


def test_report_question_and_stop(application, panel):
    application.click(panel.ui.reportButton)
    assert panel.ui.stopButton.isVisible()
    application.screenshot("panel-starting")
    application.wait_until(panel.ui.slicesFrame.isVisible, PATIENCE_S)
    application.screenshot("panel-generating")
    looks = wait_idle(application, panel)
    assert looks[-1] == "idle"
    report = panel.exchanges.current
    assert report.exchange.task == "report"
    assert panel.ui.answerEdit.toPlainText() == report.exchange.answer != ""
    assert panel.ui.exchangesList.count == 1
    assert NOTICE in panel.ui.answerNoticeLabel.text
    shown = panel._parts.display.strips.shown
    assert len(shown) == 1
    assert tuple(shown[0].scores) == report.exchange.scores
    application.screenshot("panel-report")

    # Ctrl+Enter asks; the same engine answers
    qt = application.qt.Qt
    application.window.activateWindow()
    application.click(panel.ui.questionEdit.viewport())
    application.type(panel.ui.questionEdit, "In which plane is this CT?")
    application.key(panel.ui.questionEdit, qt.Key_Return, qt.ControlModifier)
    assert panel.presenter.state.busy
    wait_idle(application, panel)
    assert panel.ui.exchangesList.count == 2
    assert panel.exchanges.current.exchange.question == "In which plane is this CT?"

    # Esc stops; nothing else is lost
    application.click(panel.ui.reportButton)
    application.key(panel.ui.stopButton, qt.Key_Escape)
    wait_idle(application, panel)
    assert panel.presenter.state.failure is None
    assert panel.ui.exchangesList.count in (2, 3)


def test_a_missing_engine_is_said_and_can_be_asked_again(application, panel):
    widget(application).logic.use_local(python=__file__)
    panel.refresh_engine()
    application.click(panel.ui.reportButton)
    wait_idle(application, panel)
    assert panel.presenter.state.look.value == "failed"
    assert panel.ui.messagePrimaryButton.text == "Set up…"  # what the sentence advises
    assert panel.ui.messageSecondaryButton.text == "Try again"
    assert panel.ui.engineStateLabel.text == "Engine: cannot be started; set it up again"
    assert panel.ui.exchangesList.count == 0
    application.screenshot("panel-failed")
    first = panel.presenter.state.failure
    application.click(panel.ui.messageSecondaryButton)
    wait_idle(application, panel)
    assert panel.presenter.state.failure is not first  # it was asked again, and failed anew


def test_the_state_line_tells_what_became_of_the_engine(application, panel):
    from med2e3.protocol import ModelNotReady
    from med2e3_slicer.engine import EngineError, EngineLost, EngineUnusable

    engine, said = widget(application).logic.med2e3.engine, []
    for problem in (EngineUnusable, EngineLost, ModelNotReady, EngineError):
        engine.problem = problem("x")
        panel.refresh_engine()
        said.append(panel.ui.engineStateLabel.text)
    assert said == [
        "Engine: cannot be started; set it up again",
        "Engine: ended unexpectedly; starts again when asked",
        "Engine: could not load the model; tries again when asked",
        "Engine: did not start; tries again when asked",
    ]
    engine.problem = None
    panel.refresh_engine()
    assert "with the first question" in panel.ui.engineStateLabel.text


def test_an_older_exchange_is_shown_again(application, answered):
    ui = answered.ui
    assert ui.exchangesList.count == 2
    ui.exchangesList.setFocus()
    ui.exchangesList.currentRow = 1
    application.process()
    assert ui.answerEdit.toPlainText() == "axial"
    assert ui.answerEdit.placeholderText == "(no text)", "for an answer without a word"
    logic = application.app.layoutManager().sliceWidget("Red").sliceLogic()
    place = answered.exchanges.current.exchange.slices[17].position_ras_mm
    assert abs(logic.GetSliceOffset() - place[2]) < 3.1
    before = ui.hotLabel.text
    application.click(ui.coolerButton)
    assert ui.hotLabel.text != before
    application.click(ui.answerStripLabel, 2, 5)
    assert ui.hotLabel.text.startswith("Slice 1 ")
    application.screenshot("panel-older")


def test_two_are_compared(application, answered):
    ui = answered.ui
    ui.exchangesList.currentRow = 0
    application.click(ui.compareButton)
    ui.exchangesList.currentRow = 1
    application.process()
    assert ui.comparedFrame.isVisible()
    assert ui.comparedTextLabel.text == "axial"
    assert len(answered._parts.display.strips.shown) == 2
    application.screenshot("panel-compared")
    application.click(ui.compareButton)
    assert not ui.comparedFrame.isVisible()
    assert len(answered._parts.display.strips.shown) == 1


def test_after_a_comparison_the_row_is_that_of_the_answer_above(application, answered):
    """Otherwise Delete would take another answer than the one whose row is chosen."""
    ui = answered.ui
    ui.exchangesList.currentRow = 0
    ui.compareButton.checked = True
    ui.exchangesList.currentRow = 1
    application.process()
    assert ui.comparedFrame.isVisible()
    assert not ui.removeButton.enabled
    ui.compareButton.checked = False
    application.process()
    assert ui.exchangesList.currentRow == 0
    assert ui.removeButton.enabled
    assert ui.answerEdit.toPlainText() == answered.exchanges.current.text


def test_a_report_is_edited_reviewed_copied_and_saved(application, answered, tmp_path):
    ui = answered.ui
    ui.exchangesList.currentRow = 0
    application.process()
    edit = in_panel(application, answered, "QPushButton", "editButton")
    application.click(edit)
    application.key(ui.answerEdit, application.qt.Qt.Key_End)
    application.type(ui.answerEdit, " Reread.")
    application.click(edit)
    stored = answered.exchanges.current
    assert stored.text == "Axial CT of the chest. Reread."
    assert stored.exchange.answer == "Axial CT of the chest."
    box = in_panel(application, answered, "QCheckBox", "reviewedCheckBox")
    application.click(box, 8, box.size.height() // 2)
    assert answered.exchanges.current.review.reviewed
    assert "reviewed" in ui.answerDetailLabel.text
    row = ui.exchangesList.item(0)
    assert row.text().splitlines()[1][:2] == "20"  # when it was stays to be read in a narrow row
    assert ui.answerDetailLabel.text in row.toolTip()
    application.screenshot("panel-reviewed")
    application.click(in_panel(application, answered, "QPushButton", "copyButton"))
    copied = application.qt.QApplication.clipboard().text()
    assert "Reread." in copied
    assert NOTICE in copied
    for suffix in (".txt", ".docx", ".pdf"):
        application.dialogs.answer(str(tmp_path / f"answer{suffix}"))
        answered.exchanges.save(suffix)
        assert (tmp_path / f"answer{suffix}").stat().st_size > 100
    assert NOTICE in (tmp_path / "answer.txt").read_text(encoding="utf-8-sig")


def test_an_exchange_is_deleted_after_asking(application, answered):
    ui = answered.ui
    ui.exchangesList.currentRow = 0
    application.dialogs.answer(application.qt.QMessageBox.Ok)
    application.click(ui.removeButton)
    assert ui.exchangesList.count == 1
    assert answered.exchanges.current is None


def test_a_saved_scene_is_shown_without_an_engine(application, answered, tmp_path):
    scene = tmp_path / "saved.mrb"
    assert application.slicer.util.saveScene(str(scene))
    application.scene.Clear(0)
    application.wait(30)
    assert answered.ui.exchangesList.count == 0
    widget(application).logic.use_local(python=tmp_path / "no-python")
    application.slicer.util.loadScene(str(scene))
    application.wait(50)
    answered.refresh_engine()
    ui = answered.ui
    assert answered.presenter.state.look.value == "restored"
    assert ui.exchangesList.count == 2
    ui.exchangesList.currentRow = 1
    application.process()
    assert ui.answerEdit.toPlainText() == "axial"
    application.screenshot("panel-restored")


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [350, 560])
def test_nothing_is_cut_off(application, answered, dark, width):
    """At 350 pixels no button is narrower than its text, and nothing scrolls sideways."""
    panel = answered
    application.window._set_panel_width(width)
    panel.ui.exchangesList.currentRow = 0
    panel.ui.multipleChoiceCheckBox.checked = True
    panel.ui.advancedSection.collapsed = False
    panel.ui.remoteCheckBox.checked = True
    with application.style(dark):
        application.wait(60)
        assert panel.widget.minimumSizeHint().width() <= 350 - 20  # with its scroll bar
        for kind in ("QPushButton", "QCheckBox", "QToolButton"):
            for each in panel.widget.findChildren(getattr(application.qt, kind)):
                if each.isVisible():
                    assert each.size.width() >= each.minimumSizeHint().width(), each.objectName
        application.screenshot(f"panel-all-{width}-{'dark' if dark else 'light'}")
    panel.ui.remoteCheckBox.checked = False
    application.wait(10)
