"""Score grounding."""

from __future__ import annotations

import math

import torch

from med2e3.training.losses import grounding_loss


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
