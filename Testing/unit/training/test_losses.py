"""Score grounding."""

from __future__ import annotations

import math

import torch

from med2e3.training.losses import grounding_loss, weighted_answer_loss


def test_it_is_the_cross_entropy_over_all_rows() -> None:
    scores = torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]])
    targets = torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.0, 0.0]])
    expected = -(0.5 * math.log(0.5) + 0.5 * math.log(0.25)) / 2
    assert math.isclose(grounding_loss(scores, targets).item(), expected, rel_tol=1e-6)


def test_its_gradient_moves_the_scores_onto_the_slices() -> None:
    relevance = torch.zeros(1, 4, requires_grad=True)
    target = torch.tensor([[0.0, 0.5, 0.5, 0.0]])
    grounding_loss(relevance.softmax(-1), target).backward()
    assert relevance.grad is not None
    # softmax minus target
    torch.testing.assert_close(relevance.grad, torch.tensor([[0.25, -0.25, -0.25, 0.25]]))


def test_scores_of_zero_give_a_finite_loss() -> None:
    loss = grounding_loss(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]]))
    assert torch.isfinite(loss)


def test_answers_with_equal_weights_have_the_librarys_loss() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 6, 9, generator=generator)
    labels = torch.full((2, 6), -100)
    labels[:, 3:] = torch.randint(0, 9, (2, 3), generator=generator)
    weights = (labels != -100) / 3
    expected = torch.nn.functional.cross_entropy(
        logits[:, 2:-1].flatten(0, 1), labels[:, 3:].flatten()
    )
    torch.testing.assert_close(weighted_answer_loss(logits, labels, weights), expected)
    only_first = torch.zeros(2, 6)
    only_first[:, 3] = 1
    first = torch.nn.functional.cross_entropy(logits[:, 2], labels[:, 3])
    torch.testing.assert_close(weighted_answer_loss(logits, labels, only_first), first)
