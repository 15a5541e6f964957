"""Work beside the event loop: it comes to its end, and the main thread is not held up."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
import threading
import time

import numpy as np
import pytest

from engine_scene import Heard, choice, settings_file, until


def test_the_result_and_the_failure_arrive_on_the_main_thread(application):
    from med2e3.errors import InputError
    from med2e3_slicer.engine import Background

    got = []

    def note(value):
        got.append((value, threading.current_thread() is threading.main_thread()))

    def fail(stopped):
        raise InputError("no")

    def break_(stopped):
        raise KeyError("patient")

    Background(lambda stopped: threading.current_thread().name, note, note)
    Background(fail, note, note)
    Background(break_, note, note)
    until(application, lambda: len(got) == 3)
    assert all(on_main for _, on_main in got)
    values = {type(value).__name__: value for value, _ in got}
    assert values["str"] != "MainThread"
    assert values["InputError"].sentence == "no"
    assert "fault in this program" in str(values["Med2E3Error"])
    assert "KeyError" in values["Med2E3Error"].detail


def test_cancelled_work_is_told_at_once_and_its_result_dropped(application):
    from med2e3.errors import Cancelled
    from med2e3_slicer.engine import Background
    from med2e3_slicer.engine.background import _running

    go = threading.Event()
    saw = []

    def work(stopped):
        go.wait()
        saw.append(stopped.is_set())
        return "late"

    got = []
    background = Background(work, got.append, got.append)
    background.cancel()
    background.cancel()
    assert [type(value) for value in got] == [Cancelled]
    go.set()
    until(application, lambda: not _running)
    assert saw == [True]
    assert len(got) == 1


def test_a_thread_gets_turns_where_the_event_loop_keeps_pythons_lock(application):
    """Slicer's idle loop holds the lock; PySide's does not, so it is held here on purpose."""
    if sys.platform != "linux":
        pytest.skip("needs usleep of the C library")
    from med2e3_slicer.engine import Background

    hold = ctypes.PyDLL(None).usleep  # PyDLL keeps the lock, as Slicer's loop does
    held_s = 0.3
    ticks = []
    was_held = threading.Event()

    def work(stopped):
        while not was_held.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.001)
        for _ in range(20):
            np.ones((64, 64)).sum()
            time.sleep(0)
        return "done"

    got = []
    background = Background(work, got.append, got.append)
    background._timer.stop()  # its turns are given by hand below
    time.sleep(0.05)
    hold(int(held_s * 1e6))
    time.sleep(0.05)
    was_held.set()
    assert np.diff(ticks).max() >= 0.9 * held_s, "without a turn nothing happens"
    for _ in range(2000):
        if got:
            break
        hold(1000)
        background._give_a_turn()
    assert got == ["done"]


def test_steps_leave_room_for_everything_else(application):
    from med2e3.errors import Cancelled
    from med2e3_slicer.engine import Steps

    seen = []

    def count():
        for number in range(5):
            seen.append(number)
            yield number / 5
        return "all"

    other = []
    timer = application.qt.QTimer()
    timer.setInterval(0)
    timer.connect("timeout()", lambda: other.append(len(seen)))
    timer.start()
    got = []
    Steps(count(), got.append, got.append)
    until(application, lambda: got)
    timer.stop()
    assert got == ["all"]
    assert len(set(other)) > 2, "other things happened between the steps"

    closed = []

    def endless():
        try:
            while True:
                yield 0.0
        finally:
            closed.append(True)

    stopped = Steps(endless(), got.append, got.append)
    application.wait(20)
    stopped.cancel()
    stopped.cancel()
    assert closed == [True]
    assert [type(value) for value in got[1:]] == [Cancelled]


class Pulse:
    """Notes the longest time between two turns of the event loop, and the work done in it."""

    def __init__(self, qt):
        self.longest_work_s = 0.0
        self.longest_s = 0.0
        self._last = (time.thread_time(), time.perf_counter())
        self._timer = qt.QTimer()
        self._timer.setInterval(5)
        self._timer.connect("timeout()", self._beat)
        self._timer.start()

    def _beat(self):
        now = (time.thread_time(), time.perf_counter())
        work, wall = (new - old for new, old in zip(now, self._last, strict=True))
        self.longest_work_s = max(self.longest_work_s, work)
        self.longest_s = max(self.longest_s, wall)
        self._last = now

    def stop(self):
        self._timer.stop()


def is_quiet():
    """Whether a thread that is ready to run runs at once, so that waits can be measured."""
    return os.getloadavg()[0] < 0.75 * (os.cpu_count() or 1)


def test_the_main_thread_never_waits_longer_than_50_ms(application, tmp_path):
    """From pressing the button to the record in the scene, with a volume of 60 million voxels."""
    from med2e3_slicer.engine import EngineSettings
    from med2e3_slicer.logic import Med2E3Logic

    volume = application.add_volume((230, 512, 512), spacing=0.7)
    settings = EngineSettings(settings_file(application.qt, tmp_path))
    settings.save(choice())
    logic = Med2E3Logic(settings)
    application.wait(500)  # the views draw the new volume
    heard = Heard()
    gc.collect()
    gc.freeze()  # looking through all objects of this process takes 50 ms by itself
    pulse = Pulse(application.qt)
    logic.report_async(volume, listener=heard, max_new_tokens=12)
    until(application, lambda: heard.is_over)
    application.wait(50)
    pulse.stop()
    gc.unfreeze()
    logic.shutdown()
    assert heard.exchange.answer
    assert "preparing" in heard.stages
    assert pulse.longest_work_s <= 0.050
    # a busy machine makes every thread wait, so there this says nothing of ours
    assert pulse.longest_s <= 0.050 or not is_quiet()
