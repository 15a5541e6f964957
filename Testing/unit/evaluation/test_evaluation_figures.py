"""Slice scores, intervals, retrieval, and what is averaged over what."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from med2e3.data.sample import Sample
from med2e3.evaluation import attention
from med2e3.evaluation.answers import Answered
from med2e3.evaluation.intervals import Bootstrap
from med2e3.evaluation.measure import BlindAnswers, measure
from med2e3.evaluation.retrieval import retrieval
from med2e3.evaluation.summary import Figure, summarise
from med2e3.evaluation.text_metrics import TextMetricOptions, TextMetrics

# ---- slice scores ----------------------------------------------------------------------------


def test_mass_and_hottest_slice() -> None:
    scores = [0.1, 0.5, 0.3, 0.1]
    assert attention.relevant_mass(scores, (1, 2)) == pytest.approx(0.8)
    assert attention.uniform_mass(scores, (1, 2)) == 0.5
    assert attention.hottest_is_relevant(scores, (2,)) == 0
    assert attention.hottest_is_relevant([0.25] * 4, (2,)) == 0.25  # all are hottest


def test_distances_have_their_known_ends() -> None:
    one, other = np.array([1.0, 0, 0]), np.array([0, 0.5, 0.5])
    assert attention.total_variation(one, other) == attention.jensen_shannon(one, other) == 1
    assert attention.total_variation(one, one) == attention.jensen_shannon(one, one) == 0
    half = np.array([0.5, 0.5, 0])
    assert attention.total_variation(one, half) == 0.5
    # 0.5 * log2(4/3) + 0.5 * (0.5 * log2(2/3) + 0.5 * log2(2))
    assert attention.jensen_shannon(one, half) == pytest.approx(0.3112781244591328)
    assert attention.mean_distances([[1, 0]]) is None
    assert attention.mean_distances([[1, 0], [0, 1], [2, 0]]) == pytest.approx((2 / 3, 2 / 3))


# ---- intervals -------------------------------------------------------------------------------


def test_clusters_widen_the_interval() -> None:
    values = np.repeat([0.0, 1.0] * 10, 50)
    every = np.arange(len(values))
    alone = Bootstrap([str(i) for i in every]).mean(values, every)
    together = Bootstrap([str(i // 50) for i in every]).mean(values, every)
    assert alone.value == together.value == 0.5
    assert together.high - together.low > 5 * (alone.high - alone.low)
    assert (together.samples, together.volumes) == (1000, 20)


def test_interval_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(200):
        clusters = rng.normal(size=(30, 1)) + rng.normal(size=(30, 4))
        names = np.repeat(np.arange(30), 4).astype(str)
        found = Bootstrap(names.tolist(), draws=400).mean(clusters.ravel(), np.arange(120))
        covered += found.low <= 0 <= found.high
    assert 0.88 <= covered / 200 <= 0.99


def test_ratio_macro_and_seed() -> None:
    names = ["a", "a", "b", "c"]
    one = Bootstrap(names, seed=3)
    values = np.array([1.0, 0.0, 1.0, 0.0])
    assert one.ratio(values, np.full(4, 0.25), np.arange(4)).value == 2
    parts = [(values[:1], np.array([0])), (values[1:], np.array([1, 2, 3]))]
    assert one.macro(parts).value == pytest.approx((1 + 1 / 3) / 2)
    again = Bootstrap(names, seed=3)
    assert one.mean(values, np.arange(4)) == again.mean(values, np.arange(4))


def test_one_volume_gives_no_interval() -> None:
    found = Bootstrap(["a", "a"]).mean(np.array([0.0, 1.0]), np.arange(2))
    assert found.value == 0.5 and np.isnan(found.low) and np.isnan(found.high)


def test_distinct_and_most_frequent_answers() -> None:
    names = ["a", "b", "c", "d"]
    every = np.arange(4)
    template = Bootstrap(names).distinct_share(["x"] * 4, every)
    assert template.value == 0.25
    varied = Bootstrap(names).distinct_share(["w", "x", "y", "z"], every)
    assert varied.value == varied.low == varied.high == 1
    largest = Bootstrap(names).largest_share(["x", "x", "y", "x"], every)
    assert largest.value == 0.75
    assert largest.low <= 0.75 <= largest.high == 1


# ---- retrieval -------------------------------------------------------------------------------


def test_retrieval_counts_ranks_both_ways() -> None:
    images = np.eye(4)
    texts = np.eye(4)[[0, 1, 3, 2]]  # the last two are exchanged
    found = retrieval(images, texts, ranks=(1, 2, 4))
    for recalls in (found.image_to_text, found.text_to_image):
        assert [recalls[k].value for k in (1, 4)] == [0.5, 1]
    # a zero cosine ties with every other zero, and ties count against the model
    assert found.image_to_text[2].value == 0.5


def test_equal_texts_are_one_candidate() -> None:
    images = np.array([[1, 0, 0], [0.9, 0.1, 0], [0, 1, 0.0]])
    texts = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0.0]])
    found = retrieval(images, texts, wording=["same", "same", "other"], ranks=(1,))
    assert (found.images, found.texts, found.repeated_texts) == (3, 2, 2)
    assert found.image_to_text[1].value == found.text_to_image[1].value == 1
    assert found.text_to_image[1].samples == 2


def test_an_encoder_that_says_the_same_of_everything_finds_nothing() -> None:
    rng = np.random.default_rng(0)
    same = np.tile(rng.normal(size=(1, 48)), (300, 1))
    found = retrieval(same, same, wording=[str(i) for i in range(300)])
    assert {e.value for e in (*found.image_to_text.values(), *found.text_to_image.values())} == {0}


def test_retrieval_agrees_with_sorting() -> None:
    rng = np.random.default_rng(2)
    images = rng.normal(size=(1500, 8))  # more than one block of rows
    texts = images + rng.normal(size=(1500, 8))
    found = retrieval(images, texts, ranks=(1, 10))
    unit = [m / np.linalg.norm(m, axis=1, keepdims=True) for m in (images, texts)]
    cosines = unit[0] @ unit[1].T
    for recalls, matrix in ((found.image_to_text, cosines), (found.text_to_image, cosines.T)):
        order = np.argsort(-matrix, axis=1)
        for k in (1, 10):
            expected = np.mean([i in order[i, :k] for i in range(1500)])
            assert recalls[k].value == pytest.approx(expected)


def test_matrices_of_different_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="expected two equal"):
        retrieval(np.ones((2, 3)), np.ones((3, 3)))


# ---- summary ---------------------------------------------------------------------------------


def closed(number: int, topic: str, right: bool) -> tuple[Sample, Answered]:
    sample = Sample(
        id=f"{topic}{number}",
        volume=f"v{number}",
        split="test",
        task="closed_vqa",
        question=f"{topic}?",
        topic=topic,
        choices=("yes", "no"),
        answer="yes",
        answer_choice="A",
        slices=(0,),
    )
    return sample, Answered(sample.id, "A. yes" if right else "B. no", "end", (1,), 1, (0.7, 0.3))


def figure(figures: list[Figure], metric: str, group: str) -> Figure:
    (found,) = [f for f in figures if (f.metric, f.group) == (metric, group)]
    return found


def test_macro_is_the_mean_of_topics_and_micro_of_samples() -> None:
    asked = [closed(i, "plane", right=True) for i in range(3)]
    asked += [closed(9, "organ", right=False)]
    answers = {sample.id: answered for sample, answered in asked}
    samples = [sample for sample, _ in asked]
    negative = replace(samples[0], answer="no", answer_choice="B")
    blind = BlindAnswers([negative, *samples], "a test")
    figures = summarise(measure(samples, answers, TextMetrics(TextMetricOptions()), blind), seed=1)
    assert figure(figures, "accuracy", "plane").estimate.value == 1
    assert figure(figures, "accuracy", "organ").estimate.value == 0
    assert figure(figures, "accuracy", "macro").estimate.value == 0.5
    micro = figure(figures, "accuracy", "micro")
    assert micro.estimate.value == 0.75
    assert micro.chance == 0.5
    assert micro.prior is not None and micro.prior.value == 1
    assert figure(figures, "mass_over_uniform", "micro").estimate.value == pytest.approx(1.4)
    assert figure(figures, "hottest_relevant", "micro").chance == 0.5
    assert figure(figures, "distinct_answers", "micro").estimate.value == 0.5
