"""The self-test that runs inside the real application: "Reload and Test" and ctest.

Knows how to look at the panel and the scene; needs no engine, no network and no main window.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import slicer

from med2e3.asking import Done, Question
from med2e3.notice import NOTICE
from med2e3.record import Exchange, ModelRecord, VolumeRecord, build_exchange
from med2e3_slicer.records import ExchangeStore, StoredExchange
from med2e3_slicer.volumes import copy_volume, make_model_input

#: what follows in the event loop has happened by then
_PATIENCE_S = 5.0


def add_volume(shape: tuple[int, int, int] = (48, 64, 64)) -> Any:
    """A block of tissue in air with something brighter in it.

    Args:
        shape: voxels, KJI order; 3 mm apart along K, 4 mm along J and I.
    """
    k, j, i = shape
    voxels = np.full(shape, -1000, np.int16)
    voxels[:, j // 6 : -j // 6, i // 6 : -i // 6] = 40
    voxels[k // 2 : k // 2 + 4, j // 3 : j // 2, i // 3 : i // 2] = 300
    return slicer.util.addVolumeFromArray(
        voxels, ijkToRAS=np.diag([-4.0, -4.0, 3.0, 1.0]), name="CT"
    )


def add_exchange(volume: Any, question: Question, answer: str) -> StoredExchange:
    """A record in the scene as a question leaves it; its scores are made up and say so."""
    model_input = make_model_input(copy_volume(volume), (32, 64, 64))
    raw = np.exp(-(((np.arange(32) - 17) / 3.0) ** 2)) + 0.2
    done = Done(answer, (1,), (0.5,), tuple(float(s) for s in raw / raw.sum()), "end")
    exchange = build_exchange(
        question,
        done,
        slices=model_input.slice_map.slices,
        model=ModelRecord("self-test", None, "0" * 64, notice="Made up by the self-test."),
        volume=VolumeRecord(model_input.sha256, model_input.voxels.shape),
        preprocessing=model_input.preprocessing,
        generation={},
    )
    return ExchangeStore(slicer.mrmlScene).add(volume, exchange)


def test_notice_is_shown(case: Any) -> None:
    """The notice stands in the panel, above what scrolls."""
    panel = _panel()
    area = panel.ui.panelScrollArea
    case.assertIn(NOTICE, panel.ui.noticeLabel.text)
    case.assertFalse(area.isAncestorOf(panel.ui.noticeFrame))
    case.assertTrue(area.isAncestorOf(panel.ui.askButton))
    needed = panel.ui.panelContents.property("minimumSizeHint").width()
    case.assertGreaterEqual(area.minimumWidth, needed)


def test_volume_is_examined(case: Any) -> None:
    """A chosen volume is described, and its warnings are shown."""
    panel, volume = _panel(), add_volume()
    panel.ui.inputSelector.setCurrentNode(volume)
    _let_happen(lambda: panel.presenter.state.has_volume and panel.ui.volumeSummaryLabel.text)
    case.assertIn("64 × 64 × 48", panel.ui.volumeSummaryLabel.text)
    case.assertTrue(panel.presenter.state.has_volume)


def test_exchange_is_listed_and_edited(case: Any) -> None:
    """An exchange of the scene is listed, shown, edited and reviewed; the answer itself stays."""
    panel, volume = _panel(), add_volume()
    stored = add_exchange(volume, Question("In which plane is this CT?"), "axial")
    case.assertEqual(panel.ui.exchangesList.count, 1)
    panel.exchanges.choose(stored.key)
    case.assertEqual(panel.ui.answerEdit.toPlainText(), "axial")
    panel.exchanges.edited("axial plane")
    panel.exchanges.set_reviewed(True)
    changed: Exchange = panel.exchanges.current.exchange
    case.assertEqual(changed.answer, "axial")
    case.assertEqual(panel.exchanges.current.text, "axial plane")
    case.assertTrue(panel.exchanges.current.review.reviewed)


def test_closing_the_scene_empties_the_panel(case: Any) -> None:
    """After closing the scene nothing of it is left in the panel."""
    panel, volume = _panel(), add_volume()
    panel.exchanges.choose(add_exchange(volume, Question("Why?"), "because").key)
    slicer.mrmlScene.Clear(0)
    slicer.app.processEvents()
    case.assertEqual(panel.ui.exchangesList.count, 0)
    case.assertIsNone(panel.volume)
    case.assertIsNone(panel.exchanges.current)


def _let_happen(done: Callable[[], Any]) -> None:
    """Let the event loop run until something is so, for a few seconds at most."""
    end = time.monotonic() + _PATIENCE_S
    while not done() and time.monotonic() < end:
        slicer.app.processEvents()


def _panel() -> Any:
    return slicer.modules.med2e3slicer.widgetRepresentation().self().panel


TESTS = (
    test_notice_is_shown,
    test_volume_is_examined,
    test_exchange_is_listed_and_edited,
    test_closing_the_scene_empties_the_panel,
)
