"""Muon: directions are orthogonal, what is no matrix learns as with AdamW, checkpoints go on."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import TrainingArguments

from med2e3.errors import InputError
from med2e3.training.muon import MuonAdamW, hidden_matrices, orthogonal
from med2e3.training.trainer import OrderedTrainer


class Net(nn.Module):
    """Embedding, hidden layers of two shapes, head."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(7, 12)
        self.first = nn.Linear(12, 20)
        self.second = nn.Linear(20, 12)
        self.head = nn.Linear(12, 3)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.head(self.second(torch.tanh(self.first(self.embed(ids)))))
        return out


def optimizer(net: Net) -> MuonAdamW:
    matrices = list(hidden_matrices(net))
    others = [p for p in net.parameters() if all(p is not m for m in matrices)]
    return MuonAdamW(
        [{"params": matrices, "orthogonal": True, "lr": 0.02}, {"params": others}], lr=0.01
    )


def steps(net: Net, made: torch.optim.Optimizer, count: int, start: int = 0) -> list[float]:
    ids = torch.arange(7)
    losses = []
    for _ in range(start, start + count):
        loss = nn.functional.cross_entropy(net(ids), ids % 3)
        made.zero_grad()
        loss.backward()
        made.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("shape", [(2, 8, 20), (3, 20, 8), (1, 16, 16)])
def test_singular_values_come_near_1_and_vectors_stay(shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(1)
    given = torch.randn(shape, generator=generator, dtype=torch.float64)
    made = orthogonal(given)
    assert made.shape == given.shape
    values = torch.linalg.svdvals(made)
    assert values.min() > 0.6
    assert values.max() < 1.3
    u, _, v = torch.linalg.svd(given, full_matrices=False)
    turned = u.mT @ made @ v.mT  # diagonal when the singular vectors are the same
    assert torch.allclose(turned, torch.diag_embed(turned.diagonal(dim1=1, dim2=2)), atol=1e-8)


def test_a_gradient_of_zeros_moves_nothing() -> None:
    assert torch.equal(orthogonal(torch.zeros(2, 3, 4)), torch.zeros(2, 3, 4))


def test_hidden_matrices_leave_out_both_ends() -> None:
    net = Net()
    assert [tuple(m.shape) for m in hidden_matrices(net)] == [(20, 12), (12, 20)]


def test_what_is_no_matrix_moves_exactly_as_with_adamw() -> None:
    torch.manual_seed(0)
    net = Net()
    other = copy.deepcopy(net)
    ours, plain = optimizer(net), torch.optim.AdamW(other.parameters(), lr=0.01)
    steps(net, ours, 1)
    steps(other, plain, 1)
    moved = dict(other.named_parameters())
    for name, parameter in net.named_parameters():
        hidden = name in ("first.weight", "second.weight")
        assert torch.equal(parameter, moved[name]) is not hidden, name


def test_it_learns_and_goes_on_from_its_state_exactly() -> None:
    torch.manual_seed(0)
    net = Net()
    made = optimizer(net)
    losses = steps(net, made, 30)
    assert losses[-1] < 0.3 * losses[0]
    again = copy.deepcopy(net)
    resumed = optimizer(again)
    resumed.load_state_dict(copy.deepcopy(made.state_dict()))
    assert steps(net, made, 3) == steps(again, resumed, 3)
    for one, two in zip(net.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, two)


def test_a_closure_is_asked_for_the_loss_once() -> None:
    torch.manual_seed(0)
    net = Net()
    made, asked = optimizer(net), []

    def closure() -> Any:
        asked.append(1)
        made.zero_grad()
        loss = net(torch.arange(7)).square().mean()
        loss.backward()
        return loss

    assert made.step(closure) > 0
    assert len(asked) == 1


def trainer(folder: Path, **options: Any) -> OrderedTrainer:
    arguments = TrainingArguments(str(folder), learning_rate=0.01, use_cpu=True, report_to=[])
    return OrderedTrainer(model=Net(), args=arguments, **options)


def test_learning_rates_of_parts_and_of_muon_multiply(tmp_path: Path) -> None:
    made = trainer(tmp_path, muon=5, layer_wise={"second": 0.1}).create_optimizer()
    rates = {tuple(p.shape): (g["lr"], g["orthogonal"]) for g in made.param_groups
             for p in g["params"] if p.ndim == 2}  # fmt: skip
    assert isinstance(made, MuonAdamW)
    assert rates == {
        (7, 12): (0.01, False),
        (20, 12): (0.05, True),
        (12, 20): (pytest.approx(0.005), True),
        (3, 12): (0.01, False),
    }
    assert sum(len(g["params"]) for g in made.param_groups) == 7


def test_without_muon_the_optimizer_is_the_library_s(tmp_path: Path) -> None:
    made = trainer(tmp_path, layer_wise={"second": 0.1}).create_optimizer()
    assert type(made) is torch.optim.AdamW


def test_sharded_weights_are_refused(tmp_path: Path) -> None:
    made = trainer(tmp_path, muon=5)
    made.is_fsdp_enabled = True
    with pytest.raises(InputError, match="whole matrices"):
        made.create_optimizer()
