"""Any text in a record comes back from the scene as it was."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed")

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fixtures import slicer_scenes as scenes
from med2e3.asking.question import Turn
from med2e3.errors import Med2E3Error
from med2e3.record import Exchange, ModelRecord, VolumeRecord
from med2e3.volume import SlicePlace
from med2e3_slicer.records import ExchangeStore
from med2e3_slicer.records.document import Review, read_document, with_review, write_document

#: every character, also half ones, controls, and what XML forbids
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=400)
EXCHANGE = Exchange(
    question="q",
    task="open_vqa",
    answer="a",
    token_ids=(1,),
    token_probabilities=(0.5,),
    scores=(1 / 32,) * 32,
    slices=tuple(SlicePlace(i, (0.0, 0.0, float(i)), i, i) for i in range(32)),
    model=ModelRecord("m", None, "0" * 64),
    volume=VolumeRecord("0" * 64, (32, 64, 64)),
    preprocessing={"slice_axis": "k", "slice_normal_lps": [0, 0, 1], "slice_spacing_mm": 1.0},
    generation={},
    timings_s={},
    software={},
)
SLOW = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@settings(max_examples=300, deadline=None)
@given(ANY_TEXT, ANY_TEXT)
def test_document_round_trip(answer: str, edited: str) -> None:
    exchange = replace(EXCHANGE, answer=answer, history=(Turn(edited, answer),))
    review = Review(edited, True, "2026-01-01T00:00:00+00:00")
    text = with_review(write_document(exchange), review)
    assert read_document(text) == (exchange, review)
    text.encode("utf-8")


@settings(max_examples=300, deadline=None)
@given(
    st.text(max_size=60)
    | st.recursive(
        st.none() | st.floats() | st.text(max_size=5),
        lambda e: (
            st.lists(e, max_size=4)
            | st.dictionaries(
                st.sampled_from(
                    ["schema_version", "exchanges", "review", "question", "scores", "text"]
                ),
                e,
            )
        ),
        max_leaves=12,
    ).map(json.dumps)
)
def test_no_text_makes_reading_crash(text: str) -> None:
    with pytest.raises(Med2E3Error):
        read_document(text)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_damage_makes_reading_crash(data: st.DataObject) -> None:
    text = write_document(EXCHANGE)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 200)))
    damaged = text[:start] + data.draw(st.text(max_size=8)) + text[end:]
    try:
        exchange, _ = read_document(damaged)
    except Med2E3Error as error:
        assert str(error)
    else:
        assert isinstance(exchange, Exchange)


@pytest.mark.parametrize("suffix", [".mrb", ".mrml"])
@SLOW
@given(answer=ANY_TEXT, edited=ANY_TEXT)
@example(answer="\x00\x01\x0b\x1f\x7f\x85\u2028\ufffe\uffff\ud800\udfff", edited="\r\n\t\"<&>';: é")
@example(answer="你好 مرحبا 😀 ½ µ × ñ" * 500, edited="")
def test_scene_round_trip(tmp_path: Path, suffix: str, answer: str, edited: str) -> None:
    scene = scenes.new_scene()
    store = ExchangeStore(scene)
    exchange = replace(EXCHANGE, answer=answer, question=edited + "?")
    store.update_review(store.add(None, exchange), text=edited, reviewed=True)
    before = store.exchanges()
    path = tmp_path / f"scene{suffix}"
    (scenes.save_mrb if suffix == ".mrb" else scenes.save_mrml)(scene, path)
    if suffix == ".mrml":
        ElementTree.parse(path)
    other = scenes.new_scene()
    scenes.load(other, path)
    assert ExchangeStore(other).exchanges() == before


def test_a_long_text_stays_in_the_scene_file(tmp_path: Path) -> None:
    scene = scenes.new_scene()
    stored = ExchangeStore(scene).add(None, replace(EXCHANGE, answer="word " * 60_000))
    scenes.save_mrml(scene, tmp_path / "scene.mrml")
    assert not list(tmp_path.glob("*.txt"))
    other = scenes.new_scene()
    scenes.load(other, tmp_path / "scene.mrml")
    (loaded,) = ExchangeStore(other).exchanges()
    assert loaded.exchange == stored.exchange
