"""The deletion test on a real (random) model, and its curves."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from med2e3.asking import Done, GenerationOptions
from med2e3.data.sample import Sample
from med2e3.data.store import VolumeStore
from med2e3.evaluation.answers import Answered
from med2e3.evaluation.asked import by_volume, question_of
from med2e3.evaluation.deletion_curves import (
    curves_of,
    curves_table,
    picture,
    section,
)
from med2e3.evaluation.deletions import (
    HIGHEST,
    LOWEST,
    RANDOM,
    REMOVED,
    Deletion,
    slices_to_remove,
)
from med2e3.evaluation.faithfulness import DeletionTest, blanked
from med2e3.session import Session


@pytest.fixture(scope="module")
def answered(session: Session, store: VolumeStore) -> dict[str, tuple[Sample, Answered, Done]]:
    """Real answers about the first volume, by task and topic."""
    volume, samples = next(by_volume(store, store.samples("test")))
    found = {}
    for sample in samples:
        options = GenerationOptions(max_new_tokens=6)
        events = session.ask(volume, question_of(sample), options)
        done = next(e for e in events if isinstance(e, Done))
        said = Answered(
            sample.id,
            done.answer,
            done.finish_reason,
            done.token_ids,
            float(np.mean(done.token_probabilities)),
            done.scores,
            done.choice_probabilities,
        )
        found[sample.topic or sample.task] = (sample, said, done)
    return found


def test_highest_and_lowest_are_removed_first() -> None:
    scores = [0.1, 0.4, 0.2, 0.3]
    assert slices_to_remove(scores, HIGHEST, 2, "v", 0) == (1, 3)
    assert slices_to_remove(scores, LOWEST, 2, "v", 0) == (0, 2)
    assert slices_to_remove(scores, HIGHEST, 0, "v", 0) == ()


def test_random_slices_depend_on_volume_and_draw_only() -> None:
    one, other = [0.1] * 32, [0.2] * 32
    parts = {slices_to_remove(one, RANDOM, 4, "v", draw) for draw in range(20)}
    assert len(parts) > 15
    assert slices_to_remove(one, RANDOM, 4, "v", 3) == slices_to_remove(other, RANDOM, 4, "v", 3)
    assert slices_to_remove(one, RANDOM, 4, "v", 3) != slices_to_remove(one, RANDOM, 4, "w", 3)
    # what is removed first stays removed
    assert set(slices_to_remove(one, RANDOM, 4, "v", 3)) < set(
        slices_to_remove(one, RANDOM, 8, "v", 3)
    )


def test_blanking_changes_these_slices_only(store: VolumeStore) -> None:
    volume, _ = next(by_volume(store, store.samples("test")))
    altered = blanked(volume, (3, 5))
    changed = np.flatnonzero((altered.voxels != volume.voxels).any(axis=(1, 2)))
    assert changed.tolist() == [3, 5] and not altered.voxels[[3, 5]].any()
    assert altered.sha256 != volume.sha256
    assert blanked(volume, ()) is volume


@pytest.mark.parametrize("about", ["report", "organ"])
def test_confidence_with_nothing_removed_is_what_the_session_gave(
    session: Session, store: VolumeStore, answered: dict, about: str
) -> None:
    """Teacher forcing gives the probabilities of generation."""
    volume, _ = next(by_volume(store, store.samples("test")))
    sample, said, done = answered[about]
    curves = DeletionTest(session, draws=1).run(volume, sample, said)
    expected = float(np.mean(done.token_probabilities))
    assert [curves.confidence[order][0] for order in (HIGHEST, RANDOM, LOWEST)] == pytest.approx(
        [expected] * 3, rel=1e-4
    )
    assert curves.removed == REMOVED and not curves.right
    assert len(set(np.round(curves.confidence[HIGHEST], 7))) > 1  # removing slices has an effect


@torch.inference_mode()
def test_whole_model_runs_again_on_the_altered_volume(
    session: Session, store: VolumeStore, answered: dict
) -> None:
    """Against the model's own forward pass with pixels, without any cache."""
    volume, _ = next(by_volume(store, store.samples("test")))
    sample, said, _ = answered["organ"]
    curves = DeletionTest(session, draws=1).run(volume, sample, said)
    gone = slices_to_remove(said.scores, HIGHEST, 4, volume.sha256, 0)
    batch = session.processor(question_of(sample), blanked(volume, gone).voxels)
    batch["input_ids"] = torch.cat([batch["input_ids"], torch.tensor([said.token_ids[:-1]])], 1)
    batch["attention_mask"] = torch.ones_like(batch["input_ids"])
    logits = session.model(**batch).logits[0, -len(said.token_ids) :]
    shares = torch.softmax(logits, -1)[torch.arange(len(said.token_ids)), list(said.token_ids)]
    assert curves.confidence[HIGHEST][3] == pytest.approx(float(shares.mean()), rel=1e-4)


def test_closed_questions_follow_the_chosen_letter(
    session: Session, store: VolumeStore, answered: dict
) -> None:
    volume, _ = next(by_volume(store, store.samples("test")))
    sample, said, _ = answered["plane"]
    assert set(said.choice_probabilities) == {"A", "B", "C", "D"}
    named = replace(said, answer="C. sagittal")
    curves = DeletionTest(session, draws=2).run(volume, sample, named)
    assert curves.confidence[HIGHEST][0] == pytest.approx(said.choice_probabilities["C"], rel=1e-5)
    most = max(said.choice_probabilities, key=said.choice_probabilities.__getitem__)
    assert curves.right[LOWEST][0] == (most == sample.answer_choice)
    assert all(0 <= value <= 1 for row in curves.right.values() for value in row)
    assert Deletion.of_dict(curves.as_dict()) == curves


def made_up(name: str, falls: float) -> Deletion:
    """Confidence falls with the highest-scored slices and stays otherwise."""
    down = [0.8 - falls * count / 16 for count in REMOVED]
    flat = [0.8] * len(REMOVED)
    return Deletion(name, REMOVED, {HIGHEST: down, RANDOM: flat, LOWEST: flat})


def test_area_is_the_mean_distance_of_the_curves() -> None:
    names = [str(i) for i in range(6)]
    samples = {n: Sample(n, f"v{n}", "test", "open_vqa", "a", "q") for n in names}
    falls = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    deletions = [made_up(n, f) for n, f in zip(names, falls, strict=True)]
    curves, areas = curves_of(samples, deletions)
    for area in areas:  # a straight line that falls by f lies f/2 below the flat one on average
        assert area.estimate.value == pytest.approx(np.mean(falls) / 2)
        assert 0 < area.estimate.low < area.estimate.value < area.estimate.high
    (highest,) = [c for c in curves if c.order == HIGHEST]
    assert highest.points[-1].value == pytest.approx(0.8 - np.mean(falls))
    rows = list(csv.DictReader(io.StringIO(curves_table(curves, "a notice"))))
    assert len(rows) == 3 * len(REMOVED)
    assert {row["notice"] for row in rows} == {"a notice"}
    assert "17.50 [" in section(areas)
    with Image.open(io.BytesIO(picture(curves, "a notice"))) as image:
        assert image.width > 400 and len(image.convert("RGB").getcolors(1 << 20)) > 10
