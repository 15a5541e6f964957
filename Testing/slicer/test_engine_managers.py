"""What Qt keeps for the engine's requests is gone before the application is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from engine_scene import LOGIC


def test_network_managers_end_when_slicer_quits():
    program = f"""
import sys
sys.path[:0] = [{str(Path(__file__).parent)!r}, {str(LOGIC)!r}]
from harness.start import start
application = start()
import qt
from med2e3_slicer.engine.http import manager_for
for here in (True, False):
    assert manager_for(this_computer=here) is manager_for(this_computer=here)
    manager_for(this_computer=here).connect("destroyed()", lambda: print("destroyed", flush=True))
qt.QTimer.singleShot(0, application.quit)
application.exec_()
print("over", flush=True)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=500
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == ["destroyed", "destroyed", "over"]
