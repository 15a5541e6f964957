"""What the panel needs of the other parts of the extension.

Knows their narrow interfaces only; :mod:`med2e3_slicer.panel.wiring` gives the real ones.  Nodes
are passed through as they are and never looked into here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from med2e3.asking import GenerationOptions, Question
from med2e3.record import Exchange
from med2e3_slicer.engine import ConsentRequest
from med2e3_slicer.logic import AskListener
from med2e3_slicer.records import StoredExchange
from med2e3_slicer.volumes import PreparationOptions

from .advanced_view import MachineChoices
from .state import EnginePlace

Node = Any


@dataclass(frozen=True)
class ModelChoice:
    """A model that can be chosen.

    Args:
        key: what the engine is told.
        title: for people.
        remark: what its answers must say besides the notice; may be empty.
    """

    key: str
    title: str
    remark: str = ""


@dataclass(frozen=True)
class EngineNote:
    """The engine's state for a person.

    Args:
        place: where a question would be answered.
        text: one line.
        loaded: whether a model lies in memory and can be unloaded.
        address: of the engine elsewhere; empty for the local one.
    """

    place: EnginePlace
    text: str
    loaded: bool = False
    address: str = ""


@dataclass(frozen=True)
class VolumeNotes:
    """What can be said of a chosen volume before anything runs.

    Args:
        summary: size, spacing and units in one line.
        warnings: sentences a person should read before asking.
        problem: why it cannot be used at all; empty when it can.
    """

    summary: str
    warnings: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class Order:
    """One question with everything that goes with it.

    Args:
        volume: the node.
        question: what is asked.
        model: which model is to answer.
        preparation: how the volume becomes the model input.
        generation: how the words are chosen.
    """

    volume: Node
    question: Question
    model: str
    preparation: PreparationOptions
    generation: GenerationOptions


class Asking(Protocol):
    """Answers questions, one at a time."""

    def note(self) -> EngineNote:
        """The engine's state."""

    def models(self) -> Sequence[ModelChoice]:
        """Models that can be chosen, the usual one first."""

    def ask(self, order: Order, listener: AskListener) -> None:
        """Begin; returns at once."""

    def stop(self) -> None:
        """Stop what is under way; returns at once, the listener hears of the end."""

    def unload(self) -> None:
        """Free the model's memory."""

    def consent_request(self) -> ConsentRequest | None:
        """What the person must agree to before the next question; None when nothing."""

    def give_consent(self, *, remember: bool) -> None:
        """The person agreed, for this session or for good."""

    def machine_choices(self) -> MachineChoices:
        """As they are kept for this computer."""

    def set_machine_choices(self, choices: MachineChoices) -> None:
        """Keep and use them.

        Raises:
            InputError: for an address that is none.
        """

    def observe(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call ``changed`` when the engine's state is another; returns how to end that."""


class Records(Protocol):
    """The exchanges of the scene (``med2e3_slicer.records.ExchangeStore`` is one)."""

    def exchanges(self) -> tuple[StoredExchange, ...]:
        """All of them, newest first."""

    def update_review(
        self, stored: StoredExchange, *, text: str | None, reviewed: bool
    ) -> StoredExchange:
        """Keep a person's changes; the model's own answer stays in the record."""

    def remove(self, stored: StoredExchange) -> None:
        """Delete an exchange from the scene."""

    def observe(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call ``changed`` when exchanges came, went or changed; returns how to end that."""


class Display(Protocol):
    """The colour strips in the slice views and the plot of scores."""

    def show(self, stored: StoredExchange) -> None:
        """Show one exchange's scores and nothing else."""

    def show_live(self, partial: Exchange, volume: Node) -> None:
        """Show the scores of the question that is being answered."""

    def compare(self, first: StoredExchange, second: StoredExchange) -> None:
        """Show two side by side."""

    #: called with the model slice that a person chose in a view
    jumped: Callable[[int], None]
    #: called when the person chose a layout without a plot view
    plot_closed: Callable[[], None]

    def set_strips_visible(self, visible: bool) -> None:
        """Show or hide the strips in the views."""

    @property
    def plot_is_open(self) -> bool:
        """Whether Slicer's plot view shows the scores."""

    def open_plot(self) -> int | None:
        """Show the plot beside the views; returns the layout to go back to, if it changed."""

    def close_plot(self, layout: int | None) -> None:
        """Take the plot away and go back to a layout, if the person chose no other meanwhile."""

    def clear(self) -> None:
        """Show none."""

    def close(self) -> None:
        """Leave the views as if nothing had been there."""

    def jump(self, stored: StoredExchange, index: int) -> None:
        """Show a model slice in the slice views."""


class Exporter(Protocol):
    """Writes an exchange as a file for people."""

    def save(self, stored: StoredExchange, path: Path) -> None:
        """Write TXT, DOCX or PDF, by the path's suffix; the notice is always in it.

        Raises:
            Med2E3Error: when it cannot be written.
        """

    def plain_text(self, stored: StoredExchange) -> str:
        """The same as text, for the clipboard."""


class Volumes(Protocol):
    """What is known of volume nodes."""

    def notes(self, volume: Node, preparation: PreparationOptions) -> VolumeNotes:
        """What to say before asking; takes milliseconds."""


class Desk(Protocol):
    """What Slicer's window does for the panel."""

    def choose_path(self, suffix: str) -> Path | None:
        """Ask where to save; None when the person gave up."""

    def copy(self, text: str) -> None:
        """Put text on the clipboard."""

    def say(self, text: str) -> None:
        """A short sentence in the status bar."""

    def confirm(self, text: str) -> bool:
        """Ask a yes-or-no question."""

    def consent(self, request: ConsentRequest) -> str:
        """Ask whether pictures may be sent away: ``no``, ``once`` or ``always``."""

    def details(self, title: str, text: str, detail: str) -> None:
        """Show a detail that can be copied."""

    def load_sample(self) -> None:
        """Load Slicer's sample CT."""

    def add_data(self) -> None:
        """Open Slicer's dialog to add data."""

    def set_up(self) -> None:
        """Open the page that installs the engine and the models."""
