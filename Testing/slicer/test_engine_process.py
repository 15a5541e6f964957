"""A child that does not do what the engine does: it is noticed, told of, and ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import pytest

from engine_scene import LOGIC, choice, processes_of, until

#: each stands for the engine's Python; what it is given (child.py and so on) it ignores
CHILDREN = {
    "ends": "import sys; print('no disk', file=sys.stderr); sys.exit(3)",
    "endless line": "import time\nwhile True: print('x' * 4096, end='', flush=True)",
    "nonsense": "print('hello?', flush=True)\nimport time; time.sleep(600)",
    "deaf": (
        "import os, subprocess, sys, time\n"
        "os.setsid()\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print('line', flush=True)\n"
        "time.sleep(600)"
    ),
    "parent dies": (
        "import os, subprocess, sys\n"
        "os.setsid()\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print('line', flush=True)\n"
        "os.kill(os.getpid(), 9)"
    ),
    # as PythonSlicer: a launcher, whose child leads a group and is the engine
    "behind a launcher": (
        "import subprocess, sys\n"
        "subprocess.run([sys.executable, '-c', 'import os, time; os.setsid(); '\n"
        "    'print(os.getpid(), flush=True); time.sleep(600)'])"
    ),
    "talks": (
        "import sys, time\n"
        "print('line', flush=True)\n"
        "for n in range(20000): print('words', n, file=sys.stderr); print('more')\n"
        "sys.exit(1)"
    ),
}


@pytest.fixture
def start(application, tmp_path):
    from med2e3_slicer.engine import EngineCommand, EngineProcess

    made = []

    def begin(name):
        script = tmp_path / "python"
        script.write_text(f"#!{sys.executable}\n{CHILDREN[name]}\n", encoding="utf-8")
        script.chmod(0o755)
        lines, ends = [], []
        process = EngineProcess(EngineCommand(script, ()), lines.append, ends.append)
        made.append(process)
        process.start()
        return process, lines, ends

    yield begin
    for process in made:
        process.kill()


def test_one_that_ends_while_it_starts(application, start):
    _, lines, ends = start("ends")
    until(application, lambda: ends)
    assert not lines
    assert "exit code 3" in str(ends[0])
    assert "while it started" in str(ends[0])
    assert ends[0].detail == "no disk"


def test_one_that_never_ends_its_line(application, start):
    process, lines, ends = start("endless line")
    group = process.pid
    until(application, lambda: ends)
    assert not lines
    assert not processes_of(group)


def test_one_that_does_not_hear_is_ended_with_what_it_started(application, start):
    process, lines, ends = start("deaf")
    until(application, lambda: lines)
    group = process.pid
    until(application, lambda: len(processes_of(group)) == 2)
    process.stop()
    until(application, lambda: ends)
    assert ends == [None]
    until(application, lambda: not processes_of(group))


def test_ending_at_exit_is_at_once(application, start):
    process, lines, ends = start("deaf")
    until(application, lambda: lines)
    group = process.pid
    until(application, lambda: len(processes_of(group)) == 2)
    process.kill()
    assert ends == [None]
    until(application, lambda: not processes_of(group))


def test_slicers_own_python_is_ended_behind_its_launcher(application, start):
    process, lines, ends = start("behind a launcher")
    until(application, lambda: lines)
    group = int(lines[0])
    assert group != process.pid
    assert processes_of(group) == [group]
    process.kill()
    assert ends == [None]
    until(application, lambda: not processes_of(group))


def test_on_windows_the_system_ends_the_whole_tree(application, monkeypatch):
    from med2e3_slicer.engine import tree

    ran = []
    monkeypatch.setattr(tree, "sys", types.SimpleNamespace(platform="win32"))
    monkeypatch.setattr(tree.subprocess, "CREATE_NO_WINDOW", 0x08000000, raising=False)
    monkeypatch.setattr(tree.subprocess, "run", None)  # it would be waited for
    monkeypatch.setattr(tree.subprocess, "Popen", lambda command, **_: ran.append(command))
    monkeypatch.setenv("SYSTEMROOT", "C:/Windows")
    tree.kill_tree(4711)
    ((program, *arguments),) = ran
    assert program.startswith("C:/Windows")  # never one that lies in the working folder
    assert program.endswith("taskkill.exe")
    assert arguments == ["/F", "/T", "/PID", "4711"]


def test_what_outlives_a_crashed_engine_is_ended(application, start):
    from med2e3_slicer.engine import EngineLost

    process, _, ends = start("parent dies")
    group = process.pid
    until(application, lambda: ends)
    assert isinstance(ends[0], EngineLost)
    assert "crashed" in str(ends[0])
    until(application, lambda: not processes_of(group))


def test_words_are_kept_within_bounds(application, start):
    process, _, ends = start("talks")
    until(application, lambda: ends)
    assert len(process.details) < 40_000
    assert process.details.endswith("words 19999")


def test_nonsense_instead_of_an_address(application, tmp_path):
    from med2e3_slicer.engine import Consents, EngineControl, EngineSettings, EngineState

    script = tmp_path / "python"
    script.write_text(f"#!{sys.executable}\n{CHILDREN['nonsense']}\n", encoding="utf-8")
    script.chmod(0o755)
    settings = EngineSettings(
        application.qt.QSettings(str(tmp_path / "s.ini"), application.qt.QSettings.IniFormat)
    )
    control = EngineControl(choice(python=script), Consents(settings))
    errors = []
    control.when_ready(lambda *_: errors.append("ready?"), errors.append)
    group = control.pid
    until(application, lambda: errors)
    assert "did not start" in str(errors[0])
    assert control.state is EngineState.CRASHED
    until(application, lambda: not processes_of(group))
    control.shutdown()


def test_slicer_dies_and_the_engine_ends_by_itself(tmp_path):
    """Nobody is left to end it: its input closes, and that is enough."""
    program = f"""
import os, sys
from pathlib import Path
sys.path[:0] = [{str(Path(__file__).parent)!r}, {str(LOGIC)!r}]
from harness.start import start
application = start()
import qt
from engine_scene import choice, settings_file
from med2e3_slicer.engine import Consents, EngineControl, EngineSettings
settings = EngineSettings(settings_file(qt, Path({str(tmp_path)!r})))
control = EngineControl(choice(), Consents(settings))
def ready(client, capabilities):
    print(control.pid, flush=True)
    os.kill(os.getpid(), 9)
control.when_ready(ready, lambda error: print(error, flush=True))
application.exec_()
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=500
    )
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
    group = int(done.stdout.split()[-1])
    try:
        for _ in range(600):
            if not processes_of(group):
                break
            time.sleep(0.1)
        assert not processes_of(group)
    finally:
        for left in processes_of(group):
            os.kill(left, signal.SIGKILL)


def test_slicer_quits_and_nothing_is_left(tmp_path):
    """``aboutToQuit`` ends the engine in the middle of its work."""
    program = f"""
import sys
from pathlib import Path
sys.path[:0] = [{str(Path(__file__).parent)!r}, {str(LOGIC)!r}]
from harness.start import start
application = start()
import qt
from engine_scene import choice, settings_file
from med2e3_slicer.engine import Consents, EngineControl, EngineSettings
settings = EngineSettings(settings_file(qt, Path({str(tmp_path)!r})))
control = EngineControl(choice(), Consents(settings))
def state(now):
    if now.value == "loading":
        print(control.pid, flush=True)
        application.quit()
control.when_ready(lambda *_: None, lambda error: print(error, flush=True), state)
application.exec_()
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=500
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert not processes_of(int(done.stdout.split()[-1]))
