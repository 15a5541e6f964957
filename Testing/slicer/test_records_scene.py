"""Records in real MRML scenes: added, saved, loaded, reviewed, removed, undone."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed")

import slicer
import slicer.util

from fixtures import slicer_scenes as scenes
from med2e3.asking import Question
from med2e3.errors import InputError
from med2e3.record import Exchange, schema
from med2e3_slicer.records import ExchangeStore
from med2e3_slicer.volumes import copy_volume, make_model_input

LOGIC = Path(__file__).resolve().parents[2] / "Med2E3Slicer" / "Logic"


@pytest.fixture(scope="module")
def exchange() -> Exchange:
    """A report of the embedded model about the body of the scenes."""
    volume = scenes.add_volume(scenes.new_scene())
    return scenes.ask(make_model_input(copy_volume(volume), scenes.INPUT_SIZE), Question.report())


@pytest.fixture
def scene() -> Any:
    return scenes.new_scene()


@pytest.fixture(params=[".mrb", ".mrml"])
def saved(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """A function that saves a scene and gives the file."""

    def save(scene: Any) -> Path:
        folder = tmp_path / f"scene {len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        path = folder / f"scene{request.param}"
        (scenes.save_mrb if request.param == ".mrb" else scenes.save_mrml)(scene, path)
        return path

    return save


def test_a_record_is_text_and_table_of_the_volume(scene: Any, exchange: Exchange) -> None:
    volume = scenes.add_volume(scene)
    study = scenes.add_study(scene, volume)
    stored = ExchangeStore(scene).add(volume, exchange)

    text = scene.GetNodeByID(stored.node_id)
    table = text.GetNodeReference("Med2E3.scores")
    assert text.GetNodeReferenceID("Med2E3.inputVolume") == volume.GetID()
    assert table.GetNodeReferenceID("Med2E3.inputVolume") == volume.GetID()
    jsonschema.validate(json.loads(text.GetText()), schema())
    names = [table.GetColumnName(index) for index in range(table.GetNumberOfColumns())]
    assert names == ["slice", "position_mm", "score", "relative"]
    assert slicer.util.arrayFromTableColumn(table, "slice").tolist() == list(range(1, 33))
    scores = slicer.util.arrayFromTableColumn(table, "score")
    assert scores.tolist() == list(exchange.scores)
    np.testing.assert_allclose(slicer.util.arrayFromTableColumn(table, "relative"), scores * 32)
    heights = slicer.util.arrayFromTableColumn(table, "position_mm")
    assert heights.tolist() == [place.position_ras_mm[2] for place in exchange.slices]
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    for node in (text, table):
        assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) == study
        assert not node.GetHideFromEditors()
        assert node.GetSaveWithScene()


def test_nothing_of_the_patient_in_names_and_attributes(scene: Any, exchange: Exchange) -> None:
    volume = scenes.add_volume(scene, name="Mustermann^Erika 1970-01-01")
    scenes.add_study(scene, volume)
    volume.SetAttribute("DICOM.instanceUIDs", "1.2.840.999")
    stored = ExchangeStore(scene).add(volume, exchange)
    text = scene.GetNodeByID(stored.node_id)
    assert text.GetName() == "Med-2E3 report 1"
    for node in (text, text.GetNodeReference("Med2E3.scores")):
        names = list(node.GetAttributeNames())
        assert all(name.startswith("Med2E3.") for name in names)
        said = " ".join([node.GetName(), node.GetText() if node is text else ""])
        said += " ".join(node.GetAttribute(name) for name in names)
        for secret in ("Mustermann", "1970", "1.2.840", "20210304"):
            assert secret not in said


def test_saved_and_loaded(scene: Any, exchange: Exchange, saved: Any) -> None:
    volume = scenes.add_volume(scene)
    scenes.add_study(scene, volume)
    store = ExchangeStore(scene)
    first = store.add(volume, exchange)
    store.add(volume, replace(exchange, task="open_vqa", question="Was sieht man? é你😀"))
    store.update_review(first, text='Edited: nothing.\nSecond line <&> "é"', reviewed=True)
    before = store.exchanges(volume)
    path = saved(scene)

    scene.Clear(False)
    assert store.exchanges() == ()
    scenes.load(scene, path)
    volume = scene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
    after = store.exchanges(volume)
    assert [each.exchange for each in after] == [each.exchange for each in before]
    assert [each.review for each in after] == [each.review for each in before]
    assert [each.key for each in after] == [each.key for each in before]
    assert not any(each.moved for each in after)
    assert after[1].text == 'Edited: nothing.\nSecond line <&> "é"'
    assert after[1].exchange.answer == exchange.answer
    hottest = exchange.top_slices(1)[0]
    place = after[0].slice_map.slices[hottest].position_lps_mm
    assert after[0].slice_map.nearest(place) == hottest
    table = scene.GetNodeByID(after[1].node_id).GetNodeReference("Med2E3.scores")
    column = slicer.util.arrayFromTableColumn(table, "score")
    np.testing.assert_allclose(column, exchange.scores, rtol=1e-5)


def test_saved_again_after_loading(scene: Any, exchange: Exchange, saved: Any) -> None:
    store = ExchangeStore(scene)
    store.observe(lambda: None)
    store.add(scenes.add_volume(scene), exchange)
    scenes.load(scene, saved(scene))
    store.update_review(store.exchanges()[0], text="second", reviewed=False)
    path = saved(scene)
    # a loaded text would get a file of its own, which a person can leave out when saving
    assert scene.GetNumberOfNodesByClass("vtkMRMLTextStorageNode") == 0
    store.close()
    other = scenes.new_scene()
    scenes.load(other, path)
    (stored,) = ExchangeStore(other).exchanges()
    assert (stored.text, stored.exchange) == ("second", exchange)


def test_restored_without_engine_and_torch(scene: Any, exchange: Exchange, saved: Any) -> None:
    ExchangeStore(scene).add(scenes.add_volume(scene), exchange)
    path = saved(scene)
    code = """
import sys
sys.modules["torch"] = sys.modules["transformers"] = None  # importing them would fail
from harness import i18n
sys.modules["slicer.i18n"] = slicer.i18n = i18n  # Slicer has it, slicer-core has not
from pathlib import Path
from fixtures import slicer_scenes as scenes
from med2e3_slicer.records import ExchangeStore
scene = scenes.new_scene()
scenes.load(scene, Path(sys.argv[1]))
(stored,) = ExchangeStore(scene).exchanges(scene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode"))
print(len(stored.slice_map), stored.exchange.top_slices(1)[0])
"""
    testing = LOGIC.parents[1] / "Testing"
    path_list = [str(LOGIC), str(testing), str(testing / "slicer")]
    run = subprocess.run(
        [sys.executable, "-c", f"import slicer, sys; sys.path += {path_list!r}\n{code}", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout.split() == ["32", str(exchange.top_slices(1)[0])], run.stderr


def test_newest_first_and_each_volume_its_own(scene: Any, exchange: Exchange) -> None:
    store = ExchangeStore(scene)
    one, two = scenes.add_volume(scene, name="one"), scenes.add_volume(scene, name="two")
    days = ["2026-03-01T10:00:00+00:00", "2026-03-02T10:00:00+00:00"]
    a = store.add(one, replace(exchange, created=days[1]))
    b = store.add(two, replace(exchange, created=days[0]))
    c = store.add(one, replace(exchange, created=days[1]))
    assert [each.key for each in store.exchanges(one)] == [c.key, a.key]
    assert [each.key for each in store.exchanges(two)] == [b.key]
    assert [each.key for each in store.exchanges()] == [c.key, a.key, b.key]


def test_two_scenes_do_not_mix(scene: Any, exchange: Exchange) -> None:
    other = scenes.new_scene()
    volume, other_volume = scenes.add_volume(scene), scenes.add_volume(other)
    store, other_store = ExchangeStore(scene), ExchangeStore(other)
    stored = store.add(volume, exchange)
    assert other_store.exchanges() == ()
    with pytest.raises(InputError, match="another scene"):
        store.add(other_volume, exchange)
    other_store.add(other_volume, exchange)
    other_store.remove(stored)  # the same node id, another record
    assert len(other_store.exchanges()) == len(store.exchanges()) == 1


def test_volume_deleted(scene: Any, exchange: Exchange, saved: Any) -> None:
    volume = scenes.add_volume(scene, name="Mustermann^Erika")
    store = ExchangeStore(scene)
    store.add(volume, exchange)
    scene.RemoveNode(volume)
    (stored,) = store.exchanges()
    assert (stored.exchange, stored.volume_id, stored.moved) == (exchange, None, False)
    assert "Mustermann" not in scene.GetNodeByID(stored.node_id).GetText()
    scenes.load(scene, saved(scene))
    (stored,) = store.exchanges()
    assert (stored.exchange, stored.volume_id) == (exchange, None)


def test_answer_for_a_volume_that_went_while_it_was_given(scene: Any, exchange: Exchange) -> None:
    volume = scenes.add_volume(scene)
    scene.RemoveNode(volume)
    stored = ExchangeStore(scene).add(volume, exchange)
    assert (stored.exchange, stored.volume_id) == (exchange, None)


def test_a_record_saved_without_its_volume_takes_no_other(
    scene: Any, exchange: Exchange, tmp_path: Path
) -> None:
    volume = scenes.add_volume(scene)
    ExchangeStore(scene).add(volume, exchange)
    path = tmp_path / "scene.mrml"
    scenes.save_mrml(scene, path)
    text = path.read_text(encoding="utf-8")
    start = text.index("<Volume\n") if "<Volume\n" in text else text.index("<Volume ")
    end = text.index("</Volume>") + len("</Volume>")
    path.write_text(text[:start] + text[end:], encoding="utf-8")

    other = scenes.new_scene()
    stranger = scenes.add_volume(other, name="another patient")
    assert stranger.GetID() == volume.GetID()
    scenes.import_into(other, path)
    store = ExchangeStore(other)
    assert len(store.exchanges()) == 1
    assert store.exchanges(stranger) == ()


def test_imported_beside_another_record(scene: Any, exchange: Exchange, saved: Any) -> None:
    store = ExchangeStore(scene)
    store.add(scenes.add_volume(scene), exchange)
    path = saved(scene)
    other = scenes.new_scene()
    other_store = ExchangeStore(other)
    mine = scenes.add_volume(other)
    other_store.add(mine, replace(exchange, answer="mine"))
    scenes.import_into(other, path)
    assert len(other_store.exchanges()) == 2
    assert [each.text for each in other_store.exchanges(mine)] == ["mine"]
    theirs = other.GetNthNodeByClass(1, "vtkMRMLScalarVolumeNode")
    assert [each.exchange for each in other_store.exchanges(theirs)] == [exchange]


def test_renaming_changes_nothing_else(scene: Any, exchange: Exchange, saved: Any) -> None:
    volume = scenes.add_volume(scene)
    store = ExchangeStore(scene)
    stored = store.add(volume, exchange)
    scene.GetNodeByID(stored.node_id).SetName('Befund / é: "x"')
    scene.GetNodeByID(stored.node_id).GetNodeReference("Med2E3.scores").SetName("a/b\\c")
    volume.SetName("renamed")
    assert store.exchanges(volume) == (stored,)
    scenes.load(scene, saved(scene))
    assert [each.exchange for each in store.exchanges()] == [exchange]


def test_a_moved_volume_is_told(scene: Any, exchange: Exchange) -> None:
    volume = scenes.add_volume(scene)
    store = ExchangeStore(scene)
    store.add(volume, exchange)
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    volume.SetAndObserveTransformNodeID(transform.GetID())
    assert not store.exchanges()[0].moved
    matrix = slicer.util.vtkMatrixFromArray(np.diag([1.0, 1, 1, 1]) + np.eye(4, k=3) * 5)
    transform.SetMatrixTransformToParent(matrix)
    assert store.exchanges()[0].moved


def test_review_is_kept_beside_the_answer(scene: Any, exchange: Exchange) -> None:
    store = ExchangeStore(scene)
    stored = store.add(scenes.add_volume(scene), exchange)
    assert (stored.text, stored.is_edited, stored.review.changed) == (exchange.answer, False, "")
    edited = store.update_review(stored, text="A person's text.", reviewed=False)
    assert (edited.text, edited.is_edited, edited.review.reviewed) == (
        "A person's text.",
        True,
        False,
    )
    assert edited.exchange == exchange
    assert edited.review.changed
    reviewed = store.update_review(edited, text=exchange.answer, reviewed=True)
    assert (reviewed.is_edited, reviewed.review.reviewed) == (False, True)
    assert store.reload(stored) == reviewed
    jsonschema.validate(json.loads(scene.GetNodeByID(stored.node_id).GetText()), schema())


def test_review_keeps_what_a_newer_version_wrote(scene: Any, exchange: Exchange) -> None:
    store = ExchangeStore(scene)
    stored = store.add(scenes.add_volume(scene), exchange)
    node = scene.GetNodeByID(stored.node_id)
    values = json.loads(node.GetText()) | {"schema_version": "1.7", "later": [1, 2]}
    values["exchanges"][0]["new_key"] = "kept"
    node.SetText(json.dumps(values), 3)
    store.update_review(stored, text="x", reviewed=True)
    after = json.loads(node.GetText())
    assert (after["schema_version"], after["later"]) == ("1.7", [1, 2])
    assert after["exchanges"] == values["exchanges"]


def test_removed_with_everything_that_belongs_to_it(
    scene: Any, exchange: Exchange, saved: Any
) -> None:
    volume = scenes.add_volume(scene)
    store = ExchangeStore(scene)
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    kept = store.add(volume, exchange)
    nodes, items = scene.GetNumberOfNodes(), hierarchy.GetNumberOfItems()
    gone = store.add(volume, exchange)
    saved(scene)  # gives the nodes their storage nodes
    scene_nodes = scene.GetNumberOfNodes() - 2 - nodes
    store.remove(gone)
    store.remove(gone)
    assert store.reload(gone) is None
    assert [each.key for each in store.exchanges()] == [kept.key]
    assert hierarchy.GetNumberOfItems() == items
    assert scene.GetNumberOfNodesByClass("vtkMRMLTableNode") == 1
    assert scene.GetNumberOfNodesByClass("vtkMRMLTableStorageNode") == (1 if scene_nodes else 0)
    with pytest.raises(InputError, match="no longer"):
        store.update_review(gone, text="x", reviewed=True)
    assert store.add(volume, exchange).number == 2


def test_undo_and_redo(scene: Any, exchange: Exchange) -> None:
    scene.SetUndoOn()
    store = ExchangeStore(scene)
    volume = scenes.add_volume(scene)
    stored = store.add(volume, exchange)
    store.update_review(stored, text="edited", reviewed=True)
    scene.Undo()
    assert store.exchanges(volume)[0].text == exchange.answer
    scene.Redo()
    assert store.exchanges(volume)[0].text == "edited"
    store.remove(store.exchanges()[0])
    assert store.exchanges() == ()
    scene.Undo()
    (again,) = store.exchanges(volume)
    assert (again.text, again.exchange, again.key) == ("edited", exchange, stored.key)
    assert scene.GetNodeByID(again.node_id).GetNodeReference("Med2E3.scores") is not None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "damaged"),
        ("{", "damaged"),
        ("[1]", "damaged"),
        ("null", "damaged"),
        ("[" * 100_000, "damaged"),
        ("{}", "no Med-2E3 records"),
        ('{"schema_version": "2.0", "exchanges": [{}]}', "version 2.0"),
        ('{"schema_version": "1.0", "exchanges": []}', "0 exchanges"),
        ('{"schema_version": "1.0", "exchanges": [{"question": 3}]}', "damaged"),
    ],
)
def test_unreadable_records_are_left_alone_and_told(
    scene: Any, exchange: Exchange, saved: Any, text: str, reason: str
) -> None:
    store = ExchangeStore(scene)
    volume = scenes.add_volume(scene)
    good = store.add(volume, exchange)
    bad = store.add(volume, exchange)
    scene.GetNodeByID(bad.node_id).SetText(text, 3)
    assert store.exchanges(volume) == (good,)
    (told,) = store.unreadable()
    assert told.node_id == bad.node_id
    assert reason in told.reason
    with pytest.raises(InputError):
        store.update_review(bad, text="x", reviewed=True)
    assert scene.GetNodeByID(bad.node_id).GetText() == text
    scenes.load(scene, saved(scene))
    assert len(store.exchanges()) == len(store.unreadable()) == 1
    assert scene.GetNodeByID(store.unreadable()[0].node_id).GetText() == text


def test_foreign_text_nodes_are_no_records(scene: Any, exchange: Exchange) -> None:
    for attribute in (None, "Other.kind"):
        node = scene.AddNewNodeByClass("vtkMRMLTextNode", "Med-2E3 report 1")
        node.SetText("hello", 3)
        if attribute:
            node.SetAttribute(attribute, "exchange")
    store = ExchangeStore(scene)
    assert store.exchanges() == store.unreadable() == ()
    stored = store.add(scenes.add_volume(scene), exchange)
    node = scene.GetNodeByID(stored.node_id)
    for name in list(node.GetAttributeNames()):
        if name not in {"Med2E3.kind", "Med2E3.key"}:
            node.RemoveAttribute(name)
    assert len(store.exchanges()) == 1  # what is missing is only what it links to
    node.SetAttribute("Med2E3.number", "³ not a number")
    node.SetAttribute("Med2E3.geometry", "x y")
    assert [each.number for each in store.exchanges()] == [0]


def test_model_without_scores(scene: Any, exchange: Exchange) -> None:
    store = ExchangeStore(scene)
    stored = store.add(scenes.add_volume(scene), replace(exchange, scores=()))
    assert scene.GetNumberOfNodesByClass("vtkMRMLTableNode") == 0
    store.remove(stored)
    assert store.exchanges() == ()
