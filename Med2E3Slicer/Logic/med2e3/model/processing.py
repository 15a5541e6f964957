"""From a conversation and a volume to the model's tensors, and from token ids to text.

Knows where the visual tokens stand: each piece of text between images is tokenised by itself
(:mod:`med2e3.model.tokenization`).  Volumes must be model inputs already
(``med2e3.volume.prepare``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from transformers import BatchFeature
from transformers.processing_utils import ProcessorMixin

from med2e3.asking.question import IMAGE_MARK, Question
from med2e3.model.prompt import conversation
from med2e3.model.tokenization import TextCodec, TokenizerHabits


class Med2E3Processor(ProcessorMixin):
    """Tokenizers, wording and the visual tokens' places.

    Args:
        tokenizer: the language model's.
        question_tokenizer: what TG-IS's text encoder reads: BERT's for ``m3d_clip``.
        image_token_id: the placeholder id of one visual token (``config.image_token_id``).
        num_image_tokens: visual tokens of a volume (``config.num_image_tokens``).
        prompt: see :mod:`med2e3.model.prompt`.
        max_question_length: tokens of the question that TG-IS reads.
        question_reader: ``question_tokenizer``, or ``tokenizer`` when TG-IS reads the question as
            the language model does.
        text_habits: fields of :class:`~med2e3.model.tokenization.TokenizerHabits`; told from
            the tokenizer when None.
    """

    def __init__(
        self,
        tokenizer: Any = None,
        question_tokenizer: Any = None,
        chat_template: str | None = None,
        image_token_id: int = 0,
        num_image_tokens: int = 0,
        prompt: str = "phi",
        max_question_length: int = 512,
        question_reader: str = "question_tokenizer",
        text_habits: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self.image_token_id = image_token_id
        self.num_image_tokens = num_image_tokens
        self.prompt = prompt
        self.max_question_length = max_question_length
        self.question_reader = question_reader
        self.text_habits = text_habits
        super().__init__(tokenizer, question_tokenizer, chat_template=chat_template, **kwargs)

    @cached_property
    def _codec(self) -> TextCodec:
        known = self.text_habits
        habits = TokenizerHabits.of(self.tokenizer) if known is None else TokenizerHabits(**known)
        return TextCodec(self.tokenizer, habits)

    def conversation(self, question: Question) -> str:
        """The prompt's text for a question with its earlier turns, image mark included."""
        return conversation(
            self.prompt, question.user_turns, [turn.answer for turn in question.history]
        )

    def encode_prompt(self, text: str) -> list[int]:
        """Token ids of a prompt; an image mark becomes ``num_image_tokens`` placeholders."""
        ids: list[int] = []
        for piece in re.split(f"({re.escape(IMAGE_MARK)})", text):
            if piece == IMAGE_MARK:
                ids += [self.image_token_id] * self.num_image_tokens
            elif piece:
                if not ids and self._codec.habits.begins:
                    ids.append(self.tokenizer.bos_token_id)
                ids += self._codec.encode(piece)
        return ids

    def encode_question(self, text: str) -> list[int]:
        """Token ids of the question for TG-IS, cut at ``max_question_length``."""
        if self.question_reader == "tokenizer":
            return self._codec.encode(text)[: self.max_question_length]
        ids: list[int] = self.question_tokenizer(
            text, max_length=self.max_question_length, truncation=True
        ).input_ids
        return ids

    def decode_answer(self, ids: Sequence[int]) -> str:
        """The text of generated ids, without unknown, begin, end and padding tokens."""
        return self._codec.decode(ids)

    @property
    def unsettled(self) -> int:
        """Characters at the end of a growing answer that later tokens may still change."""
        return self._codec.unsettled

    def __call__(  # type: ignore[override]
        self,
        questions: Question | Sequence[Question],
        volumes: np.ndarray | Sequence[np.ndarray] | None = None,
        **kwargs: Any,
    ) -> BatchFeature:
        """A batch for ``Med2E3ForConditionalGeneration``, padded on the left.

        Args:
            questions: one or several questions.
            volumes: one model input for each question, (N, H, W) in 0..1.
            **kwargs: ``return_tensors`` is accepted and is always ``"pt"``.

        Returns:
            ``input_ids``, ``attention_mask``, ``question_ids``, ``question_mask`` and, with
            volumes, ``pixel_values`` (B, 1, N, H, W).
        """
        batch = [questions] if isinstance(questions, Question) else list(questions)
        input_ids, attention_mask = _pad(
            [self.encode_prompt(self.conversation(q)) for q in batch],
            self.tokenizer.pad_token_id or 0,
            left=True,
        )
        question_ids, question_mask = _pad(
            [self.encode_question(q.scoring_text) for q in batch],
            self.question_tokenizer.pad_token_id or 0,
            left=False,
        )
        data = {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "question_ids": question_ids,
            "question_mask": question_mask,
        }
        if volumes is not None:
            stack = [volumes] if isinstance(volumes, np.ndarray) else list(volumes)
            data["pixel_values"] = torch.from_numpy(np.stack(stack)).unsqueeze(1)
        return BatchFeature(data)


def _pad(rows: list[list[int]], value: int, *, left: bool) -> tuple[torch.Tensor, torch.Tensor]:
    length = max(len(row) for row in rows)
    ids = torch.full((len(rows), length), value, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for i, row in enumerate(rows):
        where = slice(length - len(row), None) if left else slice(0, len(row))
        ids[i, where] = torch.tensor(row, dtype=torch.long)
        mask[i, where] = 1
    return ids, mask
