"""What the panel is doing, as plain values that follow from each other.

Knows the activities of one question, which buttons may be pressed, and which of the finished
looks (:class:`Look`) the panel has.  Knows nothing of Qt, of Slicer, of sentences or of time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum


class EnginePlace(Enum):
    """Where a question would be answered."""

    MISSING = "missing"
    LOCAL = "local"
    REMOTE = "remote"


class Activity(Enum):
    """The work under way for one question."""

    IDLE = "idle"
    PREPARING = "preparing"
    LOADING = "loading"
    ENCODING = "encoding"
    GENERATING = "generating"
    CANCELLING = "cancelling"


class Look(Enum):
    """The looks of the panel, one at a time."""

    IDLE = "idle"
    REMOTE = "remote"
    NO_VOLUME = "no-volume"
    NOT_INSTALLED = "not-installed"
    RESTORED = "restored"
    FAILED = "failed"
    PREPARING = "preparing"
    LOADING = "loading"
    ENCODING = "encoding"
    GENERATING = "generating"
    CANCELLING = "cancelling"


#: what a stage of the engine (or before it) means here
_STAGES = {
    "preparing": Activity.PREPARING,
    "sending": Activity.PREPARING,
    "starting": Activity.LOADING,
    "loading": Activity.LOADING,
    "encoding": Activity.ENCODING,
    "scoring": Activity.ENCODING,
    "generating": Activity.GENERATING,
}


@dataclass(frozen=True)
class Failure:
    """Why a question was not answered: a sentence, what to do, and a detail for the curious.

    ``set_up`` says that the set-up page is what helps.
    """

    sentence: str
    hint: str = ""
    detail: str = ""
    set_up: bool = False


@dataclass(frozen=True)
class PanelState:
    """Everything that decides how the panel looks.

    Args:
        engine: where a question would be answered.
        has_volume: whether a volume is chosen.
        volume_problem: why the chosen volume cannot be used; empty when it can.
        has_exchanges: whether the scene holds answers.
        activity: the work under way.
        stage: its stage, as the engine calls it.
        done: steps done of the present stage; 0 when it has none.
        total: steps of the present stage; 0 when they are not known.
        words: words written so far.
        failure: why the last question failed; gone when the next one is asked or it is dismissed.
    """

    engine: EnginePlace = EnginePlace.LOCAL
    has_volume: bool = False
    volume_problem: str = ""
    has_exchanges: bool = False
    activity: Activity = Activity.IDLE
    stage: str = ""
    done: int = 0
    total: int = 0
    words: int = 0
    failure: Failure | None = None

    @property
    def busy(self) -> bool:
        """Whether a question is being answered or is being stopped."""
        return self.activity is not Activity.IDLE

    @property
    def can_ask(self) -> bool:
        """Whether a question can be sent now."""
        ready = self.has_volume and not self.volume_problem
        return ready and not self.busy and self.engine is not EnginePlace.MISSING

    @property
    def can_stop(self) -> bool:
        """Whether there is something to stop that is not being stopped already."""
        return self.busy and self.activity is not Activity.CANCELLING

    @property
    def look(self) -> Look:
        """Which of the looks the panel has."""
        if self.busy:
            return Look(self.activity.value)
        if self.failure is not None:
            return Look.FAILED
        if self.engine is EnginePlace.MISSING:
            return Look.RESTORED if self.has_exchanges else Look.NOT_INSTALLED
        if not self.has_volume:
            return Look.NO_VOLUME
        return Look.REMOTE if self.engine is EnginePlace.REMOTE else Look.IDLE

    # ---- what happens --------------------------------------------------------------------

    def asked(self) -> PanelState:
        """A question was sent.

        Raises:
            ValueError: when none could be.
        """
        if not self.can_ask:
            raise ValueError(f"no question can be asked while {self.look.value}")
        return replace(
            self,
            activity=Activity.PREPARING,
            stage="preparing",
            done=0,
            total=0,
            words=0,
            failure=None,
        )

    def reached(self, stage: str) -> PanelState:
        """A stage began; ignored while stopping and for stages this version does not know."""
        activity = _STAGES.get(stage)
        if activity is None or not self.can_stop:
            return self
        if stage == self.stage:
            return self
        return replace(self, activity=activity, stage=stage, done=0, total=0)

    def progressed(self, done: int, total: int) -> PanelState:
        """Steps of the present stage were done; ignored while stopping."""
        return replace(self, done=done, total=total) if self.can_stop else self

    def wrote(self, words: int) -> PanelState:
        """The answer has this many words now; ignored while stopping."""
        return replace(self, words=words) if self.can_stop else self

    def stopping(self) -> PanelState:
        """A person asked to stop."""
        return replace(self, activity=Activity.CANCELLING) if self.can_stop else self

    def ended(self, failure: Failure | None = None) -> PanelState:
        """The question was answered, stopped, or failed."""
        return replace(self, activity=Activity.IDLE, stage="", done=0, total=0, failure=failure)

    def dismissed(self) -> PanelState:
        """A person has read the failure."""
        return replace(self, failure=None)
