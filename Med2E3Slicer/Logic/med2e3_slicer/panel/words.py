"""Short texts of the panel: times, places, speeds, titles.

Knows how they are worded in the application's language; knows no widgets and no nodes.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from slicer.i18n import tr as _

from med2e3.record import position_text, source_text, stack_axis

from .state import Activity

if TYPE_CHECKING:
    from med2e3.record import Exchange

    from .state import PanelState


#: a speed is told after this time of writing
_LEAST_S = 1.0


def task_title(task: str) -> str:
    """``Report``, ``Question`` or ``Multiple choice``."""
    titles = {"report": _("Report"), "closed_vqa": _("Multiple choice")}
    return titles.get(task, _("Question"))


def exchange_title(exchange: Exchange) -> str:
    """What was asked, in one line; a report is called so instead of by its long question."""
    return _("Report") if exchange.task == "report" else " ".join(exchange.question.split())


def time_text(created: str) -> str:
    """When, in local time, such as ``2026-11-24 16:05``; empty when the record does not say."""
    try:
        moment = datetime.fromisoformat(created)
    except ValueError:
        return ""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.astimezone().strftime("%Y-%m-%d %H:%M")


def slice_text(exchange: Exchange, index: int) -> str:
    """A model slice for a person: ``Slice 14 · S 43.5 mm · 2.3× uniform``."""
    parts = [_("Slice {number}").format(number=index + 1)]
    position = position_text(exchange.slices[index], stack_axis(exchange.slices))
    if position:
        parts.append(position)
    if exchange.scores:
        relative = exchange.scores[index] / exchange.uniform
        parts.append(_("{factor}× uniform").format(factor=f"{relative:.1f}"))
    return " · ".join(parts)


def slice_tool_tip(exchange: Exchange, index: int, rank: int) -> str:
    """More about the same slice: its place among all of them, and the volume's own slices."""
    return _(
        "Model slice {number} of {count}, number {rank} by score; of the volume: {own}"
    ).format(
        number=index + 1,
        count=len(exchange.slices),
        rank=rank + 1,
        own=source_text(exchange.slices[index]),
    )


def finish_text(reason: str) -> str:
    """What has to be said about how an answer ended; empty when it ended by itself."""
    if reason == "cancelled":
        return _("Stopped before its end.")
    if reason == "length":
        return _("Cut at the longest length; it may be incomplete.")
    return ""


def activity_text(state: PanelState) -> str:
    """The line above the progress bar."""
    if state.activity is Activity.CANCELLING:
        return _("Stopping")
    if state.stage == "encoding" and state.total:
        return _("Encoding slices {done}/{total}").format(done=state.done, total=state.total)
    return {
        "preparing": _("Preparing the volume"),
        "starting": _("Starting the engine"),
        "loading": _("Loading the model"),
        "sending": _("Sending the slices"),
        "encoding": _("Encoding slices"),
        "scoring": _("Comparing slices with the question"),
        "generating": _("Writing the answer"),
    }.get(state.stage, "")


def pace_text(state: PanelState, seconds: float, writing_s: float) -> str:
    """Right of the stage: seconds so far, and words per second while the answer is written.

    Args:
        state: the present one.
        seconds: since the question was asked.
        writing_s: since its first word; 0 before it.
    """
    if state.activity is Activity.GENERATING and state.words > 1:
        if writing_s < _LEAST_S:  # the first words come in one burst, which is no speed
            return _("{words} words").format(words=state.words)
        speed = f"{(state.words - 1) / writing_s:.1f}"
        return _("{words} words · {speed} words/s").format(words=state.words, speed=speed)
    return _("{seconds} s").format(seconds=round(seconds)) if state.busy else ""
