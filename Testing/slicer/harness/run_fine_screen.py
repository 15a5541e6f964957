"""Run by a test with QT_SCALE_FACTOR=2: the panel and the strip on a screen with fine pixels."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parents[2] / "Med2E3Slicer" / "Logic")]

from harness.session import Session  # noqa: E402
from harness.start import start  # noqa: E402


def main() -> None:
    """Open the panel, show an answer, click the strip."""
    session = Session(start())
    session.begin("fine screen")
    from med2e3.asking import Question
    from panel_kit import choose, close_panel, open_panel, use_engine

    panel = open_panel(session, 350)
    use_engine(session)
    choose(session, panel, session.add_volume((40, 128, 128), 2.5))
    from med2e3_slicer.panel.selftest import add_exchange

    add_exchange(panel.volume, Question("In which plane is this CT?"), "axial")
    session.process()
    panel.ui.exchangesList.currentRow = 0
    session.wait(60)
    strip = panel._parts.display.strips.strip_in("Red")
    assert session.window.devicePixelRatioF() == 2.0
    (column,) = strip.columns
    across = column.across[1] - column.across[0]
    assert abs(across - 28) < 1, across  # twice the pixels of an ordinary screen
    canvas = session.slice_view("Red").VTKWidget()
    x, y = strip.cell_middle(3)
    session.click(canvas, round(x / 2), round(canvas.size.height() - 1 - y / 2))
    assert panel.ui.hotLabel.text.startswith("Slice 4 "), panel.ui.hotLabel.text
    session.screenshot("panel-fine-screen")
    close_panel(session)
    session.end()
    left = session.problems.take()
    assert not left, left


if __name__ == "__main__":
    main()
