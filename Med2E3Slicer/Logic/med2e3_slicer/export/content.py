"""What a document about an exchange says, whatever its format.

Knows the record and what a person did with it; puts both into sentences. Does not know formats
or pictures. Nothing of the patient is in a record, so nothing is here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from med2e3.record import Exchange, position_text, source_text, stack_axis
from med2e3_slicer.records import StoredExchange

#: slices shown as pictures
KEY_SLICES = 3
_TITLES = {
    "report": "Med-2E3 report",
    "open_vqa": "Med-2E3 answer",
    "closed_vqa": "Med-2E3 answer",
}
_ENDED = {
    "length": "The answer was cut off at its longest length.",
    "cancelled": "The answer was stopped by a person before its end.",
}
_ORDERS = {
    "axial": "head to feet",
    "coronal": "front to back",
    "sagittal": "right to left",
}
#: of a checksum; enough to tell models apart
_DIGITS = 16


@dataclass(frozen=True)
class Content:
    """A document's parts, in order.

    Args:
        title: what it is.
        notice: the sentence that must be read with it.
        state: whether a person edited or reviewed it.
        question: as typed, with its choices and what was asked before.
        text: paragraphs of the report or answer.
        slices: one line for each of the highest-scored slices.
        scores_note: what the scores are; empty where there are none.
        remarks: sentences to read beside it.
        details: name and value of what the answer depended on.
    """

    title: str
    notice: str
    state: str
    question: tuple[str, ...]
    text: tuple[str, ...]
    slices: tuple[str, ...]
    scores_note: str
    remarks: tuple[str, ...]
    details: tuple[tuple[str, str], ...]


def content_of(stored: StoredExchange) -> Content:
    """Put an exchange into words."""
    exchange = stored.exchange
    return Content(
        title=_TITLES[exchange.task],
        notice=exchange.notice,
        state=_state(stored),
        question=tuple(_question(exchange)),
        text=tuple(stored.text.splitlines()) or ("(no text)",),
        slices=tuple(slice_text(exchange, index) for index in exchange.top_slices(KEY_SLICES)),
        scores_note=_scores_note(exchange),
        remarks=tuple(_remarks(stored)),
        details=tuple(_details(exchange)),
    )


def slice_text(exchange: Exchange, index: int) -> str:
    """One model slice in words: number, position, source slices, score."""
    place = exchange.slices[index]
    parts = [
        f"Slice {index + 1} of {len(exchange.slices)}",
        position_text(place, stack_axis(exchange.slices)),
        f"source {source_text(place)}",
        f"{exchange.relative_scores()[index]:.1f} × uniform",
    ]
    return ", ".join(part for part in parts if part)


def time_text(iso: str) -> str:
    """A time of a record as people write it; as it stands if it is no time."""
    try:
        return datetime.fromisoformat(iso).strftime("%Y-%m-%d %H:%M %Z").strip()
    except ValueError:
        return iso or "unknown"


def _state(stored: StoredExchange) -> str:
    review = stored.review
    when = f" (last changed {time_text(review.changed)})" if review.changed else ""
    text = "edited by a person" if stored.is_edited else "as the model wrote it"
    mark = "marked as reviewed by a person" if review.reviewed else "not reviewed by a person"
    return f"Text {text}; {mark}{when}."


def _question(exchange: Exchange) -> Iterator[str]:
    for turn in exchange.history:
        yield f"Asked before: {turn.question}"
        yield f"Answered before: {turn.answer}"
    yield f"Question: {exchange.question}"
    for number, choice in enumerate(exchange.choices):
        letter = chr(ord("A") + number)
        probability = exchange.choice_probabilities.get(letter)
        share = "" if probability is None else f" ({100 * probability:.0f} %)"
        yield f"{letter}. {choice}{share}"


def _scores_note(exchange: Exchange) -> str:
    if not exchange.scores:
        return ""
    return (
        f"The model gave each of {len(exchange.scores)} slices an attention score (TG-IS); "
        f"uniform is 1/{len(exchange.scores)}. Attention is no proof of a finding."
    )


def _remarks(stored: StoredExchange) -> Iterator[str]:
    if stored.exchange.finish_reason in _ENDED:
        yield _ENDED[stored.exchange.finish_reason]
    if stored.moved:
        yield (
            "The volume was moved or changed after the question; positions are those of the time "
            "of the question."
        )
    yield from stored.exchange.warnings


def _details(exchange: Exchange) -> Iterator[tuple[str, str]]:
    model = exchange.model
    yield "Date of creation", time_text(exchange.created)
    yield "Model", model.name + (f", revision {model.revision}" if model.revision else "")
    yield "Checksum of the model", f"{model.sha256[:_DIGITS]}… (SHA-256)"
    yield "Window", _window(exchange.preprocessing.get("window"))
    plane = str(exchange.preprocessing.get("plane", "unknown"))
    order = str(exchange.preprocessing.get("slice_order", ""))
    if order == "standard":
        order = _ORDERS.get(plane, order)
    yield "Slices", ", ".join(part for part in (plane, order) if part)
    yield "Decoding", _decoding(exchange.generation)
    yield (
        "Software",
        ", ".join(
            f"{name} {exchange.software[name]}"
            for name in ("med2e3", "torch", "transformers")
            if name in exchange.software
        )
        or "unknown",
    )


def _window(window: Any) -> str:
    try:
        return f"{window['name']}, center {window['center']:g}, width {window['width']:g}"
    except (KeyError, TypeError, ValueError):
        return "none (values taken as they are)" if window is None else "unknown"


def _decoding(generation: dict[str, Any]) -> str:
    temperature = generation.get("temperature")
    if temperature is None:
        return "unknown"
    if temperature == 0:
        said = "most probable token (greedy)"
    else:
        said = f"sampled, temperature {temperature}, top-p {generation.get('top_p')}, seed "
        said += str(generation.get("seed"))
    return f"{said}; {generation.get('device', '')} {generation.get('dtype', '')}".strip(" ;")
