"""From an answered question to its record.

Knows which part of a record comes from where; reads no files and knows no model.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

import med2e3
from med2e3.asking import Done, Question
from med2e3.errors import Med2E3Error
from med2e3.notice import whole_notice
from med2e3.record.exchange import Exchange, ModelRecord, VolumeRecord
from med2e3.volume import SlicePlace

_PACKAGES = ("torch", "transformers", "numpy", "SimpleITK")


def software_versions() -> dict[str, str]:
    """Versions of this package, of Python, and of the libraries that shape an answer."""
    versions = {"med2e3": med2e3.__version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def build_exchange(
    question: Question,
    done: Done,
    *,
    slices: Iterable[SlicePlace],
    model: ModelRecord,
    volume: VolumeRecord,
    preprocessing: Mapping[str, Any],
    generation: Mapping[str, Any],
    warnings: Iterable[str] = (),
    extra_timings_s: Mapping[str, float] | None = None,
) -> Exchange:
    """Put together the record of one answered question.

    Args:
        question: what was asked.
        done: the engine's last event.
        slices: of the slice map, one for each model slice.
        model: which model answered.
        volume: which model input it was asked about.
        preprocessing: how that input was made.
        generation: decoding settings with device, dtype and the seed really used.
        warnings: sentences about the volume or the answer.
        extra_timings_s: seconds spent before the engine was asked (reading, loading).

    Raises:
        Med2E3Error: when the model gave numbers that are not finite.
    """
    numbers = (*done.scores, *done.token_probabilities, *done.choice_probabilities.values())
    if not all(math.isfinite(number) for number in numbers):
        raise Med2E3Error(
            "The model's numbers overflowed, so its answer cannot be trusted.",
            hint="Ask again with --dtype float32 or --dtype bfloat16.",
        )
    return Exchange(
        question=question.text,
        task=question.resolved_task,
        answer=done.answer,
        token_ids=done.token_ids,
        token_probabilities=done.token_probabilities,
        scores=done.scores,
        slices=tuple(slices),
        model=model,
        volume=volume,
        preprocessing=dict(preprocessing),
        generation=dict(generation),
        timings_s={**(extra_timings_s or {}), **done.timings_s},
        software=software_versions(),
        finish_reason=done.finish_reason,
        choices=question.choices,
        choice_probabilities=dict(done.choice_probabilities),
        history=question.history,
        warnings=tuple(warnings),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        notice=whole_notice(model.notice),
    )
