"""A whole data set: balance, truth of its answers, repeating it, going on with it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from med2e3.data import VolumeStore
from med2e3.errors import InputError
from med2e3.synthetic.anatomy import HOLDERS, ID, LESIONS, ORGANS
from med2e3.synthetic.dataset import synthesize


def everything(store: VolumeStore) -> dict[str, bytes]:
    files = [*store.root.rglob("*.npy"), *store.root.glob("*.json*")]
    return {file.relative_to(store.root).as_posix(): file.read_bytes() for file in files}


def test_the_same_seed_gives_the_same_bytes_whatever_the_processes(tmp_path: Path) -> None:
    one = synthesize(tmp_path / "one", phantoms=9, seed=7)
    two = synthesize(tmp_path / "two", phantoms=9, seed=7, processes=2)
    other = synthesize(tmp_path / "other", phantoms=9, seed=8)
    assert everything(one) == everything(two)
    assert not {e.sha256 for e in one.entries.values()} & {e.sha256 for e in other.entries.values()}


def test_it_goes_on_where_it_was_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = synthesize(tmp_path / "whole", phantoms=6, seed=1)
    calls = {"left": 3}
    from med2e3.synthetic import dataset

    put = VolumeStore.put

    def stops(self: VolumeStore, *args: object, **kwargs: object) -> None:
        if not calls["left"]:
            raise KeyboardInterrupt
        calls["left"] -= 1
        put(self, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(dataset.VolumeStore, "put", stops)
    with pytest.raises(KeyboardInterrupt):
        synthesize(tmp_path / "part", phantoms=6, seed=1)
    made = {p: p.stat().st_mtime_ns for p in (tmp_path / "part" / "volumes").rglob("*.npy")}
    assert len(made) == 3
    monkeypatch.undo()
    part = synthesize(tmp_path / "part", phantoms=6, seed=1)
    assert everything(part) == everything(whole)
    assert all(path.stat().st_mtime_ns == when for path, when in made.items())


def test_another_wish_for_the_same_folder_is_refused(tmp_path: Path) -> None:
    synthesize(tmp_path, phantoms=1, seed=1)
    with pytest.raises(InputError, match="made otherwise"):
        synthesize(tmp_path, phantoms=1, seed=2)


def test_without_real_data_there_are_phantoms_only_and_it_is_said(tmp_path: Path) -> None:
    empty = tmp_path / "shared"
    empty.mkdir()
    store = synthesize(
        tmp_path / "out", phantoms=2, composites=4, real=4, test_real=4, shared=empty
    )
    assert {entry.attributes["source"] for entry in store.entries.values()} == {"phantom"}
    described = json.loads((store.root / "dataset.json").read_text())
    assert described["volumes"]["composites"] == described["volumes"]["real"] == 0


def test_the_command_says_what_it_left_out(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from med2e3.cli.main import app

    (tmp_path / "shared").mkdir()
    words = ["data", "synthesize", str(tmp_path / "out"), "--shared", str(tmp_path / "shared")]
    counts = ["--phantoms", "2", "--test-phantoms", "1", "--real", "1"]
    done = CliRunner().invoke(app, [*words, *counts])
    assert done.exit_code == 0
    assert "train: 2 volumes" in done.output and "test: 1 volumes" in done.output
    assert "left out: real." in done.stderr


def test_answers_agree_with_labels(phantoms: VolumeStore) -> None:
    for sample in phantoms.samples():
        entry, labels = phantoms.entries[sample.volume], phantoms.labels(sample.volume)
        lesion = entry.attributes["lesion"]
        holds_lesion = np.flatnonzero(np.isin(labels, LESIONS).any(axis=(1, 2)))
        assert bool(len(holds_lesion)) == (lesion is not None)
        assert lesion is None or ID[lesion["kind"]] in labels
        if sample.choices:
            assert sample.choices["ABCD".index(sample.answer_choice)] == sample.answer
            assert sample.target == f"{sample.answer_choice}. {sample.answer}"
        if sample.question.startswith(("Is there a lesion in the", "Do you see a lesion")):
            organ = sample.question.rstrip("?").split()[-1]
            held = lesion is not None and HOLDERS[lesion["organ"]] == organ
            assert sample.answer.lower() == ("yes" if held else "no")
            where = LESIONS if held else ORGANS[organ]
            assert all((np.isin(labels[i], where)).any() for i in sample.slices)
        elif sample.question.startswith(("Can you see", "Does this volume show")):
            organ = sample.question.rstrip("?").split()[-1]
            count = int(np.isin(labels, ORGANS[organ]).sum())
            assert (count > 0) if sample.answer.lower() == "yes" else (count <= 10)
        elif sample.topic == "location":
            assert set(sample.slices) <= set(holds_lesion.tolist())


def test_reports_can_be_checked(phantoms: VolumeStore) -> None:
    reports = [s for s in phantoms.samples() if s.task == "report"]
    assert len(reports) == len(phantoms.entries)
    for report in reports:
        said, known = report.answer.lower(), phantoms.entries[report.volume].attributes
        assert {known["plane"], known["region"]} <= set(report.mentions)
        assert all(phrase.lower() in said for phrase in report.mentions)
        assert not any(phrase.lower() in said for phrase in report.omits)
        assert (known["lesion"] is None) == ("no focal abnormality" in said)
        assert (report.slices is None) == (known["lesion"] is None)
        if known["lesion"]:
            assert known["lesion"]["kind"] in said and known["lesion"]["organ"] in said


def test_answers_are_balanced(phantoms: VolumeStore) -> None:
    """What a model would score without looking stays near chance."""
    entries = [e.attributes for e in phantoms.entries.values()]
    assert sum(a["lesion"] is not None for a in entries) * 2 == len(entries)
    for name in ("plane", "region"):
        assert len(set(Counter(a[name] for a in entries).values())) == 1
    samples = [s for s in phantoms.samples() if s.task == "closed_vqa"]
    letters = Counter(s.answer_choice for s in samples if len(s.choices) == 2)
    assert max(letters.values()) < 0.6 * sum(letters.values())
    topics = {s.topic for s in samples}
    assert topics == {"plane", "phase", "organ", "abnormality", "location", "region"}
    for starts in (("Is there a focal", "Is there an abn", "Is there a lesion in this"),
                   ("Can you see", "Does this volume")):  # fmt: skip
        answers = Counter(s.answer.lower() for s in samples if s.question.startswith(starts))
        assert max(answers.values()) <= 0.55 * sum(answers.values())


def test_each_plane_topic_has_an_open_and_a_closed_form(phantoms: VolumeStore) -> None:
    forms = {(s.topic, s.task) for s in phantoms.samples()}
    for topic in ("plane", "phase", "organ", "abnormality", "location", "region"):
        assert {(topic, "open_vqa"), (topic, "closed_vqa")} <= forms
    asked = {s.question for s in phantoms.samples()}
    assert "Which part of the body does this CT show?" in asked
    assert "Which structures are visible in this volume?" in asked


def test_some_choices_begin_with_a_capital_and_the_answer_is_spelled_like_its_choice(
    phantoms: VolumeStore,
) -> None:
    closed = [s for s in phantoms.samples() if s.task == "closed_vqa"]
    capital = [s for s in closed if all(choice[0].isupper() for choice in s.choices)]
    small = [s for s in closed if all(choice[0].islower() for choice in s.choices)]
    assert len(capital) + len(small) == len(closed)
    assert 0.15 * len(closed) < len(capital) < 0.45 * len(closed)
    assert all(s.answer in s.choices for s in closed)
