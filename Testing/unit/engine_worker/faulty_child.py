"""The real process with the model, with faults that a test switches on in the loaded model.

``MED2E3_TEST_FAULT`` names a file; while it exists, it says in JSON what goes wrong: ``kind``;
``at`` (``encode``, ``question``, ``prompt``, ``token``); ``after``, how many such passes go well;
``text``, the question whose scores alone fail; ``once``, whether the file is removed when it
happens, so that it does not happen again, not even in the next process.
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


class Faults:
    """Hooks of a model that look into the file at each pass."""

    def __init__(self, session: Session, file: Path) -> None:
        self._session, self._file = session, file
        self._known, self._seen = "", 0

    def build_in(self) -> None:
        """Register the hooks."""
        model = self._session.model
        parts = {
            "encode": model.connector_2d,
            "question": model.question_encoder,
            "language": model.language_model,
        }
        for name, part in parts.items():
            part.register_forward_pre_hook(
                lambda _, __, named, name=name: self._before(name, named), with_kwargs=True
            )
            part.register_forward_hook(
                lambda _, __, named, output, name=name: self._after(name, named, output),
                with_kwargs=True,
            )

    def _before(self, name: str, named: dict[str, Any]) -> None:
        fault = self._due(name, named, not_finite=False)
        if fault:
            break_now(fault["kind"])

    def _after(self, name: str, named: dict[str, Any], output: Any) -> Any:
        if self._due(name, named, not_finite=True):
            numbers = output.pooler_output if name == "question" else output.logits
            numbers[0] = float("nan")
        return output

    def _due(self, name: str, named: dict[str, Any], *, not_finite: bool) -> dict[str, Any] | None:
        try:
            text = self._file.read_text()
        except FileNotFoundError:
            return None
        if text != self._known:
            self._known, self._seen = text, 0
        fault: dict[str, Any] = json.loads(text)
        if (fault["kind"] == NOT_FINITE) != not_finite:
            return None
        if name == "language":
            name = "prompt" if named["inputs_embeds"].shape[1] > 1 else "token"
        if name != fault["at"]:
            return None
        if "text" in fault:
            wanted = self._session.processor.encode_question(fault["text"])
            if named["input_ids"][0].tolist() != wanted:
                return None
        self._seen += 1
        if self._seen <= fault.get("after", 0):
            return None
        if fault.get("once"):
            self._file.unlink()
        return fault


if __name__ == "__main__":
    main(lambda session: Faults(session, Path(os.environ["MED2E3_TEST_FAULT"])).build_in())
