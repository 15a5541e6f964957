"""The answers' loss is that of every answer's every token, though not all is predicted for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import TrainingArguments

from med2e3.data import VolumeStore
from med2e3.model import Med2E3ForConditionalGeneration, Med2E3Processor
from med2e3.training.collate import IGNORED, Collator
from med2e3.training.examples import Examples
from med2e3.training.losses import weighted_answer_loss
from med2e3.training.recipe import StageData
from med2e3.training.trainer import Med2E3Trainer


@pytest.fixture
def asked(
    tmp_path: Path, trained: Any, tiny_store: VolumeStore
) -> tuple[Med2E3Trainer, dict[str, Tensor]]:
    """A trainer, and a batch of several questions about two volumes."""
    model = Med2E3ForConditionalGeneration.from_pretrained(trained.model).eval()
    processor = Med2E3Processor.from_pretrained(trained.model)
    collator = Collator(processor, model.config, letter_weight=4.0)
    examples = Examples(tiny_store, StageData(augmentation="none"), epochs=1, seed=1)
    arguments = TrainingArguments(output_dir=str(tmp_path), use_cpu=True, report_to=[])
    trainer = Med2E3Trainer(model=model, args=arguments, train_dataset=examples)
    return trainer, collator([examples[0], examples[1], examples[2]])


def test_it_is_the_loss_of_all_predictions(
    asked: tuple[Med2E3Trainer, dict[str, Tensor]],
) -> None:
    trainer, batch = asked
    others = {n: v for n, v in batch.items() if n not in ("labels", "label_weights")}
    others.pop("slice_targets")
    with torch.no_grad():
        predictions = trainer.model(**others).logits
        loss = trainer.compute_loss(trainer.model, dict(batch))
    expected = weighted_answer_loss(predictions, batch["labels"], batch["label_weights"])
    torch.testing.assert_close(loss, expected)


def test_a_batch_without_any_answer_costs_nothing(
    asked: tuple[Med2E3Trainer, dict[str, Tensor]],
) -> None:
    trainer, batch = asked
    batch["labels"] = torch.full_like(batch["labels"], IGNORED)
    batch["label_weights"] = torch.zeros_like(batch["label_weights"])
    assert float(trainer.compute_loss(trainer.model, dict(batch))) == 0.0
