"""One row is multiplied as a vector: as exact as the matrix product, and nothing else changes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from fixtures.random_model import build
from med2e3.asking import Done, GenerationOptions, Question
from med2e3.session import Session
from med2e3.session.loading import load_model
from med2e3.session.single_rows import SingleRowLinear, multiply_single_rows_as_vectors


def a_layer(bias: bool) -> SingleRowLinear:
    torch.manual_seed(0)
    layer = nn.Linear(384, 250, bias=bias).to(torch.bfloat16)
    holder = nn.Sequential(layer)
    multiply_single_rows_as_vectors(holder)
    assert holder[0] is layer and type(layer) is SingleRowLinear
    return layer


@pytest.mark.parametrize("bias", [False, True])
def test_a_single_row_is_as_exact_as_the_matrix_product(bias: bool) -> None:
    """Against float64: within one rounding to bfloat16 (a half of 2^-7), like the product."""
    layer = a_layer(bias)
    rows = torch.randn(50, 384, dtype=torch.bfloat16)
    exact = F.linear(
        rows.double(), layer.weight.double(), layer.bias.double() if bias else None
    ).detach()
    with torch.inference_mode():
        one_by_one = torch.stack([layer(row[None, None])[0, 0] for row in rows])
        together = layer(rows)
    # the bias is added to a rounded product, so it adds a rounding
    size = exact.abs() + (layer.bias.double().abs().detach() if bias else 0)
    bound = size * 2**-8 * (2 if bias else 1) * 1.01 + 1e-4
    assert bool(((one_by_one.double() - exact).abs() <= bound).all())
    error_alone = (one_by_one.double() - exact).pow(2).mean()
    error_together = (together.double() - exact).pow(2).mean()
    assert error_alone <= error_together * (2.5 if bias else 1.05)


def test_gradients_and_other_formats_take_the_usual_way() -> None:
    layer = a_layer(True)
    layer(torch.randn(1, 384, dtype=torch.bfloat16)).sum().backward()
    assert layer.weight.grad is not None
    exact = layer.float()
    row = torch.randn(1, 384)
    with torch.inference_mode():
        assert torch.equal(exact(row), F.linear(row, exact.weight, exact.bias))


def test_float32_answers_are_bit_for_bit_those_of_plain_layers(
    model_folder: Path, volume: object
) -> None:
    session = Session.load(model_folder, device="cpu", dtype="float32")
    fast = answer(session, volume)
    for module in session.model.language_model.modules():
        if type(module) is SingleRowLinear:
            module.__class__ = nn.Linear
    session.forget()
    assert answer(session, volume) == fast


def test_a_loaded_bfloat16_model_stays_as_close_to_float32(tmp_path: Path) -> None:
    """Logits of a decoding step: the error against float32 is that of plain layers."""
    build(tmp_path / "model")
    exact, _ = load_model(tmp_path / "model", "cpu", "float32")
    model, _ = load_model(tmp_path / "model", "cpu", "bfloat16")
    ids = torch.arange(2, 52)[:, None]  # fifty sequences of one token each

    def logits(of: nn.Module) -> Tensor:
        with torch.inference_mode():
            return torch.stack([of(row[None]).logits[0, -1].float() for row in ids])

    truth, fast = logits(exact.language_model), logits(model.language_model)
    for module in model.language_model.modules():
        if type(module) is SingleRowLinear:
            module.__class__ = nn.Linear
    plain = logits(model.language_model)
    assert (fast - truth).norm() <= 1.1 * (plain - truth).norm()


def answer(session: Session, volume: object) -> tuple[int, ...]:
    done = list(session.ask(volume, Question("Where is it?"), GenerationOptions(24)))[-1]
    assert isinstance(done, Done)
    return done.token_ids
