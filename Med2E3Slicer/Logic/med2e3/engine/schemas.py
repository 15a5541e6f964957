"""The interface's bodies as pydantic models, for checking what comes in and for OpenAPI.

Knows fields, types and bounds; the meaning is in :mod:`med2e3.asking`, the JSON of the light half
in :mod:`med2e3.protocol` (tests hold both together).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from med2e3.asking import GenerationOptions, Question, Turn
from med2e3.asking.events import FinishReason, StageName
from med2e3.asking.question import Task
from med2e3.engine.backend import State
from med2e3.protocol import AskRequest, engine_codes

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Probability = Annotated[float, Field(ge=0, le=1)]


class Body(BaseModel):
    """What a client sends: an unknown field is an error, since it would have no effect."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class TurnBody(Body):
    """One earlier question and its answer."""

    question: str
    answer: str


class QuestionBody(Body):
    """A question about a volume."""

    text: Annotated[str, Field(min_length=1, description="The question as typed.")]
    choices: Annotated[
        list[Annotated[str, Field(min_length=1)]],
        Field(max_length=26, description="Options of a multiple-choice question, 2 to 26."),
    ] = []
    task: Annotated[
        Task | None, Field(description="By default closed_vqa with choices, else open_vqa.")
    ] = None
    history: Annotated[list[TurnBody], Field(description="Earlier turns, oldest first.")] = []

    def question(self) -> Question:
        """As the domain's type; raises InputError as it does."""
        history = tuple(Turn(turn.question, turn.answer) for turn in self.history)
        return Question(self.text, tuple(self.choices), self.task, history)


class OptionsBody(Body):
    """How to answer."""

    max_new_tokens: Annotated[int, Field(ge=1, le=1 << 20)] = 256
    temperature: Annotated[float, Field(ge=0, le=100, description="0: most probable token.")] = 0.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    seed: Annotated[int | None, Field(ge=0, lt=2**63)] = None
    stop: Annotated[list[str], Field(description="Texts that end the answer.")] = []

    def options(self) -> GenerationOptions:
        """As the domain's type."""
        return GenerationOptions(
            self.max_new_tokens, self.temperature, self.top_p, self.seed, tuple(self.stop)
        )


class AskBody(Body):
    """A question to be answered."""

    volume: Annotated[Sha256, Field(description="Content hash of a volume that was put before.")]
    question: QuestionBody
    options: OptionsBody = OptionsBody()
    grace_s: Annotated[
        float,
        Field(ge=0, description="Seconds that the question outlives a broken connection."),
    ] = 0.0

    def request(self) -> AskRequest:
        """As the wire's type; raises InputError for what no schema can say."""
        return AskRequest(
            self.volume, self.question.question(), self.options.options(), self.grace_s
        )


class ModelBody(Body):
    """A model to load."""

    model: Annotated[
        str, Field(min_length=1, max_length=4096, description="Name of an installed model.")
    ]


class Health(BaseModel):
    """The service runs."""

    status: Literal["ok"]
    api: str
    software: str


class Readiness(BaseModel):
    """Whether questions are answered now."""

    ready: bool
    state: State
    problem: Annotated[str, Field(description="Why it failed; else empty.")]


class ModelOut(BaseModel):
    """The model that answers."""

    name: str
    revision: str | None
    sha256: str
    untrained: bool
    notice: Annotated[str | None, Field(description="What this model's answers must say.")]
    input_size: Annotated[list[int], Field(min_length=3, max_length=3)]
    context_length: int
    device: str
    dtype: str
    licence: str


class CapabilitiesOut(BaseModel):
    """The engine and its present state."""

    api: str
    software: str
    state: State
    problem: str
    notice: Annotated[str, Field(description="Must be shown with every answer.")]
    model: ModelOut | None
    waiting: int
    running: int
    volumes: int
    memory_total: int
    memory_free: int
    restarts: int
    replicas: Annotated[int, Field(description="Processes that hold, or are to hold, the model.")]
    replicas_ready: int
    may_change_model: bool
    max_volume_bytes: int
    max_grace_s: float


class VolumeOut(BaseModel):
    """A volume that is held."""

    sha256: Sha256


def _codes() -> str:
    said = [
        f"- `{code}` ({status}): {meaning}" for code, (status, meaning) in engine_codes().items()
    ]
    return "\n".join(
        [
            "Short stable name, for programs. Each with its usual status, which stands in the "
            "document also where it is in an `error` event (`bad-input` comes with 405, 408 and "
            "422, too); a code that a client does not know is to be treated by its status:",
            "",
            *said,
        ]
    )


class Problem(BaseModel):
    """An error, RFC 9457."""

    type: str
    title: str
    status: int
    detail: Annotated[str, Field(description="What happened and why, for a person.")]
    code: Annotated[str, Field(description=_codes(), examples=list(engine_codes()))]
    hint: Annotated[str, Field(description="What to do; may be empty.")]


class AcceptedEvent(BaseModel):
    """First: the question has its id."""

    type: Literal["accepted"]
    question: str
    grace_s: float


class StageEvent(BaseModel):
    """The work now under way."""

    type: Literal["stage"]
    name: StageName


class ProgressEvent(BaseModel):
    """Steps done of the present stage."""

    type: Literal["progress"]
    done: int
    total: int


class ScoresEvent(BaseModel):
    """One score for each model slice, summing to 1; before the first token."""

    type: Literal["scores"]
    values: list[Probability]


class TokenEvent(BaseModel):
    """One generated token."""

    type: Literal["token"]
    id: int
    text: str
    probability: Probability


class DoneEvent(BaseModel):
    """Last: the whole answer."""

    type: Literal["done"]
    answer: str
    token_ids: list[int]
    token_probabilities: list[Probability]
    scores: list[Probability]
    finish_reason: FinishReason
    choice_probabilities: dict[str, Probability]
    timings_s: dict[str, float]
    cache_hits: list[str]
    seed: int | None


class ErrorEvent(BaseModel):
    """Last, instead of ``done``: there is no answer, or it could not be finished."""

    type: Literal["error"]
    problem: Problem


EventOut = Annotated[
    AcceptedEvent | StageEvent | ProgressEvent | ScoresEvent | TokenEvent | DoneEvent | ErrorEvent,
    Field(discriminator="type"),
]


def event_schemas() -> dict[str, Any]:
    """JSON schemas for OpenAPI's components: each event, and ``Event``, which is any of them."""
    whole = TypeAdapter(EventOut).json_schema(ref_template="#/components/schemas/{model}")
    parts: dict[str, Any] = whole.pop("$defs")
    return parts | {"Event": whole}
