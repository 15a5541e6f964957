"""What Slicer's generic tests and "Reload and Test" do with a module, in a process of its own.

    python -m harness.run_module FILE [--no-main-window]

Knows: the module's file.  Does not know: what the module does.  Prints one JSON object; exits with
1 when something failed.
"""

from __future__ import annotations

import argparse
import json
import sys
import unittest
from pathlib import Path
from typing import Any


def steps(session: Any, file: Path, main_window: bool) -> dict[str, Any]:
    """Load the module, run its own test, give it a second scene, unload it."""
    from . import modules

    slicer = session.slicer
    name = file.stem
    listed = modules.load(file)
    told: dict[str, Any] = {"title": listed.title, "icon": listed.icon is not None}
    if main_window:
        slicer.util.selectModule(name)
    panel = listed.widgetRepresentation()
    session.process()
    told["children"] = len(panel.findChildren(session.qt.QWidget))
    told["test"] = own_test(name)
    session.process()
    if main_window:
        told["screenshot"] = str(session.screenshot("module-from-listed-files"))
    with session.second_scene():
        panel.setMRMLScene(slicer.mrmlScene)
        session.add_volume(name="Second")
        session.process()
    panel.setMRMLScene(slicer.mrmlScene)
    session.process()
    session.unload_module(name)
    told["files"] = sorted(
        str(Path(str(module.__file__)).resolve())
        for module_name, module in sys.modules.items()
        if module_name.split(".")[0].startswith("med2e3") and getattr(module, "__file__", None)
    )
    told["heavy"] = sorted({"torch", "transformers"} & set(sys.modules))
    told["problems"] = session.problems.take()
    return told


def own_test(name: str) -> list[str]:
    """Run the module's test class as Slicer's ctest does; return what failed."""
    suite = unittest.TestLoader().loadTestsFromTestCase(getattr(sys.modules[name], name + "Test"))
    result = unittest.TextTestRunner(stream=sys.stderr).run(suite)
    if result.testsRun == 0:
        return ["the module has no tests"]
    return [text for _, text in [*result.failures, *result.errors]]


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("--no-main-window", action="store_true")
    chosen = parser.parse_args()
    from .start import start

    app = start()
    from .session import Session

    session = Session(app)
    app._testing = True
    if chosen.no_main_window:
        with session.no_main_window():
            told = steps(session, chosen.file, main_window=False)
    else:
        told = steps(session, chosen.file, main_window=True)
    print(json.dumps(told))
    return 1 if told["test"] or told["problems"] else 0


if __name__ == "__main__":
    sys.exit(main())
