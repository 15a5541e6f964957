"""Much, long and large: twenty exchanges, a very long report, long names, consent, fine screens."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.session import SCREENSHOTS
from med2e3.asking import Question
from panel_kit import choose, close_panel, open_panel, use_engine, widget

LONG_NAME = "Med-2E3 trained on a great many volumes of a department with a long name"


@pytest.fixture
def panel(application: Any) -> Iterator[Any]:
    opened = open_panel(application, 350)
    use_engine(application)
    choose(application, opened, application.add_volume((40, 128, 128), 2.5))
    yield opened
    close_panel(application)


def fits(application: Any, panel: Any) -> None:
    """Nothing needs more width than there is, and no button is narrower than its text."""
    application.wait(40)
    assert panel.widget.minimumSizeHint().width() <= 320
    for kind in ("QPushButton", "QCheckBox", "QToolButton", "QLabel"):
        for each in panel.widget.findChildren(getattr(application.qt, kind)):
            if each.isVisible():
                assert each.x + each.width <= each.parent().width, each.objectName


def test_twenty_exchanges_and_a_very_long_report(application: Any, panel: Any) -> None:
    from med2e3_slicer.panel.selftest import add_exchange

    for number in range(19):
        question = f"{number}: " + "Is there a lesion in the part of the body that is shown? " * 3
        add_exchange(panel.volume, Question(question), "no")
    report = "\n\n".join(f"Paragraph {n}. " + "The lungs are clear. " * 12 for n in range(40))
    add_exchange(panel.volume, Question.report(), report)
    application.process()
    rows = panel.ui.exchangesList
    assert rows.count == 20
    rows.currentRow = 0
    fits(application, panel)
    assert panel.ui.answerEdit.height <= 340
    assert panel.ui.answerEdit.verticalScrollBar().maximum > 1000
    assert rows.height < 260
    assert rows.verticalScrollBar().maximum > 0
    application.screenshot("panel-long")
    rows.currentRow = 19
    rows.setFocus()
    application.wait(200)  # the views draw, then the panel is laid out
    bar = panel.ui.panelScrollArea.verticalScrollBar()
    bar.value = bar.maximum
    application.screenshot("panel-twenty")


def test_a_long_name_of_a_model_and_an_unbroken_word(
    application: Any, panel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from med2e3_slicer.panel.ports import ModelChoice
    from med2e3_slicer.panel.selftest import add_exchange

    models = (ModelChoice("long", f"{LONG_NAME} (7.6 GB)"), *panel._parts.asking.models())
    monkeypatch.setattr(panel._parts.asking, "models", lambda: models)
    panel.refresh_machine()
    panel.ui.modelSelector.currentIndex = 0
    add_exchange(
        panel.volume, Question("Pneumonoultramicroscopicsilicovolcanoconiosis" * 3), "x" * 300
    )
    application.process()
    panel.ui.exchangesList.currentRow = 0
    fits(application, panel)
    assert LONG_NAME in panel.ui.modelSelector.toolTip
    application.screenshot("panel-long-names")


def test_buttons_beside_each_other_do_not_touch(application: Any, panel: Any) -> None:
    """A row inside a grid has no space of its own unless the file says so."""
    from med2e3_slicer.panel.selftest import add_exchange

    add_exchange(panel.volume, Question.report(), "Axial CT of the chest.")
    panel.ui.advancedSection.collapsed = False
    panel.ui.exchangesList.currentRow = 0
    fits(application, panel)
    buttons = panel.widget.findChildren(application.qt.QPushButton)
    seen = [each for each in buttons if each.isVisible()]
    beside = [
        right.x - left.x - left.width
        for left in seen
        for right in seen
        if left.parent() == right.parent() and left.y == right.y and left.x < right.x
    ]
    assert len(beside) > 5
    assert min(beside) >= 4


def test_the_consent_dialog_names_what_is_sent(application: Any, panel: Any) -> None:
    logic = widget(application).logic
    logic.use_remote("http://gpu-server.radiology.hospital.example.org:8734", "token")
    seen: list[Any] = []

    def refuse(dialog: Any) -> Any:
        dialog.show()
        application.process()
        dialog.grab().save(
            str(Path(os.environ.get("MED2E3_SCREENSHOTS", SCREENSHOTS)) / "consent.png")
        )
        seen.append((dialog.size.width(), dialog.size.height(), dialog.text))
        dialog.hide()
        return 0

    application.dialogs.answer(refuse)
    application.click(panel.ui.reportButton)
    ((width, height, text),) = seen
    assert width <= 700
    assert height <= 420
    for said in ("32 slices of 256 × 256", "patient's name", "not encrypted", "gpu-server"):
        assert said in text
    assert not panel.presenter.state.busy  # nothing was agreed to, so nothing was sent
    assert panel.ui.exchangesList.count == 0


def test_on_a_fine_screen(tmp_path: Path) -> None:
    """Twice as many pixels, in a process of its own, since Qt reads the factor at its start."""
    script = Path(__file__).parent / "harness" / "run_fine_screen.py"
    done = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "QT_SCALE_FACTOR": "2", "QT_QPA_PLATFORM": "offscreen"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
