"""Attention that computes in float32 where torch's own is slow: its values and gradients."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 (torch's own convention)
from torch import Tensor
from transformers import Phi3Config, Phi3ForCausalLM

from med2e3.model.attention import FLOAT32_ON_CPU, fused_attention


@pytest.fixture
def parts() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(2, 3, 17, 8, generator=generator) for _ in range(3))
    return query, key, value


def test_training_in_bfloat16_attends_in_float32(parts: tuple[Tensor, Tensor, Tensor]) -> None:
    halves = [part.bfloat16().requires_grad_() for part in parts]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = fused_attention(*halves)
    exact = F.scaled_dot_product_attention(*(part.float() for part in halves))
    assert mixed.dtype == torch.bfloat16
    assert torch.equal(mixed, exact.bfloat16())
    gradients = torch.autograd.grad(mixed.float().square().sum(), halves)
    assert all(gradient.abs().sum() > 0 for gradient in gradients)


def test_without_gradients_it_is_torchs_own(parts: tuple[Tensor, Tensor, Tensor]) -> None:
    halves = [part.bfloat16() for part in parts]
    with torch.no_grad():
        own = F.scaled_dot_product_attention(*halves)
        assert torch.equal(fused_attention(*halves), own)
    assert torch.equal(fused_attention(*parts), F.scaled_dot_product_attention(*parts))


def test_a_language_model_stays_causal_and_says_the_same() -> None:
    config = Phi3Config(
        vocab_size=40, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=4, pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    torch.manual_seed(0)
    model = Phi3ForCausalLM(config).train()
    ids = torch.randint(3, 40, (2, 9))
    model.set_attn_implementation("sdpa")
    expected = model(ids).logits
    model.set_attn_implementation(FLOAT32_ON_CPU)
    torch.testing.assert_close(model(ids).logits, expected)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        full, part = model(ids).logits, model(ids[:, :5]).logits
    torch.testing.assert_close(full.float(), expected, atol=0.1, rtol=0.1)
    torch.testing.assert_close(full[:, :5], part, atol=0.02, rtol=0.02)
