"""Events over the wire: any portions of bytes, any text, what is unknown, what is damaged."""

from __future__ import annotations

import json
import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from med2e3.asking import Done, Progress, Scores, Stage, Token
from med2e3.errors import Med2E3Error
from med2e3.protocol import (
    PING,
    Accepted,
    EngineUnreachable,
    EventReader,
    Failed,
    ServerSentEvents,
    TooMany,
    WireEvent,
    encode,
    event_from_json,
    event_to_json,
)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
SHARES = st.floats(0, 1)
EVENTS = st.one_of(
    st.builds(Accepted, TEXTS, st.floats(0, 60)),
    st.builds(Stage, st.sampled_from(["encoding", "scoring", "generating"])),
    st.builds(Progress, st.integers(0), st.integers(0)),
    st.builds(Scores, st.lists(SHARES).map(tuple)),
    st.builds(Token, st.integers(0), TEXTS, SHARES),
    st.builds(
        Done,
        answer=TEXTS,
        token_ids=st.lists(st.integers(0)).map(tuple),
        token_probabilities=st.lists(SHARES).map(tuple),
        scores=st.lists(SHARES).map(tuple),
        finish_reason=st.sampled_from(["end", "length", "stop", "cancelled"]),
        choice_probabilities=st.dictionaries(TEXTS, SHARES),
        timings_s=st.dictionaries(TEXTS, st.floats(0, allow_infinity=False)),
        cache_hits=st.lists(TEXTS).map(tuple),
        seed=st.none() | st.integers(0, 2**63 - 1),
    ),
)


def wire(events: list[WireEvent]) -> bytes:
    return b"".join(encode(event, number) for number, event in enumerate(events, 1))


@settings(deadline=None)
@given(st.lists(EVENTS, max_size=6), st.lists(st.integers(0, 2000), max_size=20), st.booleans())
def test_every_event_arrives_exactly_in_any_portions(
    events: list[WireEvent], cuts: list[int], crlf: bool
) -> None:
    sent = PING + PING.join(encode(event, n) for n, event in enumerate(events, 1)) + PING
    if crlf:
        sent = sent.replace(b"\n", b"\r\n")
    places = sorted({0, len(sent), *(cut for cut in cuts if cut < len(sent))})
    reader = EventReader()
    arrived = []
    for begin, end in pairwise(places):
        arrived += reader.feed(sent[begin:end])
    assert arrived == events
    assert reader.last_id == (str(len(events)) if events else "")


def test_one_byte_at_a_time() -> None:
    events: list[WireEvent] = [Token(1, "ü\u2028\r\n:data", 0.25), Scores((1 / 3, 2 / 3))]
    reader = EventReader()
    assert [e for byte in wire(events) for e in reader.feed(bytes([byte]))] == events


def test_a_failure_keeps_code_sentence_and_hint() -> None:
    (event,) = EventReader().feed(encode(Failed(TooMany("Wait.", hint="Later.")), 1))
    assert isinstance(event, Failed)
    assert type(event.error) is TooMany
    assert (event.error.sentence, event.error.hint) == ("Wait.", "Later.")


def test_reading_on_gives_no_event_twice_and_forgets_half_an_event() -> None:
    sent = wire([Stage("scoring"), Token(1, "a", 0.5), Token(2, "b", 0.5)])
    reader = EventReader()
    half = sent.index(b"id: 3") + 20
    first = reader.feed(sent[:half])
    reader.start_again()
    assert reader.last_id == "2"
    assert first + reader.feed(sent) == [Stage("scoring"), Token(1, "a", 0.5), Token(2, "b", 0.5)]


def test_unknown_types_fields_and_stages_are_ignored() -> None:
    newer = b'id: 1\ndata: {"type": "weather"}\n\nid: 2\ndata: {"type": "stage", "name": "tea"}\n\n'
    token = event_to_json(Token(1, "a", 0.5)) | {"new": 1}
    known = f"retry: 5\nid: 3\ndata: {json.dumps(token)}\n\n".encode()
    assert EventReader().feed(newer + known) == [Token(1, "a", 0.5)]


@pytest.mark.parametrize(
    "data",
    [
        "{",
        "[]",
        '"x"',
        "{}",
        '{"type": "token"}',
        '{"type": "done", "answer": "x"}',
        '{"type": "scores", "values": 3}',
        '{"type": ["token"]}',
    ],
)
def test_damage_is_said(data: str) -> None:
    with pytest.raises(EngineUnreachable, match="damaged"):
        EventReader().feed(f"id: 1\ndata: {data}\n\n".encode())


def test_an_endless_event_is_not_kept() -> None:
    parser = ServerSentEvents()
    with pytest.raises(EngineUnreachable):
        for _ in range(40):
            parser.feed(b"data: " + b"x" * (1 << 20))


def test_data_of_several_lines_is_joined() -> None:
    (event,) = ServerSentEvents().feed(b"\xef\xbb\xbfevent: a\ndata: 1\ndata:2\nid: 7\n\n")
    assert (event.event, event.data, event.id) == ("a", "1\n2", "7")


def test_numbers_that_are_not_finite_are_not_sent() -> None:
    with pytest.raises(ValueError, match="JSON"):
        encode(Token(1, "a", math.nan), 1)


def test_an_error_without_problem_is_still_an_error() -> None:
    event = event_from_json({"type": "error", "problem": {}})
    assert isinstance(event, Failed)
    assert isinstance(event.error, Med2E3Error)
    assert event.error.sentence
