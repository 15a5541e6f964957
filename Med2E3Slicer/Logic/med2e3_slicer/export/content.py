"""What a document about an exchange says, whatever its format.

Knows the record and what a person did with it; puts both into sentences. Does not know formats
or pictures. Nothing of the patient is in a record, so nothing is here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from slicer.i18n import tr as _

from med2e3.record import Exchange, position_text, source_text, stack_axis
from med2e3_slicer.model_names import model_title
from med2e3_slicer.records import StoredExchange

#: slices shown as pictures
KEY_SLICES = 3
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
        title=_("Med-2E3 report") if exchange.task == "report" else _("Med-2E3 answer"),
        notice=exchange.notice,
        state=_state(stored),
        question=tuple(_question(exchange)),
        text=tuple(stored.text.splitlines()) or (_("(no text)"),),
        slices=tuple(slice_text(exchange, index) for index in exchange.top_slices(KEY_SLICES)),
        scores_note=_scores_note(exchange),
        remarks=tuple(_remarks(stored)),
        details=tuple(_details(exchange)),
    )


def slice_text(exchange: Exchange, index: int) -> str:
    """One model slice in words: number, position, source slices, score."""
    place = exchange.slices[index]
    parts = [
        _("Slice {number} of {count}").format(number=index + 1, count=len(exchange.slices)),
        position_text(place, stack_axis(exchange.slices)),
        _("source {slices}").format(slices=source_text(place)),
        _("{factor} × uniform").format(factor=f"{exchange.relative_scores()[index]:.1f}"),
    ]
    return ", ".join(part for part in parts if part)


def time_text(iso: str) -> str:
    """A time of a record as people write it; as it stands if it is no time."""
    try:
        return datetime.fromisoformat(iso).strftime("%Y-%m-%d %H:%M %Z").strip()
    except ValueError:
        return iso or _("unknown")


def _state(stored: StoredExchange) -> str:
    text = _("Text edited by a person") if stored.is_edited else _("Text as the model wrote it")
    if stored.review.reviewed:
        mark = _("marked as reviewed by a person")
    else:
        mark = _("not reviewed by a person")
    when = ""
    if stored.review.changed:
        when = " " + _("(last changed {time})").format(time=time_text(stored.review.changed))
    return f"{text}; {mark}{when}."


def _question(exchange: Exchange) -> Iterator[str]:
    for turn in exchange.history:
        yield _("Asked before: {question}").format(question=turn.question)
        yield _("Answered before: {answer}").format(answer=turn.answer)
    yield _("Question: {question}").format(question=exchange.question)
    for number, choice in enumerate(exchange.choices):
        letter = chr(ord("A") + number)
        probability = exchange.choice_probabilities.get(letter)
        share = "" if probability is None else f" ({100 * probability:.0f} %)"
        yield f"{letter}. {choice}{share}"


def _scores_note(exchange: Exchange) -> str:
    if not exchange.scores:
        return ""
    return _(
        "The model gave each of {count} slices an attention score (TG-IS); uniform is 1/{count}. "
        "Attention is no proof of a finding."
    ).format(count=len(exchange.scores))


def _remarks(stored: StoredExchange) -> Iterator[str]:
    if stored.exchange.finish_reason == "length":
        yield _("The answer was cut off at its longest length.")
    if stored.exchange.finish_reason == "cancelled":
        yield _("The answer was stopped by a person before its end.")
    if stored.moved:
        yield _(
            "The volume was moved or changed after the question; positions are those of the time "
            "of the question."
        )
    yield from stored.exchange.warnings


def _details(exchange: Exchange) -> Iterator[tuple[str, str]]:
    model, unknown = exchange.model, _("unknown")
    title = model_title(model.name)
    if model.revision:
        title = _("{model}, revision {revision}").format(model=title, revision=model.revision)
    yield _("Date of creation"), time_text(exchange.created)
    yield _("Model"), title
    yield _("Checksum of the model"), f"{model.sha256[:_DIGITS]}… (SHA-256)"
    yield _("Window"), _window(exchange.preprocessing.get("window"))
    yield _("Slices"), _slices(exchange.preprocessing)
    yield _("Decoding"), _decoding(exchange.generation)
    software = [
        f"{name} {exchange.software[name]}"
        for name in ("med2e3", "torch", "transformers")
        if name in exchange.software
    ]
    yield _("Software"), ", ".join(software) or unknown


def _slices(preprocessing: Mapping[str, Any]) -> str:
    planes = {
        "axial": (_("axial"), _("head to feet")),
        "coronal": (_("coronal"), _("front to back")),
        "sagittal": (_("sagittal"), _("right to left")),
    }
    orders = {"reversed": _("reversed"), "file": _("as in the file")}
    name = str(preprocessing.get("plane", ""))
    plane, standard = planes.get(name, (name or _("unknown"), _("standard")))
    order = str(preprocessing.get("slice_order", ""))
    said = standard if order == "standard" else orders.get(order, order)
    return ", ".join(part for part in (plane, said) if part)


def _window(window: Any) -> str:
    if window is None:
        return _("none (values taken as they are)")
    try:
        return _("{name}, center {center}, width {width}").format(
            name=window["name"], center=f"{window['center']:g}", width=f"{window['width']:g}"
        )
    except (KeyError, TypeError, ValueError):
        return _("unknown")


def _decoding(generation: Mapping[str, Any]) -> str:
    temperature = generation.get("temperature")
    if temperature is None:
        return _("unknown")
    if temperature == 0:
        said = _("most probable token (greedy)")
    else:
        said = _("sampled, temperature {temperature}, top-p {top_p}, seed {seed}").format(
            temperature=temperature, top_p=generation.get("top_p"), seed=generation.get("seed")
        )
    return f"{said}; {generation.get('device', '')} {generation.get('dtype', '')}".strip(" ;")
