"""Fixtures of the headless Slicer: see ``README.md`` in this folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
sys.path[:0] = [
    each for each in (str(HERE), str(REPOSITORY / "Med2E3Slicer" / "Logic")) if each not in sys.path
]

from harness.start import missing, start  # noqa: E402

if not missing():
    from harness import i18n

    # in Slicer it is there before anything is imported; tests import the package when collected
    sys.modules["slicer.i18n"] = sys.modules["slicer"].i18n = i18n


def pytest_configure(config: pytest.Config) -> None:
    """Qt 6 calls deprecated what Qt 5 has nothing else for, such as ``QMouseEvent.pos``."""
    config.addinivalue_line("filterwarnings", "ignore:.*is marked as deprecated:DeprecationWarning")


@pytest.fixture(scope="session")
def _started() -> Any:
    reason = missing()
    if reason:
        if os.environ.get("MED2E3_REQUIRE_SLICER_HARNESS"):
            pytest.fail(reason)
        pytest.skip(reason)
    from harness.session import Session

    app = start()
    return Session(app)


def _own_modules() -> dict[str, Any]:
    own = ("med2e3", "med2e3_slicer")
    return {name: module for name, module in sys.modules.items() if name.split(".")[0] in own}


@pytest.fixture(autouse=True)
def _packages_stay() -> Iterator[None]:
    """Tests that load the packages anew, as Slicer's Reload does, leave the others their own."""
    before = _own_modules()
    yield
    if any(sys.modules.get(name) is not module for name, module in before.items()):
        for name in _own_modules():
            del sys.modules[name]
        sys.modules.update(before)


@pytest.fixture
def application(_started: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The application with an empty scene; the test fails for problems that it left.

    Its attributes: ``slicer``, ``qt``, ``ctk``, ``vtk``, ``app``, ``window``, ``problems``,
    ``dialogs``; its methods: see ``harness/session.py``.
    """
    _started.begin(request.node.name)
    yield _started
    _started.end()
    left = _started.problems.take()
    assert not left, "Slicer would have printed only this:\n" + "\n".join(left)


@pytest.fixture
def event_loop_watch(application: Any) -> Iterator[Any]:
    """Watches how long the event loop is busy while the test waits; see ``harness/watch.py``."""
    from harness.watch import EventLoopWatch

    watch = EventLoopWatch()
    application.watch = watch
    yield watch
    application.watch = None
    watch.stop()
