"""Time and memory of one model folder in one precision, in a process of its own.

``full_size.py`` calls it for each precision and puts the figures side by side.  With
``--reference`` everything is done the reference's way: nothing is kept between questions, the
question is padded to 512 tokens, keys and values grow by copying, and linear layers are plain.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from torch import nn
from transformers.cache_utils import DynamicCache

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from random_weights import processor_for

from med2e3.asking import Done, GenerationOptions, Question
from med2e3.model import Med2E3ForConditionalGeneration, Med2E3Processor
from med2e3.session import Session
from med2e3.session.devices import free_memory
from med2e3.session.loading import load_model
from med2e3.session.single_rows import SingleRowLinear

FIRST, SECOND = "Is there a nodule in the lung?", "Which organ is abnormal?"


@dataclass(frozen=True)
class RandomVolume:
    """Voxels without a meaning."""

    voxels: np.ndarray
    sha256: str


class PaddingProcessor(Med2E3Processor):
    """Pads the question to 512 tokens, as the reference does."""

    def encode_question(self, text: str) -> list[int]:
        """Token ids, padded."""
        ids = super().encode_question(text)
        return ids + [0] * (self.max_question_length - len(ids))


class Reference:
    """Answers as the reference does: its steps in its order, on the same weights.

    Args:
        model: loaded.
        processor: pads the question.
    """

    def __init__(self, model: Med2E3ForConditionalGeneration, processor: Med2E3Processor) -> None:
        self.model, self.processor = model, processor
        for module in model.modules():
            if type(module) is SingleRowLinear:
                module.__class__ = nn.Linear

    @torch.inference_mode()
    def ask(self, volume: RandomVolume, text: str, tokens: int) -> dict[str, float]:
        """Seconds to the first token and to the last."""
        start = time.perf_counter()
        model, device = self.model, self.model.device
        question = Question(text)
        pixels = torch.from_numpy(volume.voxels)[None, None].to(device, model.dtype)
        features = model.encode_volume(pixels, slices_per_batch=model.config.num_slices)
        ids = torch.tensor([self.processor.encode_question(text)], device=device)
        image = model.image_features(features, ids, (ids > 0).long())
        prompt = self.processor.encode_prompt(self.processor.conversation(question))
        embedded = model.embed(torch.tensor([prompt], device=device), image)
        cache, first = DynamicCache(), 0.0
        for number in range(tokens):
            output = model.language_model(
                inputs_embeds=embedded, past_key_values=cache, use_cache=True, logits_to_keep=1
            )
            token = output.logits[:, -1:].argmax(dim=-1)
            int(token)
            if not number:
                first = time.perf_counter() - start
            embedded = model.embed(token, None)
        return {"first_token": first, "total": time.perf_counter() - start}


def read_bandwidth(device: str, gigabytes: float) -> float:
    """Bytes per second of reading memory once: the best of a sum and of a matrix by a vector."""
    width = 8192
    rows = int(gigabytes * 1e9 / 2 / width)
    matrix = torch.ones(rows, width, dtype=torch.bfloat16, device=device)
    vector = torch.ones(width, dtype=torch.bfloat16, device=device)
    whole = matrix.view(torch.float32)
    best = min(
        min(_seconds(lambda: matrix @ vector, device), _seconds(whole.sum, device))
        for _ in range(5)
    )
    return matrix.numel() * 2 / best


def _seconds(work: Any, device: str) -> float:
    start = time.perf_counter()
    work()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def ask(session: Session, volume: RandomVolume, text: str, tokens: int) -> dict[str, float]:
    """Seconds of one answer of exactly ``tokens`` tokens."""
    done = list(session.ask(volume, Question(text), GenerationOptions(max_new_tokens=tokens)))[-1]
    assert isinstance(done, Done) and len(done.token_ids) == tokens
    return done.timings_s | {"kept": float(done.cache_hits == ("volume", "prefix"))}


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Load and ask; returns the figures."""
    torch.set_num_threads(arguments.threads or torch.get_num_threads())
    free = free_memory(arguments.device)
    start = time.perf_counter()
    model, _ = load_model(arguments.folder, arguments.device, arguments.precision)
    loaded = time.perf_counter() - start
    model.generation_config.eos_token_id = -1  # never ends by itself
    kind = PaddingProcessor if arguments.reference else Med2E3Processor
    processor = processor_for(model.config, kind)
    session = Session(model, processor)
    reference = Reference(model, processor) if arguments.reference else None
    rng = np.random.default_rng(0)
    with torch.inference_mode():  # the first call of a kernel is slower than the next
        model.language_model(torch.zeros(1, 2, dtype=torch.long, device=arguments.device))
    rounds: list[dict[str, dict[str, float]]] = []
    for number in range(arguments.rounds):
        voxels = rng.random(model.config.input_size, dtype=np.float32)
        scan = RandomVolume(voxels, str(number))
        if reference is not None:
            rounds.append({"second": reference.ask(scan, SECOND, arguments.tokens)})
            continue
        first = ask(session, scan, FIRST, 1)
        second = ask(session, scan, SECOND, arguments.tokens)
        assert second["kept"] == 1
        rounds.append({"first": first, "second": second})
    # before the bandwidth's own matrix is made
    peak = _peak_memory(arguments.device)
    seconds = {
        question: {
            name: statistics.median(answers[question][name] for answers in rounds)
            for name in ("first_token", "total")
        }
        for question in rounds[0]
    }
    second = seconds["second"]
    per_token = (second["total"] - second["first_token"]) / (arguments.tokens - 1)
    language = model.language_model
    read = sum(
        t.numel() * t.element_size()
        for name, t in [*language.named_parameters(), *language.named_buffers()]
        if "embed_tokens" not in name
    )
    gc.collect()
    bandwidth = read_bandwidth(arguments.device, 1.0)
    return {
        "precision": session.dtype,
        "threads": torch.get_num_threads(),
        "clock": arguments.clock,
        "load_s": loaded,
        "seconds": seconds,
        "tokens_per_second": 1 / per_token,
        "bytes_read_per_token": read,
        "bandwidth_bytes_per_second": bandwidth,
        "share_of_bandwidth": read / per_token / bandwidth,
        "peak_memory_bytes": peak,
        "free_memory_before_bytes": free,
        "parameters": sum(p.numel() for p in model.parameters()),
    }


def _peak_memory(device: str) -> int:
    """Most memory that this process held; mapped files count as far as they were read."""
    if device == "cuda":
        return int(torch.cuda.max_memory_allocated())
    memory = psutil.Process().memory_info()
    if hasattr(memory, "peak_wset"):  # Windows
        return int(memory.peak_wset)
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def main() -> None:
    """Parse arguments, measure, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda", "mps"))
    parser.add_argument("--precision", default="bfloat16")
    parser.add_argument("--reference", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=60)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--clock", default="wall", choices=("wall", "cpu"))
    arguments = parser.parse_args()
    if arguments.clock == "cpu":  # the session's own clock, too
        time.perf_counter = time.process_time
    figures = measure(arguments)
    arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
