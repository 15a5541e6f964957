"""Metrics made for radiology reports, by the package radeval where a person has installed it.

Knows how radeval is asked for scores of single reports.  radeval is no dependency: it brings
about a hundred packages, most of its metrics load models from a hub, and some send the reports to
a paid service.  Knows nothing of what its metrics mean.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from med2e3.errors import InputError, Med2E3Error

#: what the names of these metrics begin with in results
PREFIX = "radeval_"


class RadiologyMetrics:
    """Metrics of radeval.

    Args:
        names: as radeval calls them, such as ``f1radbert_ct``.

    Raises:
        InputError: when radeval is not installed or does not take these names.
    """

    def __init__(self, names: Sequence[str]) -> None:
        try:
            package: Any = importlib.import_module("radeval")
        except ImportError as error:
            raise InputError(
                "Radiology metrics need the package radeval, which is not installed.",
                hint="See docs/evaluation.md, or leave --radiology-metric out.",
                detail=repr(error),
            ) from error
        try:
            self._score: Any = package.RadEval(
                metrics=list(names), per_sample=True, show_progress=False
            )
        except Exception as error:  # whatever radeval and what it imports may raise
            raise InputError(
                f"radeval cannot compute {', '.join(names)} here.",
                hint="See its list of metrics and what each of them needs.",
                detail=repr(error),
            ) from error

    def compute(
        self, answers: Sequence[str], references: Sequence[str]
    ) -> dict[str, dict[tuple[str, str], float]]:
        """Every metric of each pair of an answer and its reference; 0 for an empty answer.

        Raises:
            Med2E3Error: when radeval fails.
        """
        pairs = list(dict.fromkeys(zip(answers, references, strict=True)))
        full = [pair for pair in pairs if pair[0].strip()]
        if not full:
            return {}
        try:
            found: dict[str, list[float]] = self._score(
                refs=[reference for _, reference in full], hyps=[answer for answer, _ in full]
            )
            rows = {
                PREFIX + name: dict(zip(full, map(float, values), strict=True))
                for name, values in found.items()
            }
        except Exception as error:  # whatever radeval and what it imports may raise
            raise Med2E3Error(
                "radeval failed while it computed the radiology metrics.",
                hint="Leave --radiology-metric out to get all other figures.",
                detail=repr(error),
            ) from error
        return {name: dict.fromkeys(pairs, 0.0) | values for name, values in rows.items()}
