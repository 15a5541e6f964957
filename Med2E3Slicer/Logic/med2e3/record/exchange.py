"""The record of one question: what was asked, what came back, and everything it depended on.

Knows which facts a record holds and how they are written as JSON values.  Knows nothing of files,
of the model, or of the person: no file names, no paths, no DICOM attributes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast, get_args

from med2e3.asking.events import FinishReason
from med2e3.asking.question import Task, Turn
from med2e3.errors import InputError
from med2e3.notice import NOTICE
from med2e3.volume import SlicePlace


@dataclass(frozen=True)
class ModelRecord:
    """Which model answered.

    Args:
        name: its name in the catalogue, or its title.
        revision: the published revision, or ``None`` for a local model.
        sha256: checksum of its weights.
        untrained: whether the model says of itself that it was never trained.
        notice: the sentence that must be shown with its answers, or ``None``.
    """

    name: str
    revision: str | None
    sha256: str
    untrained: bool = False
    notice: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The model as it stands in a record."""
        return {
            "name": self.name,
            "revision": self.revision,
            "sha256": self.sha256,
            "untrained": self.untrained,
            "notice": self.notice,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ModelRecord:
        """Read what :meth:`to_dict` gave; other keys are ignored."""
        return cls(
            name=str(values["name"]),
            revision=_text_or_none(values["revision"]),
            sha256=str(values["sha256"]),
            untrained=bool(values.get("untrained", False)),
            notice=_text_or_none(values.get("notice")),
        )


@dataclass(frozen=True)
class VolumeRecord:
    """Which model input was asked about: its checksum and its shape (slices, rows, columns)."""

    sha256: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Exchange:
    """One question and its answer.

    Args:
        question: the question as typed.
        task: ``report``, ``open_vqa`` or ``closed_vqa``.
        answer: the generated text.
        token_ids: new tokens only, with the final end token if there is one.
        token_probabilities: one for each token, in [0, 1].
        scores: TG-IS score of each model slice, summing to 1; empty when the model gives none.
        slices: one place for each model slice, in the model's slice order.
        model: which model answered.
        volume: which model input it was asked about.
        preprocessing: how the volume became the model input (window, plane, slice order, ...).
        generation: decoding settings, device, dtype, and the seed that was really used.
        timings_s: seconds of each stage.
        software: name to version of what took part.
        finish_reason: ``end``, ``length``, ``stop`` or ``cancelled``.
        choices: options of a multiple-choice question, without letters.
        choice_probabilities: letter to probability; empty for other questions.
        history: earlier turns of the conversation, oldest first.
        warnings: sentences a person should read beside the answer.
        created: when, ISO 8601 in UTC; empty when unknown.
        notice: the sentence that accompanies every answer.
    """

    question: str
    task: Task
    answer: str
    token_ids: tuple[int, ...]
    token_probabilities: tuple[float, ...]
    scores: tuple[float, ...]
    slices: tuple[SlicePlace, ...]
    model: ModelRecord
    volume: VolumeRecord
    preprocessing: dict[str, Any]
    generation: dict[str, Any]
    timings_s: dict[str, float]
    software: dict[str, str]
    finish_reason: FinishReason = "end"
    choices: tuple[str, ...] = ()
    choice_probabilities: dict[str, float] = field(default_factory=dict)
    history: tuple[Turn, ...] = ()
    warnings: tuple[str, ...] = ()
    created: str = ""
    notice: str = NOTICE

    @property
    def uniform(self) -> float:
        """The score that every slice would have if none stood out (1/32 for 32 slices).

        0 when there are no scores.
        """
        return 1 / len(self.scores) if self.scores else 0.0

    def relative_scores(self) -> tuple[float, ...]:
        """Each score as a multiple of :attr:`uniform`."""
        return tuple(score / self.uniform for score in self.scores)

    def top_slices(self, count: int = 3) -> tuple[int, ...]:
        """Indices of the ``count`` highest-scored model slices, highest first.

        Of equal scores the lower index comes first.
        """
        order = sorted(range(len(self.scores)), key=lambda index: (-self.scores[index], index))
        return tuple(order[:count])

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON values."""
        return {
            "question": self.question,
            "task": self.task,
            "choices": list(self.choices),
            "history": [{"question": t.question, "answer": t.answer} for t in self.history],
            "answer": self.answer,
            "finish_reason": self.finish_reason,
            "choice_probabilities": dict(self.choice_probabilities),
            "token_ids": list(self.token_ids),
            "token_probabilities": list(self.token_probabilities),
            "scores": list(self.scores),
            "slices": [place.to_dict() for place in self.slices],
            "model": self.model.to_dict(),
            "volume": {"sha256": self.volume.sha256, "shape": list(self.volume.shape)},
            "preprocessing": dict(self.preprocessing),
            "generation": dict(self.generation),
            "timings_s": dict(self.timings_s),
            "software": dict(self.software),
            "warnings": list(self.warnings),
            "created": self.created,
            "notice": self.notice,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Exchange:
        """Read a record; keys that this version does not know are ignored.

        Raises:
            InputError: where a required key is missing or holds what it must not.
        """
        try:
            exchange = cls(
                question=_text(values["question"]),
                task=_one_of(values["task"], Task),
                answer=_text(values["answer"]),
                token_ids=tuple(int(value) for value in values["token_ids"]),
                token_probabilities=_numbers(values["token_probabilities"]),
                scores=_numbers(values["scores"]),
                slices=tuple(SlicePlace.from_dict(place) for place in values["slices"]),
                model=ModelRecord.from_dict(values["model"]),
                volume=_volume(values.get("volume", {})),
                preprocessing=dict(values["preprocessing"]),
                generation=dict(values.get("generation", {})),
                timings_s={str(k): float(v) for k, v in values["timings_s"].items()},
                software={str(k): str(v) for k, v in values["software"].items()},
                finish_reason=_one_of(values.get("finish_reason", "end"), FinishReason),
                choices=tuple(_text(choice) for choice in values.get("choices", ())),
                choice_probabilities=dict(values.get("choice_probabilities", {})),
                history=tuple(
                    Turn(_text(turn["question"]), _text(turn["answer"]))
                    for turn in values.get("history", ())
                ),
                warnings=tuple(_text(warning) for warning in values.get("warnings", ())),
                created=_text(values.get("created", "")),
                notice=_text(values["notice"]),
            )
        except KeyError as error:
            raise InputError(f"The record has no {error.args[0]!r}.") from error
        except (TypeError, ValueError, AttributeError) as error:
            raise InputError("The record is damaged.", detail=repr(error)) from error
        if exchange.scores and len(exchange.scores) != len(exchange.slices):
            raise InputError(
                f"The record has {len(exchange.scores)} scores for {len(exchange.slices)} slices."
            )
        return exchange


def _numbers(values: Any) -> tuple[float, ...]:
    numbers = tuple(float(value) for value in values)
    if not all(math.isfinite(number) for number in numbers):
        raise ValueError("a number is not finite")
    return numbers


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected a text, found {type(value).__name__}")
    return value


def _text_or_none(value: Any) -> str | None:
    return None if value is None else _text(value)


def _one_of(value: Any, allowed: Any) -> Any:
    if value not in get_args(allowed):
        raise ValueError(f"{value!r} is not one of {get_args(allowed)}")
    return value


def _volume(values: Mapping[str, Any]) -> VolumeRecord:
    shape = cast("list[int]", values.get("shape", []))
    return VolumeRecord(str(values.get("sha256", "")), tuple(int(size) for size in shape))
