"""Muon (Jordan et al., 2024): matrices move in directions that are made orthogonal.

From nothing, a small encoder finds small lesions in a fraction of the steps that AdamW takes.  As
torch's own Muon, except that directions are made orthogonal in the gradients' own precision
(bfloat16 is ten times slower on a CPU without AVX-512), matrices of one shape at once, and that
the parameters that are no matrices learn with AdamW in the same optimizer, so that checkpoints and
learning rate schedules know of one only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

#: of a quintic whose repetition brings all singular values near 1 (Jordan et al.)
_QUINTIC = (3.4445, -4.7750, 2.0315)
_REPETITIONS = 5
_MOMENTUM = 0.95
#: makes steps as long as AdamW's usually are (Liu et al., arXiv 2502.16982)
_AS_ADAMW = 0.2
#: names of layers at an end of the model: what comes in, and what is read off
_ENDS = ("embed", "head", "score")


class MuonAdamW(torch.optim.AdamW):
    """Muon for the groups of parameters with ``orthogonal=True``, AdamW for the others."""

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """One step; gradients of matrices are used up by it.

        Args:
            closure: computes the loss anew; as in torch's optimizers.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            if group.get("orthogonal"):
                self._move(group)
        super().step()
        return loss

    def _move(self, group: dict[str, Any]) -> None:
        alike: dict[torch.Size, list[Tensor]] = defaultdict(list)
        for matrix in group["params"]:
            if matrix.grad is not None:
                alike[matrix.shape].append(matrix)
        for shape, matrices in alike.items():
            directions = orthogonal(torch.stack([self._direction(m) for m in matrices]))
            length = group["lr"] * _AS_ADAMW * max(shape) ** 0.5
            for matrix, direction in zip(matrices, directions, strict=True):
                matrix.mul_(1 - group["lr"] * group["weight_decay"])
                matrix.add_(direction.to(matrix.dtype), alpha=-length)
                matrix.grad = None  # AdamW passes it over

    def _direction(self, matrix: Tensor) -> Tensor:
        """Nesterov's momentum."""
        assert matrix.grad is not None
        state = self.state[matrix]
        if not state:
            state["momentum"] = torch.zeros_like(matrix)
            state["step"] = torch.zeros(())  # AdamW expects one in every state
        state["step"] += 1
        state["momentum"].lerp_(matrix.grad, 1 - _MOMENTUM)
        direction: Tensor = matrix.grad.lerp(state["momentum"], _MOMENTUM)
        return direction


def orthogonal(matrices: Tensor) -> Tensor:
    """Matrices with nearly the same singular vectors, and singular values near 1.

    Args:
        matrices: (count, rows, columns).

    Returns:
        The same shape; for U S Vᵀ about U Vᵀ (singular values 0.7 to 1.2), 0 for a matrix of zeros.
    """
    a, b, c = _QUINTIC
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    tiny = torch.finfo(x.dtype).tiny ** 0.5
    x = x / x.flatten(1).norm(dim=1).clamp_min(tiny)[:, None, None]
    for _ in range(_REPETITIONS):
        gram = x @ x.mT
        x = a * x + torch.baddbmm(gram, gram, gram, beta=b, alpha=c) @ x
    made: Tensor = x.mT if tall else x
    return made


def hidden_matrices(module: nn.Module) -> Iterator[Tensor]:
    """The weights of linear layers between what comes in and what is read off.

    Embeddings, heads and scores are left to AdamW, as Muon's authors advise.
    """
    for name, layer in module.named_modules():
        if isinstance(layer, nn.Linear) and not any(end in name for end in _ENDS):
            yield layer.weight
