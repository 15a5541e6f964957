"""One loaded model that answers questions about volumes, in this process.

Encodes a volume once and answers many questions: features and the question-independent part of
the KV cache are kept.  Knows nothing of files of volumes, of HTTP or of Slicer.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache

from med2e3.asking import (
    Done,
    Event,
    GenerationOptions,
    Progress,
    Question,
    Scores,
    Stage,
    Token,
)
from med2e3.asking.events import FinishReason
from med2e3.errors import InputError
from med2e3.model import (
    ImageFeatures,
    Med2E3Config,
    Med2E3ForConditionalGeneration,
    Med2E3Processor,
    VolumeFeatures,
)
from med2e3.session.caches import ByteBoundedLRU, KeyValues, key_value_bytes
from med2e3.session.decoding import GrowingText, TokenChooser
from med2e3.session.devices import memory_shortage_said
from med2e3.session.loading import load_model


class VolumeInput(Protocol):
    """What a session needs of a model input (``med2e3.volume.ModelInput`` has it)."""

    @property
    def voxels(self) -> np.ndarray:
        """(slices, rows, columns), float32."""

    @property
    def sha256(self) -> str:
        """Hash of the content."""


class _Stopped(Exception):  # noqa: N818 (control flow inside one answer)
    """The person asked to stop."""


class _Clock:
    """Seconds of each stage of one answer."""

    def __init__(self) -> None:
        self.timings: dict[str, float] = {}
        self._start = self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.timings[name] = self.timings.get(name, 0.0) + now - self._last
        self._last = now

    def since_start(self, name: str) -> None:
        self.timings[name] = time.perf_counter() - self._start


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
            dtype: ``auto``, ``float32``, ``bfloat16`` or ``float16``.
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
        """Number format of the weights."""
        return str(self.model.dtype).removeprefix("torch.")

    def forget(self) -> None:
        """Drop everything that is kept of volumes."""
        self._volumes.clear()
        self._prefixes.clear()

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
        options = options or GenerationOptions()
        if volume.voxels.shape != self.input_size:
            raise InputError(
                f"The volume was prepared as {volume.voxels.shape}, "
                f"but this model takes {self.input_size}.",
                hint="Prepare it with the model's own input size.",
            )
        prompt_ids = self.processor.encode_prompt(self.processor.conversation(question))
        room = self.config.context_length - len(prompt_ids)
        if room < 1:
            raise InputError(
                f"The question is too long: with the volume it takes {len(prompt_ids)} tokens, "
                f"and the model's limit is {self.config.context_length}.",
                hint="Shorten the question, its choices or the earlier conversation.",
            )
        limit = min(options.max_new_tokens, room)
        return self._answer(volume, question, prompt_ids, limit, options, cancel)

    def _answer(
        self,
        volume: VolumeInput,
        question: Question,
        prompt_ids: list[int],
        limit: int,
        options: GenerationOptions,
        cancel: threading.Event | None,
    ) -> Iterator[Event]:
        clock = _Clock()
        chooser = TokenChooser(options)
        text = GrowingText(self.processor.decode_answer, options.stop, self.processor.unsettled)
        probabilities: list[float] = []
        scores: tuple[float, ...] = ()
        letters: dict[str, float] = {}
        hits: list[str] = []
        reason: FinishReason = "length"
        try:
            with memory_shortage_said():
                features = yield from self._encode(volume, hits, clock, cancel)
                yield Stage("scoring")
                image = self._image_features(features, question, chooser.seed)
                if image.scores is not None:
                    scores = tuple(image.scores[0].float().tolist())
                    yield Scores(scores)
                clock.lap("score")
                yield Stage("generating")
                _check(cancel)
                logits, cache = self._prefill(volume, prompt_ids, image, hits)
                clock.lap("prefill")
                letters = self._letter_probabilities(question, prompt_ids, logits)
                end_tokens = self._end_tokens
                while True:
                    _check(cancel)
                    token, probability = chooser.choose(logits)
                    if not probabilities:
                        clock.since_start("first_token")
                    probabilities.append(probability)
                    ended, full = token in end_tokens, len(probabilities) == limit
                    yield Token(token, text.add(token, last=ended or full), probability)
                    if ended or full or text.stopped:
                        reason = "end" if ended else "stop" if text.stopped else "length"
                        break
                    logits = self._step(token, cache)
        except _Stopped:
            reason = "cancelled"
        clock.lap("generate")
        clock.since_start("total")
        yield Done(
            answer=text.text,
            token_ids=tuple(text.ids),
            token_probabilities=tuple(probabilities),
            scores=scores,
            finish_reason=reason,
            choice_probabilities=letters,
            timings_s=clock.timings,
            cache_hits=tuple(hits),
            seed=chooser.seed if self._draws_scores or not chooser.greedy else None,
        )

    @property
    def _end_tokens(self) -> set[int]:
        end = self.model.generation_config.eos_token_id
        return set(end) if isinstance(end, list) else {end}

    def _encode(
        self,
        volume: VolumeInput,
        hits: list[str],
        clock: _Clock,
        cancel: threading.Event | None,
    ) -> Generator[Event, None, VolumeFeatures]:
        known = self._volumes.get(volume.sha256)
        if known is not None:
            hits.append("volume")
            return known
        yield Stage("encoding")
        total = self.config.num_slices
        pixels = torch.from_numpy(volume.voxels).to(self.model.device, self.model.dtype)
        steps = self.model.encode_volume_in_steps(pixels[None, None])
        while True:
            _check(cancel)
            try:
                with torch.inference_mode():
                    done = next(steps)
            except StopIteration as finished:
                features: VolumeFeatures = finished.value
                break
            yield Progress(done, total)
        if self.reuse:
            self._volumes.put(volume.sha256, features)
        clock.lap("encode")
        return features

    @torch.inference_mode()
    def _image_features(
        self, features: VolumeFeatures, question: Question, seed: int
    ) -> ImageFeatures:
        ids = torch.tensor(
            [self.processor.encode_question(question.scoring_text)], device=self.model.device
        )
        with torch.random.fork_rng(enabled=self._draws_scores):
            if self._draws_scores:
                torch.manual_seed(seed)
            image: ImageFeatures = self.model.image_features(features, ids, torch.ones_like(ids))
        return image

    @property
    def _draws_scores(self) -> bool:
        """Whether the variant weights slices at random, which the seed then makes repeatable."""
        return bool(self.config.uses_2d and self.config.aggregation == "random")

    @torch.inference_mode()
    def _prefill(
        self, volume: VolumeInput, prompt_ids: list[int], image: ImageFeatures, hits: list[str]
    ) -> tuple[Tensor, DynamicCache]:
        """Run the prompt; what comes before the 2D tokens is taken from the cache if it is kept."""
        embedded = self.model.embed(torch.tensor([prompt_ids], device=self.model.device), image)
        if not self.reuse:
            cache = DynamicCache()
            return self._run(embedded, cache), cache
        length = prompt_ids.index(self.config.image_token_id) + self.config.num_3d_tokens
        key = (volume.sha256, tuple(prompt_ids[:length]))
        prefix = self._prefixes.get(key)
        if prefix is None:
            cache = DynamicCache()
            self._run(embedded[:, :length], cache)
            prefix = [(layer.keys, layer.values) for layer in cache.layers]
            self._prefixes.put(key, prefix)
        else:
            hits.append("prefix")
            cache = DynamicCache(prefix)
        return self._run(embedded[:, length:], cache), cache

    @torch.inference_mode()
    def _step(self, token: int, cache: DynamicCache) -> Tensor:
        ids = torch.tensor([[token]], device=self.model.device)
        return self._run(self.model.embed(ids, None), cache)

    def _run(self, embedded: Tensor, cache: DynamicCache) -> Tensor:
        """Logits (vocabulary,) after the last of ``embedded`` (1, L, D)."""
        output = self.model.language_model(
            inputs_embeds=embedded, past_key_values=cache, use_cache=True, logits_to_keep=1
        )
        logits: Tensor = output.logits[0, -1]
        return logits

    def _letter_probabilities(
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


def _check(cancel: threading.Event | None) -> None:
    if cancel is not None and cancel.is_set():
        raise _Stopped
