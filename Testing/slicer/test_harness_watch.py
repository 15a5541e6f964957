"""The watch of the event loop tells waiting from computing and says where it was."""

from __future__ import annotations

import time


def a_handler_that_waits():
    time.sleep(0.12)


def test_a_wait_in_a_handler_is_seen_and_named(application, event_loop_watch):
    application.qt.QTimer.singleShot(0, a_handler_that_waits)
    application.wait(300)
    found = event_loop_watch.blocking("a_handler_that_waits")
    assert found
    longest = max(event_loop_watch.turns, key=lambda turn: turn.wall_ms)
    assert longest.waits >= 1
    assert longest.idle_ms >= 100


def test_an_idle_loop_has_no_blocking_code(application, event_loop_watch):
    application.wait(200)
    assert event_loop_watch.turns
    assert not event_loop_watch.blocking("a_handler_that_waits")


def test_what_the_test_does_itself_is_not_counted(application, event_loop_watch):
    application.wait(30)
    a_handler_that_waits()
    application.wait(30)
    assert not event_loop_watch.blocking("a_handler_that_waits")
