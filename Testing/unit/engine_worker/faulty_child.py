"""The real process with the model, with one fault built into the loaded model.

``MED2E3_TEST_FAULT`` is JSON: ``kind``; ``at`` (``encode``, ``question``, ``prompt``, ``token``);
``after``, how many such passes go well; ``text``, the question in whose presence alone it
happens; ``once``, a file that is made when it happens, so that it happens once.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
from pathlib import Path
from typing import Any

import torch

from med2e3.engine.worker.child import main
from med2e3.session import Session

NOT_FINITE = "not-finite"


def break_now(kind: str) -> None:
    """What can happen while a model computes."""
    if kind == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "segfault":
        ctypes.string_at(0)
    if kind == "cuda-memory":
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
    if kind == "cpu-memory":
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory")
    if kind == "lost":
        raise RuntimeError("CUDA error: unspecified launch failure")
    if kind == "bug":
        raise ValueError("a fault in the program")


def build_in(session: Session) -> None:
    """Let the model fail as the environment says."""
    fault: dict[str, Any] = json.loads(os.environ["MED2E3_TEST_FAULT"])
    model, seen = session.model, 0
    wanted = None
    if "text" in fault:
        wanted = session.processor.encode_question(fault["text"])
    asked: list[int] = []

    def is_due() -> bool:
        nonlocal seen
        if wanted is not None and asked != wanted:
            return False
        if "once" in fault and Path(fault["once"]).exists():
            return False
        seen += 1
        if seen <= fault.get("after", 0):
            return False
        if "once" in fault:
            Path(fault["once"]).touch()
        return True

    def remember(_: Any, __: Any, named: dict[str, Any]) -> None:
        asked[:] = named["input_ids"][0].tolist()

    model.question_encoder.register_forward_pre_hook(remember, with_kwargs=True)
    at = fault["at"]

    def before(_: Any, __: Any, named: dict[str, Any]) -> None:
        if at in ("prompt", "token"):
            prompt = named["inputs_embeds"].shape[1] > 1
            if prompt != (at == "prompt"):
                return
        if is_due():
            break_now(fault["kind"])

    def after(_: Any, __: Any, named: dict[str, Any], output: Any) -> Any:
        if at == "question":
            if is_due():
                output.pooler_output[:] = float("nan")
        elif (named["inputs_embeds"].shape[1] > 1) == (at == "prompt") and is_due():
            output.logits[0] = float("nan")
        return output

    parts = {"encode": model.connector_2d, "question": model.question_encoder}
    part = parts.get(at, model.language_model)
    if fault["kind"] == NOT_FINITE:
        part.register_forward_hook(after, with_kwargs=True)
    else:
        part.register_forward_pre_hook(before, with_kwargs=True)


if __name__ == "__main__":
    main(build_in)
