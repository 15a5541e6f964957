"""The module as shipped: it opens, reloads, and survives what Slicer does with modules."""

from __future__ import annotations

import pytest

from panel_kit import open_panel


@pytest.fixture
def panel(application):
    yield open_panel(application)
    application.unload_module("Med2E3Slicer")


def test_it_opens_with_the_notice(application, panel):
    assert "not for diagnosis" in panel.ui.noticeLabel.text
    assert panel.ui.noticeLabel.isVisible()
    application.screenshot("panel-first")
