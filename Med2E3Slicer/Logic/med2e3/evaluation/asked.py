"""Asking a loaded model the questions of samples, volume by volume.

Knows sessions and stores; each finished sample is written down before the next is asked.  Knows
nothing of metrics.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from itertools import groupby

import numpy as np
import numpy.typing as npt

from med2e3.asking import Done, GenerationOptions, Question
from med2e3.data.sample import Sample
from med2e3.data.store import VolumeStore
from med2e3.errors import InputError
from med2e3.evaluation.answers import Answered, Appender
from med2e3.session import Session


@dataclass(frozen=True)
class StoredVolume:
    """A volume as a session takes it.

    Args:
        voxels: (slices, rows, columns) in 0..1.
        sha256: what the session remembers it by.
    """

    voxels: npt.NDArray[np.float32]
    sha256: str


@dataclass(frozen=True)
class ScoredQuestion(Question):
    """A question whose slices are scored against a text of the data set's own.

    Args:
        scored_against: what TG-IS reads.
    """

    scored_against: str = ""

    @property
    def scoring_text(self) -> str:
        """The data set's text."""
        return self.scored_against


def question_of(sample: Sample) -> Question:
    """The sample's question, with what TG-IS was trained to read for it."""
    question = sample.as_question()
    if sample.scoring_text in ("", question.scoring_text):
        return question
    values = {field.name: getattr(question, field.name) for field in fields(question)}
    return ScoredQuestion(**values, scored_against=sample.scoring_text)


def by_volume(
    store: VolumeStore, samples: Iterable[Sample]
) -> Iterator[tuple[StoredVolume, list[Sample]]]:
    """Each volume, read once, with its samples; these must be sorted by volume."""
    entries = store.entries
    for key, group in groupby(samples, key=lambda sample: sample.volume):
        entry = entries.get(key)
        yield StoredVolume(store.voxels(key), entry.sha256 if entry else key), list(group)


def ask_samples(
    session: Session,
    store: VolumeStore,
    samples: Iterable[Sample],
    max_new_tokens: int,
    appender: Appender,
    progress: Callable[[], None] = lambda: None,
) -> None:
    """Ask every sample and write what was said.

    Args:
        session: answers greedily.
        store: holds the samples' volumes.
        samples: sorted by volume.
        max_new_tokens: longest answer.
        appender: gets one :class:`Answered` for each sample.
        progress: called after each.
    """
    options = GenerationOptions(max_new_tokens=max_new_tokens)
    for volume, group in by_volume(store, samples):
        for sample in group:
            appender.write(_ask(session, volume, sample, options).as_dict())
            progress()


def _ask(
    session: Session, volume: StoredVolume, sample: Sample, options: GenerationOptions
) -> Answered:
    try:
        events = session.ask(volume, question_of(sample), options)
        done = next(event for event in events if isinstance(event, Done))
    except InputError:
        # the sizes were compared before: this question with its choices is too long for the model
        return Answered(sample.id, "", "too_long")
    probabilities = done.token_probabilities
    return Answered(
        id=sample.id,
        answer=done.answer,
        finish_reason=done.finish_reason,
        token_ids=done.token_ids,
        token_probability=float(np.mean(probabilities)) if probabilities else 0.0,
        scores=done.scores,
        choice_probabilities=done.choice_probabilities,
    )
