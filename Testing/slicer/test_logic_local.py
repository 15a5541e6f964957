"""The logic with the real engine as its child: reports, answers, crashes, stopping, no orphans."""

from __future__ import annotations

import pytest

from engine_scene import PATIENCE_S, Heard, choice, kill, processes_of, settings_file


@pytest.fixture
def logic(application, tmp_path):
    from med2e3_slicer.engine import EngineSettings
    from med2e3_slicer.logic import Med2E3Logic

    settings = EngineSettings(settings_file(application.qt, tmp_path))
    settings.save(choice())
    made = Med2E3Logic(settings)
    yield made
    group = made.engine.pid
    made.shutdown()
    if group:
        application.wait_until(lambda: not processes_of(group), 15)


def test_a_report_is_written_and_stored(application, logic):
    volume = application.add_volume()
    exchange = logic.report(volume, max_new_tokens=8)
    assert exchange.answer
    assert exchange.task == "report"
    assert len(exchange.scores) == 32
    assert abs(sum(exchange.scores) - 1) < 1e-4
    assert exchange.notice.startswith("AI-generated")
    assert logic.exchanges(volume) == [exchange]
