"""Who observes the records is told of every change, once, and not in the middle of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed")

from fixtures import slicer_scenes as scenes
from med2e3_slicer.records import ExchangeStore

from test_records_text import EXCHANGE  # isort: skip


class Listener:
    """Reads the records whenever it is told, as the panel does."""

    def __init__(self, store: ExchangeStore) -> None:
        self.store = store
        self.seen: list[list[str]] = []
        self.stop = store.observe(self)

    def __call__(self) -> None:
        self.seen.append([each.text for each in self.store.exchanges()])

    def take(self) -> list[list[str]]:
        seen, self.seen = self.seen, []
        return seen


@pytest.fixture
def scene() -> Any:
    return scenes.new_scene()


def test_own_changes(scene: Any) -> None:
    store = ExchangeStore(scene)
    listener = Listener(store)
    stored = store.add(scenes.add_volume(scene), EXCHANGE)
    assert listener.take()[-1] == ["a"]
    store.update_review(stored, text="b", reviewed=False)
    assert listener.take() == [["b"]]
    store.remove(stored)
    assert listener.take() == [[]]
    listener.stop()
    listener.stop()
    store.add(None, EXCHANGE)
    assert listener.take() == []


def test_changes_by_others(scene: Any) -> None:
    store = ExchangeStore(scene)
    volume = scenes.add_volume(scene)
    stored = store.add(volume, EXCHANGE)
    listener = Listener(store)
    node = scene.GetNodeByID(stored.node_id)
    node.SetName("renamed")
    assert listener.take() == [["a"]]
    ExchangeStore(scene).update_review(stored, text="other", reviewed=False)
    assert listener.take()[-1] == ["other"]
    scene.RemoveNode(volume)
    assert listener.take()[-1] == ["other"]
    assert store.exchanges()[0].volume_id is None
    scene.RemoveNode(node)
    assert listener.take()[-1] == []
    node.SetName("gone from the scene")
    assert listener.take() == []
    foreign = scene.AddNewNodeByClass("vtkMRMLTextNode")
    foreign.SetText("x", 3)
    assert listener.take() == []


def test_undo(scene: Any) -> None:
    scene.SetUndoOn()
    store = ExchangeStore(scene)
    listener = Listener(store)
    store.add(scenes.add_volume(scene), EXCHANGE)
    listener.take()
    scene.Undo()
    assert listener.take()[-1] == []
    scene.Redo()
    assert listener.take()[-1] == ["a"]


@pytest.mark.parametrize("suffix", [".mrb", ".mrml"])
def test_close_and_load(scene: Any, tmp_path: Path, suffix: str) -> None:
    store = ExchangeStore(scene)
    store.add(scenes.add_volume(scene), EXCHANGE)
    path = tmp_path / f"scene{suffix}"
    (scenes.save_mrb if suffix == ".mrb" else scenes.save_mrml)(scene, path)
    listener = Listener(store)
    scene.Clear(False)
    seen = listener.take()
    assert seen
    assert seen[-1] == []
    scenes.load(scene, path)
    assert listener.take()[-1] == ["a"]
    scene.GetNodeByID(store.exchanges()[0].node_id).SetName("observed again")
    assert listener.take() == [["a"]]


def test_closed_store_observes_nothing(scene: Any) -> None:
    store = ExchangeStore(scene)
    stored = store.add(None, EXCHANGE)
    listener = Listener(store)
    store.close()
    store.close()
    scene.GetNodeByID(stored.node_id).SetName("x")
    assert listener.take() == []


def test_a_failing_listener_does_not_undo_the_change(scene: Any) -> None:
    store = ExchangeStore(scene)

    def fail() -> None:
        raise RuntimeError("the panel's fault")

    store.observe(fail)
    with pytest.raises(RuntimeError):
        store.add(None, EXCHANGE)
    assert len(store.exchanges()) == 1
