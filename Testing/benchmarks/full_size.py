"""Time and memory of the full-size model, with random weights, on this machine.

Everything is measured in one run, so that ratios hold although seconds move with the machine::

    python Testing/benchmarks/full_size.py --json full_size.json

``first`` is the first question about a volume; ``second`` another one about the same volume, once
with what the session keeps and once recomputing everything as the reference does for each
question (its padding of the question to 512 tokens included).  Decoding one token reads every
weight of the language model once, so memory bandwidth, measured here with the same threads,
bounds it.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from transformers import GenerationConfig, initialization

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fixtures.random_model import language_tokenizer, question_tokenizer
from med2e3.asking import Done, GenerationOptions, Question
from med2e3.model import Med2E3Config, Med2E3ForConditionalGeneration, Med2E3Processor
from med2e3.session import Session
from med2e3.session.devices import DTYPES

#: the released model's sizes: Phi-3-mini, SigLIP-large-patch16-256, M3D-CLIP, BERT-base
FULL_SIZE: dict[str, Any] = {
    "text_config": {"model_type": "phi3", "vocab_size": 32064, "eos_token_id": 0},
    "vision_2d_config": {
        "model_type": "siglip_vision_model",
        "image_size": 256,
        "patch_size": 16,
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "vision_use_head": False,
    },
    "vision_3d_config": {},
    "question_config": {},
}
#: the same program on a small model, to try it
TINY: dict[str, Any] = {
    "text_config": FULL_SIZE["text_config"]
    | {
        "hidden_size": 256,
        "intermediate_size": 512,
        "num_hidden_layers": 2,
        "num_attention_heads": 8,
    },
    "vision_2d_config": FULL_SIZE["vision_2d_config"] | {"num_hidden_layers": 1},
    "vision_3d_config": {"num_hidden_layers": 1},
    "question_config": {"num_hidden_layers": 1},
}


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


def random_model(dtype: torch.dtype, device: str, tiny: bool) -> Med2E3ForConditionalGeneration:
    """The model, filled with one block of small random numbers over and over.

    Drawing each number would take minutes and change no time or size that is measured.
    """
    sizes = FULL_SIZE | (TINY if tiny else {})
    torch.set_default_dtype(dtype)
    with initialization.no_init_weights():
        model = Med2E3ForConditionalGeneration(Med2E3Config(**sizes)).to(device)
    torch.set_default_dtype(torch.float32)
    block = torch.empty(1 << 20, dtype=dtype, device=device).normal_(0, 0.02)
    for name, parameter in model.named_parameters():
        flat = parameter.data.view(-1)
        for start in range(0, flat.numel(), block.numel()):
            part = flat[start : start + block.numel()]
            part.copy_(block[: part.numel()])
        if "norm" in name.lower() and name.endswith("weight"):
            parameter.data.fill_(1)
    model.generation_config = GenerationConfig(eos_token_id=-1)  # never ends by itself
    return model.eval()


def read_bandwidth(dtype: torch.dtype, device: str, gigabytes: float) -> float:
    """Bytes per second of reading a large matrix once, as a matrix-vector product does."""
    width = 8192
    rows = int(gigabytes * 1e9 / dtype.itemsize / width)
    matrix = torch.ones(rows, width, dtype=dtype, device=device)
    vector = torch.ones(width, dtype=dtype, device=device)
    best = min(_seconds(lambda: matrix @ vector, device) for _ in range(5))
    return matrix.numel() * dtype.itemsize / best


def _seconds(work: Any, device: str) -> float:
    start = time.perf_counter()
    work()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def ask(session: Session, volume: RandomVolume, text: str, tokens: int) -> Done:
    """One answer of exactly ``tokens`` tokens."""
    done = list(session.ask(volume, Question(text), GenerationOptions(max_new_tokens=tokens)))[-1]
    assert isinstance(done, Done) and len(done.token_ids) == tokens
    return done


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run everything once in order; returns the figures."""
    torch.set_num_threads(arguments.threads or torch.get_num_threads())
    device, dtype = arguments.device, DTYPES[arguments.dtype]
    start = time.perf_counter()
    model = random_model(dtype, device, arguments.tiny)
    built = time.perf_counter() - start
    config: Med2E3Config = model.config
    parts = (language_tokenizer(), question_tokenizer())
    marks = {"image_token_id": config.image_token_id, "num_image_tokens": config.num_image_tokens}
    session = Session(model, Med2E3Processor(*parts, **marks))
    plain = Session(model, PaddingProcessor(*parts, **marks), reuse=False)
    rng = np.random.default_rng(0)

    def volume(name: str) -> RandomVolume:
        return RandomVolume(rng.random(config.input_size, dtype=np.float32), name)

    with torch.inference_mode():  # the first call of a kernel is slower than the next
        model.language_model(torch.zeros(1, 2, dtype=torch.long, device=device))
    rounds: list[dict[str, Done]] = []
    for number in range(arguments.rounds):
        scan = volume(str(number))
        rounds.append(
            {
                "first": ask(session, scan, "Is there a nodule in the lung?", arguments.tokens),
                "second": ask(session, scan, "Which organ is abnormal?", arguments.tokens),
                "recomputed": ask(plain, scan, "Which organ is abnormal?", arguments.tokens),
            }
        )
    for answers in rounds:
        assert answers["second"].cache_hits == ("volume", "prefix")

    def median(question: str, timing: str) -> float:
        return statistics.median(answers[question].timings_s[timing] for answers in rounds)

    decoded = arguments.tokens - 1
    per_token = statistics.median(
        (a["second"].timings_s["total"] - a["second"].timings_s["first_token"]) / decoded
        for a in rounds
    )
    language = model.language_model
    read_per_token = sum(
        p.numel() * p.element_size()
        for name, p in language.named_parameters()
        if "embed_tokens" not in name
    )
    del session, plain
    gc.collect()
    bandwidth = read_bandwidth(dtype, device, 0.2 if arguments.tiny else 1.5)
    limit = bandwidth / read_per_token
    return {
        "machine": {
            "cpu": platform.machine(),
            "threads": torch.get_num_threads(),
            "device": device,
            "dtype": arguments.dtype,
            "torch": torch.__version__,
        },
        "model": {
            "parameters": sum(p.numel() for p in model.parameters()),
            "seconds_to_fill": built,
        },
        "rounds": arguments.rounds,
        "time_to_first_token_s": {
            q: median(q, "first_token") for q in ("first", "second", "recomputed")
        },
        "whole_answer_s": {q: median(q, "total") for q in ("first", "second", "recomputed")},
        "second_to_recomputed": {
            "time_to_first_token": median("second", "first_token")
            / median("recomputed", "first_token"),
            "whole_answer": median("second", "total") / median("recomputed", "total"),
        },
        "stages_of_the_first_question_s": {
            name: median("first", name) for name in ("encode", "score", "prefill", "generate")
        },
        "decode": {
            "tokens_per_second": 1 / per_token,
            "bytes_read_per_token": read_per_token,
            "bandwidth_bytes_per_second": bandwidth,
            "limit_tokens_per_second": limit,
            "share_of_limit": 1 / per_token / limit,
        },
        "peak_memory_bytes": _peak_memory(device),
    }


def _peak_memory(device: str) -> int:
    if device == "cuda":
        return int(torch.cuda.max_memory_allocated())
    memory = psutil.Process().memory_info()
    if hasattr(memory, "peak_wset"):  # Windows
        return int(memory.peak_wset)
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def main() -> None:
    """Parse arguments, measure, print and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda", "mps"))
    parser.add_argument("--dtype", default="bfloat16", choices=tuple(DTYPES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=16, help="tokens of each answer")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--tiny", action="store_true", help="try the program on a small model")
    arguments = parser.parse_args()
    text = json.dumps(measure(arguments), indent=2)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
