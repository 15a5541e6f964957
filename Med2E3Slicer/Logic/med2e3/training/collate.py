"""From examples to the model's tensors.

Knows what is learned (the answers and the token that ends them, nothing else) and which slices a
question's scores are to find.  Knows nothing of stages.  Rows are padded on the right: attention is
causal, so padding is never attended to and no mask is needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from med2e3.asking.question import IMAGE_MARK
from med2e3.data.sample import Sample
from med2e3.errors import InputError
from med2e3.model import Med2E3Config, Med2E3Processor
from med2e3.model.prompt import END_OF_ANSWER, conversation
from med2e3.training.examples import Example

IGNORED = -100


class Collator:
    """Makes a batch of examples; each row is one question, rows of one example share its volume.

    Args:
        processor: the model's.
        config: the model's.
        letter_weight: how much the letter of a choice counts among the tokens of its answer, while
            every answer of the batch counts the same; None lets all tokens of the batch count the
            same, as published.
    """

    def __init__(
        self,
        processor: Med2E3Processor,
        config: Med2E3Config,
        *,
        letter_weight: float | None = None,
    ) -> None:
        self.processor = processor
        self.letter_weight = letter_weight
        self.num_slices = config.num_slices
        self.context_length = config.context_length
        self.needs_question = config.uses_question_encoder or config.text_feature == "llm_embedding"
        self._ids = lru_cache(maxsize=1 << 14)(processor.encode_prompt)
        self._question_ids = lru_cache(maxsize=1 << 14)(processor.encode_question)

    def __call__(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        """A batch.

        Returns:
            ``pixel_values`` (V, 1, N, H, W), ``volume_index`` (B,), ``input_ids`` and ``labels``
            (B, L), ``question_ids`` and ``question_mask`` (B, Lq), ``slice_targets`` (B, N): each
            row uniform over the slices that its scores are to find, or all 0 for none; see also
            :meth:`texts`.
        """
        rows = [(v, s) for v, example in enumerate(examples) for s in example.samples]
        batch = self.texts([sample for _, sample in rows]) | {
            "pixel_values": stack_voxels(examples),
            "volume_index": torch.tensor([volume for volume, _ in rows]),
            "slice_targets": torch.stack([self.slice_target(sample) for _, sample in rows]),
        }
        if self.needs_question:
            questions = [self._question_ids(_scoring_text(sample)) for _, sample in rows]
            batch["question_ids"] = pad_right(questions, 0)
            batch["question_mask"] = pad_right([[1] * len(ids) for ids in questions], 0)
        return batch

    def texts(self, samples: Sequence[Sample]) -> dict[str, Tensor]:
        """The conversations of a batch.

        Returns:
            ``input_ids`` and ``labels`` (B, L); with a letter weight also ``label_weights`` (B, L),
            each row with a sum of 1 over its labels, or all 0 without any.
        """
        encoded = [self.encode(sample) for sample in samples]
        batch = {
            "input_ids": pad_right(
                [ids for ids, _ in encoded], self.processor.tokenizer.pad_token_id or 0
            ),
            "labels": pad_right([labels for _, labels in encoded], IGNORED),
        }
        if self.letter_weight is not None:
            weights = (batch["labels"] != IGNORED).float()
            for row, sample in enumerate(samples):
                if sample.answer_choice and not sample.history:
                    weights[row, weights[row].argmax()] = self.letter_weight
            # an empty report leaves no labels: their weights are 0, not 0 / 0
            sums = weights.sum(dim=-1, keepdim=True)
            batch["label_weights"] = weights / sums.clamp_min(torch.finfo(sums.dtype).tiny)
        return batch

    def encode(self, sample: Sample) -> tuple[list[int], list[int]]:
        """Token ids of a whole conversation, and its labels: answers only, cut as in the reference.

        The labels of everything that the person says are :data:`IGNORED`; answers are learned
        with the token that ends them, in every turn.

        Raises:
            InputError: when the volume alone fills the context.
        """
        if not sample.history and not sample.question.replace(IMAGE_MARK, "").strip():
            return self._image_alone(sample)
        turns = sample.as_question().user_turns
        answers = [turn.answer for turn in sample.history] + [sample.target]
        end = END_OF_ANSWER[self.processor.prompt]
        ids: list[int] = []
        labels: list[int] = []
        image = self.image(sample)
        for count in range(1, len(turns) + 1):
            asked = conversation(self.processor.prompt, turns[:count], answers[: count - 1])
            asked = asked.replace(IMAGE_MARK, image)
            prompt = self._ids(asked)
            whole = self._ids(f"{asked} {answers[count - 1].strip()}{end}")
            labels += [IGNORED] * (len(prompt) - len(labels)) + whole[len(prompt) :]
            ids = whole
        ids, labels = ids[: self.context_length], labels[: self.context_length]
        if all(label == IGNORED for label in labels):
            raise InputError(
                f"The question of sample {sample.id!r} leaves no room for its answer: the model's "
                f"limit is {self.context_length} tokens.",
                hint="Shorten it, or take it out of the training data.",
            )
        return list(ids), labels

    def image(self, sample: Sample) -> str:
        """What stands where the volume is spoken of: its visual tokens."""
        return IMAGE_MARK

    def _image_alone(self, sample: Sample) -> tuple[list[int], list[int]]:
        """The volume and its report, nothing around them and no end: the reference's alignment."""
        before = self._ids(IMAGE_MARK)
        ids = self._ids(IMAGE_MARK + sample.target.strip())
        labels = [IGNORED] * len(before) + ids[len(before) :]
        return list(ids[: self.context_length]), labels[: self.context_length]

    def slice_target(self, sample: Sample) -> Tensor:
        """(N,): uniform over the sample's slices, or all 0."""
        target = torch.zeros(self.num_slices)
        if sample.slices:
            target[list(sample.slices)] = 1 / len(sample.slices)
        return target


class ReadingCollator(Collator):
    """Batches of text alone: each volume's report stands where its visual tokens would.

    A language model made anew learns from them to answer what a text says, before it sees anything.

    Args:
        processor: the model's.
        config: the model's.
        reports: key of a volume → its report; a volume without one is spoken of by nothing.
        letter_weight: see :class:`Collator`.
    """

    def __init__(
        self,
        processor: Med2E3Processor,
        config: Med2E3Config,
        reports: Mapping[str, str],
        *,
        letter_weight: float | None = None,
    ) -> None:
        super().__init__(processor, config, letter_weight=letter_weight)
        self.reports = reports

    def __call__(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        """A batch, see :meth:`texts`."""
        return self.texts([sample for example in examples for sample in example.samples])

    def image(self, sample: Sample) -> str:
        """The report."""
        return self.reports.get(sample.volume, "")


def stack_voxels(examples: Sequence[Example]) -> Tensor:
    """(V, 1, N, H, W), float32."""
    return torch.from_numpy(np.stack([example.voxels for example in examples])).unsqueeze(1)


def pad_right(rows: Sequence[Sequence[int]], value: int) -> Tensor:
    """Rows of different lengths as one tensor (B, longest)."""
    padded = torch.full((len(rows), max(map(len, rows))), value, dtype=torch.long)
    for i, row in enumerate(rows):
        padded[i, : len(row)] = torch.tensor(row, dtype=torch.long)
    return padded


def _scoring_text(sample: Sample) -> str:
    if sample.scoring_text or not sample.question.strip():
        return sample.scoring_text
    return sample.as_question().scoring_text
