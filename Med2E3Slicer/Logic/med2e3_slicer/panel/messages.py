"""The message that belongs to a state: what is missing, what failed, and the next step.

Knows sentences and buttons for each :class:`~.state.Look`; shows nothing itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from slicer.i18n import tr as _

from .message_view import Message
from .state import Look
from .style import Tone

if TYPE_CHECKING:
    from collections.abc import Callable

    from .ports import Desk
    from .state import PanelState


def message_for(
    state: PanelState,
    address: str,
    desk: Desk,
    again: Callable[[], None],
    dismiss: Callable[[], None],
) -> Message | None:
    """The message of the present look, or None where none is needed.

    Args:
        state: the present one.
        address: of the engine elsewhere; empty for the local one.
        desk: what Slicer's window can do.
        again: asks the failed question once more.
        dismiss: takes the message about a failure away.
    """
    look = state.look
    if look is Look.FAILED:
        return _failed(state, desk, again, dismiss)
    if state.volume_problem and look in (Look.IDLE, Look.REMOTE):
        return Message(Tone.ERROR, _("This volume cannot be used"), state.volume_problem)
    set_up = (_("Set up…"), desk.set_up)
    return {
        Look.NOT_INSTALLED: Message(
            Tone.INFO,
            _("The engine is not installed yet"),
            _(
                "It runs the model in a process of its own. What is downloaded, and how much, is "
                "told before anything starts."
            ),
            set_up,
        ),
        Look.RESTORED: Message(
            Tone.INFO,
            _("Saved answers from this scene"),
            _(
                "They can be read, compared, edited and exported as they are. To ask new "
                "questions, set up the engine."
            ),
            set_up,
        ),
        Look.NO_VOLUME: Message(
            Tone.INFO,
            _("Choose a CT volume to begin"),
            _("Load your own, or begin with Slicer's sample of a chest."),
            (_("Add data…"), desk.add_data),
            (_("Sample CT"), desk.load_sample),
        ),
        Look.REMOTE: Message(
            Tone.INFO,
            _("Answers come from {address}").format(address=address),
            _(
                "Only the slices that the model reads and the question are sent: no name, date, "
                "header or file."
            ),
        ),
    }.get(look)


def _failed(
    state: PanelState, desk: Desk, again: Callable[[], None], dismiss: Callable[[], None]
) -> Message:
    failure = state.failure
    assert failure is not None

    def details() -> None:
        desk.details(_("Details"), failure.sentence, failure.detail)

    if failure.set_up:
        return Message(
            Tone.ERROR,
            failure.sentence,
            failure.hint,
            (_("Set up…"), desk.set_up),
            (_("Try again"), again) if state.can_ask else (_("Close"), dismiss),
            failure.detail,
        )
    return Message(
        Tone.ERROR,
        failure.sentence,
        failure.hint,
        (_("Try again"), again) if state.can_ask else (_("Close"), dismiss),
        (_("Details…"), details) if failure.detail else (_("Close"), dismiss) if state.can_ask
        else None,
    )  # fmt: skip
