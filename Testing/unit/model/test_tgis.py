"""TG-IS against the paper's equations, written out slice by slice."""

from __future__ import annotations

import math

import pytest
import torch

from fixtures.random_model import small_config
from med2e3.model.tgis import TextGuidedInterSlice, local_3d_features, slice_vectors

Features = tuple[torch.Tensor, torch.Tensor]
SLABS, SLICES, TOKENS_3D, TOKENS_2D, WIDTH = 4, 32, 64, 25, 96


@pytest.fixture
def features() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return torch.randn(2, TOKENS_3D, WIDTH), torch.randn(2, SLICES, TOKENS_2D, WIDTH)


def test_each_slice_gets_the_tokens_of_its_own_slab(features: Features) -> None:
    features_3d, _ = features
    local = local_3d_features(features_3d, SLABS, SLICES)
    for index in range(SLICES):
        slab = index // (SLICES // SLABS)
        tokens = features_3d[:, slab * 16 : (slab + 1) * 16]
        assert torch.equal(local[:, index], tokens)


def test_a_slice_vector_is_one_mean_over_all_its_tokens(features: Features) -> None:
    features_3d, features_2d = features
    vectors = slice_vectors(features_3d, features_2d, SLABS, "both")
    slab = features_3d[1, 16:32]
    by_hand = (slab.sum(dim=0) + features_2d[1, 9].sum(dim=0)) / (16 + TOKENS_2D)
    torch.testing.assert_close(vectors[1, 9], by_hand)


@pytest.mark.parametrize("local", ["both", "2d", "3d"])
def test_scores_are_the_softmax_of_the_scaled_dot_products(features: Features, local: str) -> None:
    features_3d, features_2d = features
    torch.manual_seed(2)
    module = TextGuidedInterSlice(small_config(50, 50, local_features=local)).eval()
    module.requires_grad_(False)
    pooled = torch.randn(2, 64)
    scores = module.scores(features_3d, features_2d, pooled)

    text = module.question_projection(pooled)
    vectors = slice_vectors(features_3d, features_2d, SLABS, local)
    relevance = [float(vectors[0, j] @ text[0]) / 5.0 for j in range(SLICES)]
    total = sum(math.exp(r) for r in relevance)
    for j in range(SLICES):
        assert float(scores[0, j]) == pytest.approx(math.exp(relevance[j]) / total, rel=1e-4)
    torch.testing.assert_close(scores.sum(dim=1), torch.ones(2))


def test_slabs_can_be_other_than_the_layers_of_3d_tokens() -> None:
    assert small_config(50, 50).num_slabs == small_config(50, 50).pooled_grid[0]
    assert TextGuidedInterSlice(small_config(50, 50, slabs=2)).num_slabs == 2
    with pytest.raises(ValueError, match="do not divide"):
        small_config(50, 50, slabs=5)


def test_aggregation_is_the_weighted_sum_of_the_slices(features: Features) -> None:
    features_3d, features_2d = features
    module = TextGuidedInterSlice(small_config(50, 50)).eval()
    aggregated, scores = module(features_3d, features_2d, torch.randn(2, 64))
    assert scores is not None
    by_hand = sum(scores[0, j] * features_2d[0, j] for j in range(SLICES))
    torch.testing.assert_close(aggregated[0], by_hand)


def test_variants_that_attend_to_nothing_give_no_scores(features: Features) -> None:
    features_3d, features_2d = features
    results = {}
    for aggregation in ("average", "max", "random"):
        module = TextGuidedInterSlice(small_config(50, 50, aggregation=aggregation)).eval()
        results[aggregation], scores = module(features_3d, features_2d, None)
        assert scores is None
    torch.testing.assert_close(results["average"], features_2d.mean(dim=1))
    torch.testing.assert_close(results["max"], features_2d.max(dim=1).values)
    low, high = features_2d.min(dim=1).values, features_2d.max(dim=1).values
    assert bool(((results["random"] >= low) & (results["random"] <= high)).all())


def test_dropout_acts_on_the_scores_in_training_only(features: Features) -> None:
    features_3d, features_2d = features
    module = TextGuidedInterSlice(small_config(50, 50, score_dropout=0.5))
    text = torch.randn(2, 64)
    torch.manual_seed(3)
    trained, scores = module.train()(features_3d, features_2d, text)
    evaluated, same = module.eval()(features_3d, features_2d, text)
    torch.testing.assert_close(scores, same)
    assert not torch.allclose(trained, evaluated)


@pytest.mark.parametrize("aggregation", ["tgis", "average", "max"])
def test_questions_about_one_volume_share_it(features: Features, aggregation: str) -> None:
    # the second of three volumes is asked about by no one
    features_3d, features_2d = (torch.cat([part, part[:1] + 1]) for part in features)
    torch.manual_seed(3)
    module = TextGuidedInterSlice(small_config(50, 50, aggregation=aggregation)).eval()
    index, text = torch.tensor([2, 0, 0, 2, 0]), torch.randn(5, 64)
    features_2d.requires_grad_()
    shared, scores = module(features_3d, features_2d, text, index)
    (gradient,) = torch.autograd.grad(shared.square().sum(), features_2d)
    repeated, expected = module(features_3d[index], features_2d[index], text)
    (wanted,) = torch.autograd.grad(repeated.square().sum(), features_2d)
    torch.testing.assert_close(shared, repeated)
    torch.testing.assert_close(gradient, wanted)
    if expected is not None:
        torch.testing.assert_close(scores, expected)
        assert (expected[1] - expected[2]).abs().max() > 1e-3  # the questions differ


def test_each_question_draws_its_own_random_slices(features: Features) -> None:
    module = TextGuidedInterSlice(small_config(50, 50, aggregation="random")).eval()
    mixed, scores = module(*features, None, torch.tensor([1, 1, 0]))
    assert scores is None and not torch.allclose(mixed[0], mixed[1])
