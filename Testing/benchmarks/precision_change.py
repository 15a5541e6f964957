"""What int8, int4 and bfloat16 change in a model's logits, answers and memory::

    python Testing/benchmarks/precision_change.py --model DIR --json change.json

Asks every question about every volume in float32, and again in each precision.  Logits are
compared along the float32 answer (each precision sees the same tokens), answers as they come.
Without ``--model`` it is the embedded model, with synthetic volumes it was made for.
"""

from __future__ import annotations

import argparse
import json
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from med2e3.asking import Done, GenerationOptions, Question
from med2e3.session import Session
from med2e3.synthetic.phantom import make_phantom
from med2e3.synthetic.view import see
from med2e3.weights import embedded_model_dir

QUESTIONS = (
    "Can you provide a caption consists of findings for this medical image?",
    "In which plane was this CT acquired?",
    "Which part of the body does this CT show?",
    "Which organs are visible?",
    "Is there a lesion in this CT?",
)
PLANES = ("axial", "coronal", "sagittal")


@dataclass(frozen=True)
class Scan:
    """A model input."""

    voxels: np.ndarray
    sha256: str


@dataclass(frozen=True)
class Said:
    """An answer and what led to it.

    Args:
        text: the answer.
        tokens: its tokens.
        scores: of the slices.
    """

    text: str
    tokens: tuple[int, ...]
    scores: tuple[float, ...]


def scans(number: int, size: tuple[int, int, int]) -> list[Scan]:
    """Phantoms in all planes."""
    rng = np.random.default_rng(0)
    return [
        Scan(see(make_phantom(rng), PLANES[i % 3], (40.0, 400.0), size).voxels, str(i))
        for i in range(number)
    ]


def answer(session: Session, scan: Scan, question: str) -> Said:
    """The greedy answer."""
    done = list(session.ask(scan, Question(question), GenerationOptions(max_new_tokens=64)))[-1]
    assert isinstance(done, Done)
    return Said(done.answer, done.token_ids, done.scores)


@torch.inference_mode()
def logits_along(session: Session, scan: Scan, question: str, tokens: tuple[int, ...]) -> Tensor:
    """(tokens, vocabulary): what follows the prompt and each token of a given answer but the last.

    The answer's tokens go in one by one, as in decoding.
    """
    pixels = torch.from_numpy(scan.voxels)[None, None].to(session.model.dtype)
    features = session.model.encode_volume(pixels)
    image = session.image_features(features, Question(question), 0)
    prompt = session.processor.encode_prompt(session.processor.conversation(Question(question)))
    embedded = session.model.embed(torch.tensor([prompt]), image)
    cache, rows = None, []
    for token in tokens:
        output = session.model.language_model(
            inputs_embeds=embedded, past_key_values=cache, use_cache=True, logits_to_keep=1
        )
        cache = output.past_key_values
        rows.append(output.logits[0, -1].float())
        embedded = session.model.embed(torch.tensor([[token]]), None)
    return torch.stack(rows)


def held(session: Session) -> int:
    """Bytes of all weights."""
    tensors = [*session.model.parameters(), *session.model.buffers()]
    return sum(t.numel() * t.element_size() for t in tensors)


def compare(folder: Path, volumes: int, precisions: list[str]) -> dict[str, Any]:
    """All figures."""
    exact = Session.load(folder, device="cpu", dtype="float32")
    asked = [(scan, q) for scan in scans(volumes, exact.input_size) for q in QUESTIONS]
    said = [answer(exact, scan, question) for scan, question in asked]
    truth = [
        logits_along(exact, scan, question, s.tokens)
        for (scan, question), s in zip(asked, said, strict=True)
    ]
    figures: dict[str, Any] = {"float32": {"weight_bytes": held(exact)}}
    for precision in precisions:
        session = Session.load(folder, device="cpu", dtype=precision)
        errors, same_token, divergence, same_text, moved = [], [], [], [], []
        for (scan, question), s, right in zip(asked, said, truth, strict=True):
            found = logits_along(session, scan, question, s.tokens)
            errors.append(float((found - right).norm() / right.norm()))
            same_token += (found.argmax(1) == right.argmax(1)).tolist()
            logs = torch.log_softmax(torch.stack([right, found]), dim=2)
            divergence += (logs[0].exp() * (logs[0] - logs[1])).sum(1).tolist()
            other = answer(session, scan, question)
            same_text.append(other.text == s.text)
            moved.append(float(np.abs(np.subtract(other.scores, s.scores)).max()))
        figures[precision] = {
            "logits_relative_change": statistics.median(errors),
            "logits_relative_change_most": max(errors),
            "same_most_probable_token": statistics.mean(same_token),
            "mean_divergence_nats": statistics.mean(divergence),
            "same_answers": statistics.mean(same_text),
            "largest_change_of_a_score": max(moved),
            "weight_bytes": held(session),
        }
    tokens = sum(len(s.tokens) for s in said)
    return {"volumes": volumes, "answers": len(said), "tokens": tokens, "figures": figures}


def main() -> None:
    """Parse arguments, compare, print and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("::", maxsplit=1)[0])
    parser.add_argument("--model", type=Path, default=embedded_model_dir())
    parser.add_argument("--volumes", type=int, default=12)
    parser.add_argument("--precisions", default="bfloat16,int8,int4")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    figures = compare(arguments.model, arguments.volumes, arguments.precisions.split(","))
    text = json.dumps(figures, indent=2)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
