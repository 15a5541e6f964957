"""One loaded model that answers questions about volumes, in this process.

Encodes a volume once and answers many questions: features and the question-independent part of
the KV cache are kept.  Knows nothing of files of volumes, of HTTP or of Slicer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache

from med2e3.asking import Event, GenerationOptions, Question
from med2e3.errors import Med2E3Error, ResourceError
from med2e3.model import (
    ImageFeatures,
    Med2E3Config,
    Med2E3ForConditionalGeneration,
    Med2E3Processor,
    VolumeFeatures,
)
from med2e3.session.batch import Batch
from med2e3.session.batch_answer import Answer, VolumeInput
from med2e3.session.batch_faults import faults_said, release_unused
from med2e3.session.caches import ByteBoundedLRU, KeyValues, key_value_bytes
from med2e3.session.devices import free_memory
from med2e3.session.loading import load_model, precision_of
from med2e3.session.precision import slices_that_fit

__all__ = ["Session", "VolumeInput"]

#: tokens of a prompt that are run at once; others can have a turn between two such pieces.  A
#: question's own 256 2D tokens and its words fit into one: weights in few bits are unpacked once
_PROMPT_PIECE = 384

Result = TypeVar("Result")


class Session:
    """A loaded model and what it remembers of the volumes it has seen.

    Args:
        model: on its device, in evaluation mode.
        processor: the model's processor.
        max_volume_bytes: bound of the kept volume features.
        max_prefix_bytes: bound of the kept keys and values.
        reuse: keep and reuse anything at all; False recomputes everything for each question, as
            the reference does (for comparisons).
    """

    def __init__(
        self,
        model: Med2E3ForConditionalGeneration,
        processor: Med2E3Processor,
        *,
        max_volume_bytes: int = 2 << 30,
        max_prefix_bytes: int = 1 << 30,
        reuse: bool = True,
    ) -> None:
        self.model = model.eval()
        self.processor = processor
        self.reuse = reuse
        self._volumes = ByteBoundedLRU[VolumeFeatures](max_volume_bytes, lambda v: v.num_bytes)
        self._prefixes = ByteBoundedLRU[KeyValues](max_prefix_bytes, key_value_bytes)

    @classmethod
    def load(
        cls, folder: Path, *, device: str = "auto", dtype: str = "auto", **options: Any
    ) -> Session:
        """Load a converted model.

        Args:
            folder: what ``med2e3 models convert`` wrote.
            device: ``auto``, ``cuda``, ``mps`` or ``cpu``.
            dtype: ``auto``, ``float32``, ``bfloat16``, ``float16``, ``int8`` or ``int4``.
            **options: for the constructor.

        Raises:
            CheckpointError: when the folder holds no complete model.
            ResourceError: when there is no such device or not enough memory.
        """
        model, processor = load_model(folder, device, dtype)
        return cls(model, processor, **options)

    @property
    def config(self) -> Med2E3Config:
        """The model's configuration."""
        config: Med2E3Config = self.model.config
        return config

    @property
    def input_size(self) -> tuple[int, int, int]:
        """Model input, (slices, rows, columns)."""
        return self.config.input_size

    @property
    def device(self) -> str:
        """Name of the device."""
        return str(self.model.device.type)

    @property
    def dtype(self) -> str:
        """Precision of the weights: a number format, or ``int8`` or ``int4``."""
        return precision_of(self.model)

    @property
    def end_tokens(self) -> set[int]:
        """Tokens that end an answer."""
        end = self.model.generation_config.eos_token_id
        return set(end) if isinstance(end, list) else {end}

    @property
    def draws_scores(self) -> bool:
        """Whether the variant weights slices at random, which the seed then makes repeatable."""
        return bool(self.config.uses_2d and self.config.aggregation == "random")

    def forget(self) -> None:
        """Drop everything that is kept of volumes."""
        self._volumes.clear()
        self._prefixes.clear()

    def forget_volume(self, sha256: str) -> None:
        """Drop everything that is kept of one volume."""
        self._volumes.drop(lambda key: key == sha256)
        self._prefixes.drop(lambda key: isinstance(key, tuple) and key[0] == sha256)

    # ---- answering -----------------------------------------------------------------------

    def ask(
        self,
        volume: VolumeInput,
        question: Question,
        options: GenerationOptions | None = None,
        *,
        cancel: threading.Event | None = None,
    ) -> Iterator[Event]:
        """Answer a question, saying what happens while it does.

        The question is checked before anything heavy runs.  Scores come before the first token.
        When ``cancel`` is set, the answer ends before the next token (or slices) with what there
        is, as ``Done(finish_reason="cancelled")``.

        Args:
            volume: the model input, of the model's size.
            question: what to ask.
            options: how to generate; greedy by default.
            cancel: set it from any thread to stop.

        Raises:
            InputError: when the question does not fit into the model's context, or the volume
                has another size.
        """
        answer = Answer(
            self, volume, question, options or GenerationOptions(), cancel or threading.Event()
        )
        return self._alone(answer)

    def _alone(self, answer: Answer) -> Iterator[Event]:
        """A batch of one."""
        for event in answer.prepare():
            if event is not None:
                yield event
        if answer.reason is not None:
            return
        batch = Batch(self)
        batch.join(answer)
        while batch.answers:
            for _, outcome in batch.step():
                if isinstance(outcome, Med2E3Error):
                    raise outcome
                yield outcome

    # ---- what an answer and a batch are made of -------------------------------------------

    def with_memory(self, work: Callable[[], Result]) -> Result:
        """Do some work; when memory runs out, drop what is kept and try once more.

        Raises:
            ResourceError: when memory ran out twice.
            DeviceLostError: when the device stopped working.
        """
        try:
            with faults_said():
                return work()
        except ResourceError:
            pass  # outside of the handler nothing refers to the failed work's tensors any more
        self.forget()
        release_unused()
        with faults_said():
            return work()

    def known_features(self, sha256: str) -> VolumeFeatures | None:
        """A volume's features, if they are kept."""
        return self._volumes.get(sha256)

    def encode(self, volume: VolumeInput) -> Generator[int, None, VolumeFeatures]:
        """Encode a volume and keep its features.

        When memory runs out, what is kept is dropped and fewer slices are taken at once.

        Yields:
            How many slices are done.

        Raises:
            ResourceError: when memory ran out with single slices, too.
            DeviceLostError: when the device stopped working.
        """
        shown, fewer = -1, False
        steps = self._encode_in_steps(
            volume, slices_that_fit(self.config, self.model.dtype, free_memory(self.device))
        )
        while True:
            try:
                done = next(steps)
            except StopIteration as finished:
                features: VolumeFeatures = finished.value
                break
            except ResourceError:
                if fewer:
                    raise
                fewer = True
            else:
                if done > shown:
                    shown = done
                    yield done
                continue
            self.forget()
            release_unused()
            steps = self._encode_in_steps(volume, 1)
        if self.reuse:
            self._volumes.put(volume.sha256, features)
        return features

    def _encode_in_steps(
        self, volume: VolumeInput, slices_per_batch: int | None
    ) -> Generator[int, None, VolumeFeatures]:
        with faults_said():
            pixels = torch.from_numpy(volume.voxels).to(self.model.device, self.model.dtype)
        steps = self.model.encode_volume_in_steps(
            pixels[None, None], slices_per_batch=slices_per_batch
        )
        while True:
            try:
                with faults_said(), torch.inference_mode():
                    done = next(steps)
            except StopIteration as finished:
                features: VolumeFeatures = finished.value
                return features
            yield done

    def image_features(
        self, features: VolumeFeatures, question: Question, seed: int
    ) -> ImageFeatures:
        """Visual tokens and scores for a question; ``seed`` for variants that draw the weights."""
        ids = torch.tensor(
            [self.processor.encode_question(question.scoring_text)], device=self.model.device
        )

        def work() -> ImageFeatures:
            with torch.inference_mode(), torch.random.fork_rng(enabled=self.draws_scores):
                if self.draws_scores:
                    torch.manual_seed(seed)
                image: ImageFeatures = self.model.image_features(
                    features, ids, torch.ones_like(ids)
                )
            return image

        return self.with_memory(work)

    def prefill(
        self, volume: VolumeInput, prompt_ids: list[int], image: ImageFeatures, hits: list[str]
    ) -> Generator[None, None, tuple[Tensor, KeyValues]]:
        """Run a prompt; what comes before the 2D tokens is taken from the cache if it is kept.

        Yields:
            None between pieces of the prompt.

        Returns:
            The logits (vocabulary,) that follow it, and its keys and values.
        """
        ids = torch.tensor([prompt_ids], device=self.model.device)
        with torch.inference_mode():
            embedded = self.with_memory(lambda: self.model.embed(ids, image))
        known: KeyValues = []
        if self.reuse:
            length = prompt_ids.index(self.config.image_token_id) + self.config.num_3d_tokens
            key = (volume.sha256, tuple(prompt_ids[:length]))
            prefix = self._prefixes.get(key)
            if prefix is not None:
                hits.append("prefix")
            elif length:
                _, prefix = yield from self._run_in_pieces(embedded[:, :length], known)
                self._prefixes.put(key, prefix)
                yield None
            known, embedded = prefix or known, embedded[:, length:]
        return (yield from self._run_in_pieces(embedded, known))

    def _run_in_pieces(
        self, embedded: Tensor, known: KeyValues
    ) -> Generator[None, None, tuple[Tensor, KeyValues]]:
        """Logits after the last of ``embedded`` (1, L, D) that follows ``known``."""
        pieces = embedded.split(_PROMPT_PIECE, dim=1) if self.reuse else (embedded,)
        for number, piece in enumerate(pieces):
            if number:
                yield None
            logits, known = self.with_memory(partial(self._run, piece, known))
        return logits, known

    @torch.inference_mode()
    def _run(self, embedded: Tensor, known: KeyValues) -> tuple[Tensor, KeyValues]:
        cache = DynamicCache(known) if known else DynamicCache()
        output = self.model.language_model(
            inputs_embeds=embedded, past_key_values=cache, use_cache=True, logits_to_keep=1
        )
        return output.logits[0, -1], [(layer.keys, layer.values) for layer in cache.layers]

    def letter_probabilities(
        self, question: Question, prompt_ids: list[int], logits: Tensor
    ) -> dict[str, float]:
        """How probable each choice's letter is as the first token, among the letters.

        Empty where the tokenizer begins two letters' answers with the same token.
        """
        if not question.choices:
            return {}
        prompt = self.processor.conversation(question)
        answers = [
            self.processor.encode_prompt(f"{prompt} {letter}.") for letter in question.letters
        ]
        first = next((ids for ids in zip(*answers, strict=False) if len(set(ids)) > 1), ())
        if len(set(first)) < len(answers):
            return {}
        shares = torch.softmax(logits.float()[list(first)], dim=-1).tolist()
        return dict(zip(question.letters, shares, strict=True))
