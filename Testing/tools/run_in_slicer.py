"""Run the module's own test inside the real application and keep a picture of its window.

One line, with any Python::

    python Testing/tools/run_in_slicer.py /path/to/Slicer

It starts Slicer with this checkout's module and with this file as its script, prints what the test
printed, and ends with 0 when all tests passed.  Pictures go to the folder ``slicer-pictures`` or to
``MED2E3_SCREENSHOTS``.  Settings and extensions of the person who runs it are left alone.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import unittest
from pathlib import Path
from typing import Any

NAME = "Med2E3Slicer"


def launch(slicer: str) -> int:
    """Start Slicer; return its exit code."""
    here = Path(__file__).resolve()
    module = here.parents[2] / NAME
    pictures = Path(os.environ.get("MED2E3_SCREENSHOTS", "slicer-pictures")).resolve()
    arguments = [
        slicer,
        "--testing",
        "--no-splash",
        "--ignore-slicerrc",
        "--disable-cli-modules",
        "--additional-module-paths",
        str(module),
        "--python-script",
        str(here),
    ]
    environment = dict(os.environ, MED2E3_SCREENSHOTS=str(pictures))
    return subprocess.run(arguments, env=environment, check=False).returncode


def picture(slicer: Any, name: str) -> None:
    """Save the main window as PNG, if there is one."""
    window = slicer.util.mainWindow()
    if window is None:
        return
    folder = Path(os.environ.get("MED2E3_SCREENSHOTS", "slicer-pictures"))
    folder.mkdir(parents=True, exist_ok=True)
    slicer.app.processEvents()
    slicer.util.forceRenderAllViews()
    window.grab().save(str(folder / f"{name}.png"))


def test(slicer: Any) -> int:
    """Open the module, run its test class; return 0 when all passed."""
    if not hasattr(slicer.modules, NAME.lower()):
        print(f"{NAME} was not found; is its folder among the additional module paths?")
        return 1
    if slicer.util.mainWindow() is not None:
        slicer.util.selectModule(NAME)
    picture(slicer, "slicer-opened")
    case = getattr(importlib.import_module(NAME), NAME + "Test")
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(
        unittest.TestLoader().loadTestsFromTestCase(case)
    )
    picture(slicer, "slicer-tested")
    passed = result.testsRun > 0 and result.wasSuccessful()
    print("passed" if passed else "FAILED")
    return 0 if passed else 1


def main() -> None:
    """In Slicer: test and end it.  Elsewhere: start Slicer."""
    if "slicer" in sys.modules and hasattr(sys.modules["slicer"], "app"):
        slicer = sys.modules["slicer"]
        slicer.util.exit(test(slicer))
    elif len(sys.argv) != 2:
        print(__doc__)
        sys.exit(2)
    else:
        sys.exit(launch(sys.argv[1]))


if __name__ == "__main__":
    main()
