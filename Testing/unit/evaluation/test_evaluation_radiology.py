"""The optional adapter to radeval, where that package is installed."""

from __future__ import annotations

import sys

import pytest

from med2e3.errors import InputError
from med2e3.evaluation.radiology import RadiologyMetrics


def test_without_the_package_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "radeval", None)  # as if it were not installed
    with pytest.raises(InputError, match="radeval, which is not installed"):
        RadiologyMetrics(["rouge"])


def test_single_reports_are_scored() -> None:
    pytest.importorskip("radeval")
    answers, references = ["the lungs are clear", ""], ["the lungs are clear", "a nodule"]
    scores = RadiologyMetrics(["rouge"]).compute(answers, references)
    assert scores["radeval_rouge1"] == {
        ("the lungs are clear", "the lungs are clear"): pytest.approx(1),
        ("", "a nodule"): 0,
    }
