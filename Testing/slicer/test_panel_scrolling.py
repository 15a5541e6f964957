"""Whatever is scrolled, the notice is in sight; the panel scrolls inside Slicer's own panel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from med2e3.asking import Question
from med2e3.notice import NOTICE
from panel_kit import choose, close_panel, open_panel, use_engine


@pytest.fixture
def panel(application: Any) -> Iterator[Any]:
    from med2e3_slicer.panel.selftest import add_exchange

    opened = open_panel(application, 350)
    use_engine(application)
    choose(application, opened, application.add_volume((40, 128, 128), 2.5))
    add_exchange(opened.volume, Question("In which plane is this CT?"), "axial")
    add_exchange(opened.volume, Question.report(), "The lungs are clear. " * 40)
    application.process()
    opened.ui.exchangesList.currentRow = 0
    opened.ui.advancedSection.collapsed = False
    application.wait(60)
    yield opened
    application.window._help.hide()
    close_panel(application)


def slicers_area(application: Any) -> Any:
    """The scroll area of Slicer's own around every module's panel."""
    return application.window._scroll


def notice_in_sight(application: Any, panel: Any) -> bool:
    """Whether the whole notice lies in what is seen of the panel."""
    frame, viewport = panel.ui.noticeFrame, slicers_area(application).viewport()
    corner = frame.mapTo(viewport, application.qt.QPoint(0, 0))
    inside = corner.y() >= 0 and corner.y() + frame.height <= viewport.height
    return inside and NOTICE in panel.ui.noticeLabel.text and frame.isVisible()


def test_the_notice_stays_when_the_panel_is_scrolled(application: Any, panel: Any) -> None:
    bar = panel.ui.panelScrollArea.verticalScrollBar()
    assert bar.maximum > 200
    for share in (0, 0.3, 0.7, 1):
        bar.value = round(share * bar.maximum)
        application.process()
        assert notice_in_sight(application, panel)
    area, content = panel.ui.panelScrollArea, panel.ui.panelContents
    assert content.y + content.height == area.viewport().height  # the end was reached
    application.screenshot("panel-scrolled")


@pytest.mark.parametrize("height", [430, 560, 1000])
def test_slicers_own_panel_has_nothing_to_scroll(application: Any, panel: Any, height: int) -> None:
    """Also on a low screen; what is left of the height is all used."""
    window = application.window
    before = (window.width, window.height)
    outer = slicers_area(application)
    application.window._help.show()
    window.resize(before[0], height + window.height - outer.height)
    application.wait(40)
    assert outer.height == height
    assert outer.verticalScrollBar().maximum == 0
    assert notice_in_sight(application, panel)
    area = panel.ui.panelScrollArea
    end = area.mapTo(outer.viewport(), application.qt.QPoint(0, area.height)).y()
    assert end > outer.viewport().height - 10
    window.resize(*before)
    application.process()


def test_with_the_help_open_the_notice_is_seen_at_the_end(application: Any, panel: Any) -> None:
    """Slicer's help, shown at full length above the panel, scrolls away with Slicer's own bar."""
    application.window._help.show()
    application.window._help.collapsed = False
    application.wait(40)
    bar = slicers_area(application).verticalScrollBar()
    bar.value = bar.maximum
    application.process()
    assert notice_in_sight(application, panel)
    assert panel.ui.panelScrollArea.height >= 240
    application.window._help.collapsed = True


def test_it_is_never_too_narrow_for_what_it_holds(application: Any, panel: Any) -> None:
    area, content = panel.ui.panelScrollArea, panel.ui.panelContents
    needed = content.minimumSizeHint().width()
    assert needed <= area.minimumWidth <= needed + 24
    panel.ui.readyHintLabel.setMinimumWidth(needed + 60)
    application.wait(20)
    assert area.minimumWidth >= needed + 60
    panel.ui.readyHintLabel.setMinimumWidth(0)
    application.wait(20)
    assert area.minimumWidth <= needed + 24


def test_tabbing_brings_each_field_into_sight(application: Any, panel: Any) -> None:
    qt, area = application.qt, panel.ui.panelScrollArea
    panel.ui.inputSelector.findChild(qt.QComboBox).setFocus()
    seen = []
    for _ in range(40):
        focused = application.app.focusWidget()
        if not panel.ui.panelContents.isAncestorOf(focused) or focused in seen:
            break
        seen.append(focused)
        corner = focused.mapTo(area.viewport(), qt.QPoint(0, 0))
        assert corner.y() >= 0, focused.objectName
        assert corner.y() + min(focused.height, 24) <= area.viewport().height
        application.key(focused, qt.Qt.Key.Key_Tab)
    assert len(seen) > 12
    assert area.verticalScrollBar().value > 0


def test_the_wheel_scrolls_over_boxes_and_changes_nothing(application: Any, panel: Any) -> None:
    qt, area = application.qt, panel.ui.panelScrollArea
    panel.ui.questionEdit.setFocus()
    bar = area.verticalScrollBar()
    for box, value in (("planeSelector", "currentIndex"), ("lengthSpinBox", "value")):
        widget = getattr(panel.ui, box)
        area.ensureWidgetVisible(widget)
        bar.value -= 60
        before, place = getattr(widget, value), bar.value
        application.wheel(widget, -1)
        assert getattr(widget, value) == before
        assert bar.value > place, box
        assert not widget.hasFocus()
        widget.setFocus()
        application.wheel(widget, -1 if value == "currentIndex" else 1)
        assert getattr(widget, value) != before
    model = panel.ui.inputSelector.findChild(qt.QComboBox)
    assert model.focusPolicy == qt.Qt.FocusPolicy.StrongFocus
