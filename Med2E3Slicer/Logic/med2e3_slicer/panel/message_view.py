"""The frames at the top of the panel: the notice, the message of the present look, warnings.

Knows how they are shown; which sentence is shown when is decided elsewhere.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from med2e3.notice import NOTICE

from .style import Tone, dress_frame, dress_icon

Action = tuple[str, Callable[[], None]]


@dataclass(frozen=True)
class Message:
    """A message with up to two buttons.

    Args:
        tone: its colour and icon.
        title: a few words.
        text: one or two sentences.
        primary: text of the first button and what it does.
        secondary: of the second.
        tool_tip: detail shown when the mouse rests on the text.
    """

    tone: Tone
    title: str
    text: str = ""
    primary: Action | None = None
    secondary: Action | None = None
    tool_tip: str = ""


class MessageView:
    """Shows the notice always, and a message and warnings where there are any.

    Args:
        ui: names of the panel's widgets.
    """

    def __init__(self, ui: Any) -> None:
        self._ui = ui
        self._message: Message | None = None
        self.notice = ""
        ui.messagePrimaryButton.connect("clicked()", self._on_primary)
        ui.messageSecondaryButton.connect("clicked()", self._on_secondary)
        self.show(None)
        self.warn(())
        self.restyle()

    def set_notice(self, notice: str) -> None:
        """The sentences that must always be read, the general one first."""
        if notice != self.notice:
            self.notice = notice
            more = html.escape(notice.removeprefix(NOTICE))
            self._ui.noticeLabel.text = f"<b>{html.escape(NOTICE)}</b>{more}"

    def show(self, message: Message | None) -> None:
        """Show a message, or none."""
        ui = self._ui
        self._message = message
        ui.messageFrame.visible = message is not None
        if message is None:
            return
        text = f"<b>{html.escape(message.title)}</b>"
        if message.text:
            text += f"<br>{html.escape(message.text)}"
        ui.messageLabel.text = text
        ui.messageLabel.toolTip = message.tool_tip
        for button, action in (
            (ui.messagePrimaryButton, message.primary),
            (ui.messageSecondaryButton, message.secondary),
        ):
            button.visible = action is not None
            button.text = action[0] if action else ""
        self.restyle()

    def warn(self, warnings: Sequence[str]) -> None:
        """Show warnings about the volume, or none."""
        ui = self._ui
        ui.warningFrame.visible = bool(warnings)
        lines = [html.escape(warning) for warning in warnings]
        if len(lines) > 1:
            lines = [f"• {line}" for line in lines]
        ui.warningLabel.text = "<br>".join(lines)

    def restyle(self) -> None:
        """Take the colours of the present style."""
        ui = self._ui
        tone = self._message.tone if self._message else Tone.INFO
        for frame, icon, of in (
            (ui.noticeFrame, ui.noticeIcon, Tone.QUIET),
            (ui.messageFrame, ui.messageIcon, tone),
            (ui.warningFrame, ui.warningIcon, Tone.WARNING),
        ):
            dress_frame(frame, of)
            dress_icon(icon, of)

    def _on_primary(self) -> None:
        if self._message and self._message.primary:
            self._message.primary[1]()

    def _on_secondary(self) -> None:
        if self._message and self._message.secondary:
            self._message.secondary[1]()
