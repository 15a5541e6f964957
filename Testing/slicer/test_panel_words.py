"""Every text that a person sees goes through the translator: panel, views, plot, files, set-up.

The language of this test is English in brackets; a text without brackets was not translated. What
stands in a record (question, answer, the model's name and its notice) stays as it is.
"""

from __future__ import annotations

import io
import os
import re
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from install_kit import tiny_set_up
from med2e3.asking import Question
from med2e3.model_info import read_model_info
from med2e3.notice import NOTICE
from med2e3_slicer.model_names import EMBEDDED_FOLDER
from panel_kit import choose, close_panel, in_panel, open_panel, use_engine

QUESTION, ANSWER = "Q000", "A000"
SHIPPED = read_model_info(EMBEDDED_FOLDER)
#: not translated: the record's own words, the fixed notice, names of formats and variables
KEPT = (
    NOTICE, Question.report().text, "Made up by the self-test.", "self-test", QUESTION, ANSWER,
    "Slicer", "https",
    "engine.hospital.example", "example.org", "HTTPS_PROXY", "SHA-256", "med2e3", "UTC", "CUDA",
    "torch", "transformers", "+cpu", "float", "bfloat", SHIPPED.remark,
)  # fmt: skip


def untranslated(text: str) -> str:
    """What of a text did not go through the translator, if it has words; else an empty text."""
    rest = re.sub(r"<[^<>]*>", " ", text)
    for kept in KEPT:
        rest = rest.replace(kept, " ")
    while (shorter := re.sub(r"\[[^\[\]]*\]", " ", rest)) != rest:
        rest = shorter
    return text if re.search(r"[^\W\d_]{3,}", rest) else ""


def test_the_test_finds_what_it_looks_for() -> None:
    assert untranslated("Slice 3")
    assert untranslated("<b>[Slice 3]</b> of them")
    assert not untranslated("[Slice [3]] · S 4.5 mm")


def texts_of(application: Any, widget: Any) -> Iterator[tuple[str, str]]:
    """Name and text of everything that is seen in a widget, tool tips and lists included."""
    qt = application.qt
    for each in widget.findChildren(qt.QWidget):
        if not each.isVisible():
            continue
        name = f"{type(each).__name__} {each.objectName}"
        fields = ["toolTip", "windowTitle"]
        if isinstance(each, qt.QLabel | qt.QAbstractButton):
            fields += ["text"]
        if isinstance(each, qt.QLineEdit | qt.QTextEdit):
            fields += ["placeholderText"]
        if isinstance(each, qt.QSpinBox):
            fields += ["suffix", "specialValueText"]
        for field in fields:
            yield f"{name}.{field}", str(getattr(each, field))
        if isinstance(each, qt.QComboBox) and each.objectName != "inputSelector":
            yield from ((f"{name}[{i}]", each.itemText(i)) for i in range(each.count))
        if isinstance(each, qt.QListWidget):
            for row in range(each.count):
                yield f"{name}[{row}]", each.item(row).text()
                yield f"{name}[{row}].toolTip", each.item(row).toolTip()


def check(application: Any, widget: Any, when: str) -> None:
    application.process()
    found = {name: text for name, text in texts_of(application, widget) if untranslated(text)}
    assert not found, when


@pytest.fixture
def panel(application: Any) -> Iterator[Any]:
    with application.pseudo_translation():
        yield open_panel(application)
        close_panel(application)


def add(panel: Any, question: Question) -> Any:
    from med2e3_slicer.panel.selftest import add_exchange

    return add_exchange(panel.volume, question, ANSWER)


def test_the_panel_in_each_of_its_looks(application: Any, panel: Any) -> None:
    from med2e3_slicer.engine import EngineError

    check(application, panel.widget, "not installed")
    use_engine(application)
    check(application, panel.widget, "no volume")
    choose(application, panel, application.add_volume((20, 64, 64)))
    panel.ui.advancedSection.collapsed = False
    panel.ui.remoteCheckBox.checked = True
    panel.ui.multipleChoiceCheckBox.checked = True
    application.wait(30)
    check(application, panel.widget, "choices, advanced, warnings")
    panel.ui.remoteCheckBox.checked = False

    state = panel.presenter.state.asked()
    stages = ("starting", "loading", "preparing", "sending", "encoding", "scoring", "generating")
    for stage in stages:
        state = state.reached(stage)
        panel.presenter.set_state(state)
        check(application, panel.widget, stage)
    panel.presenter.set_state(state.progressed(3, 32).wrote(5))
    check(application, panel.widget, "words")
    panel.presenter.set_state(state.stopping())
    check(application, panel.widget, "stopping")
    panel.presenter.set_state(state.ended())
    panel.presenter.fail(EngineError("[x]", hint="[y]", detail="z"))
    check(application, panel.widget, "failed")
    panel.presenter.dismiss()

    add(panel, Question(QUESTION, ("A000", "Q000")))
    add(panel, Question.report())
    application.process()
    panel.ui.exchangesList.currentRow = 0
    panel.exchanges.edited(ANSWER + ANSWER)
    panel.exchanges.set_reviewed(True)
    check(application, panel.widget, "answer, edited and reviewed")
    application.click(panel.ui.compareButton)
    check(application, panel.widget, "comparing")
    panel.ui.exchangesList.currentRow = 1
    check(application, panel.widget, "compared")
    for action in in_panel(application, panel, "QPushButton", "saveButton").menu().actions():
        assert not untranslated(action.text)


def test_words_in_the_views_and_the_plot(application: Any, panel: Any) -> None:
    choose(application, panel, application.add_volume())
    add(panel, Question(QUESTION))
    application.process()
    panel.ui.exchangesList.currentRow = 0
    panel.ui.plotCheckBox.checked = True
    application.wait(30)
    display = panel._parts.display
    said = []
    for name in ("Red", "Green", "Yellow"):
        strip = display.strips.strip_in(name)
        application.slice_view(name).forceRender()
        canvas = application.slice_view(name).VTKWidget()
        x, y = strip.cell_middle(17)
        application.move(canvas, round(x), round(canvas.size.height() - 1 - y))
        application.slice_view(name).forceRender()
        for sheet in (strip._sheet, strip._overlay):
            said += [actor.GetInput() for actor in sheet._texts if actor.GetVisibility()]
    assert any("uniform" in text for text in said)
    chart = display.plot.chart
    said += [chart.GetTitle(), chart.GetXAxisTitle(), chart.GetYAxisTitle()]
    count = chart.GetNumberOfPlotSeriesNodes()
    said += [chart.GetNthPlotSeriesNode(number).GetName() for number in range(count)]
    assert not [text for text in said if untranslated(text)]
    panel.ui.plotCheckBox.checked = False


def test_words_in_files(application: Any, panel: Any) -> None:
    from med2e3_slicer.export.content import content_of
    from med2e3_slicer.export.docx import as_docx
    from med2e3_slicer.export.pdf import _html
    from med2e3_slicer.export.pictures import score_bar

    choose(application, panel, application.add_volume())
    stored = add(panel, Question(QUESTION, ("A000", "Q000")))
    bar = score_bar(stored.exchange)
    lines = panel._parts.exporter.plain_text(stored).splitlines()
    lines += re.findall(r">([^<>]+)<", "".join(_html(content_of(stored), bar, ())))
    with zipfile.ZipFile(io.BytesIO(as_docx(content_of(stored), bar, ()))) as archive:
        for part in ("word/document.xml", "word/footer1.xml"):
            lines += re.findall(r">([^<>]+)<", archive.read(part).decode())
    assert len(lines) > 60
    assert not [line for line in lines if untranslated(line)]


def test_words_of_consent_and_of_what_goes_wrong(application: Any, panel: Any) -> None:
    from med2e3.errors import Med2E3Error
    from med2e3_slicer.engine import ConsentNeeded, EngineAddress, consent_request
    from med2e3_slicer.volumes import examine

    request = consent_request(EngineAddress.parse("http://example.org"))
    assert not [line for line in request.text.splitlines() if untranslated(line)]
    assert not untranslated(str(ConsentNeeded(request)))
    assert not untranslated(str(examine(None).refusal))
    with pytest.raises(Med2E3Error) as caught:
        EngineAddress.parse("http://a:b@example.org")
    assert not untranslated(str(caught.value))


def test_the_set_up_page(
    application: Any, panel: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from med2e3_slicer.install import open_set_up, opening

    # the installer uv is beside the Python that runs the tests
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    page = open_set_up(panel._parts.asking._logic, tiny_set_up(tmp_path, "tinylung"))
    application.wait_until(lambda: "memory" in page.ui.checksLabel.text)
    page.ui.offlineCheckBox.checked = True
    application.click(page.ui.buildButton)
    check(application, page.widget.window(), "refused folder")
    opening.close_set_up()
