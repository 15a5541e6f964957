"""The process with the model: loads one model, answers, and ends with the service.

Knows the pipe and the scheduler; knows nothing of HTTP, and keeps nothing on disk.  It ends by
itself when its standard input closes, which happens on every platform when the service is gone.
"""

from __future__ import annotations

import faulthandler
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import psutil
import torch

from med2e3.asking import Done, Event
from med2e3.engine.backend import LoadedModel
from med2e3.engine.core_dumps import forbid_core_dumps
from med2e3.engine.loaded import licence_of, model_record
from med2e3.engine.scheduling import Scheduler
from med2e3.engine.worker import frames, wire
from med2e3.errors import DeviceLostError, InputError, Med2E3Error
from med2e3.session import Session
from med2e3.weights import resolve_model

#: seconds between two messages about free memory
_MEMORY_EVERY = 0.5


@dataclass(frozen=True)
class _Volume:
    voxels: npt.NDArray[np.float32]
    sha256: str


class _Child:
    def __init__(self, pipe: BinaryIO) -> None:
        self._pipe = pipe
        self._volumes: dict[str, _Volume] = {}
        self._asked: dict[str, str] = {}
        self._told_memory = 0.0
        self._session: Session
        self._scheduler: Scheduler

    def tell(self, message: frames.Message) -> None:
        try:
            self._pipe.write(frames.pack(message))
            self._pipe.flush()
        except OSError:
            os._exit(0)  # the service is gone

    def load(self, message: frames.Message, on_loaded: Callable[[Session], None] | None) -> None:
        """Load the model and say what it is.

        Raises:
            Med2E3Error: when it cannot be loaded.
        """
        folder = resolve_model(message["model"])
        self._session = session = Session.load(
            folder, device=message["device"], dtype=message["precision"]
        )
        if on_loaded is not None:
            on_loaded(session)
        self._scheduler = Scheduler(session, self._say)
        record = model_record(folder)
        model = LoadedModel(
            record=record,
            input_size=session.input_size,
            context_length=session.config.context_length,
            device=session.device,
            dtype=session.dtype,
            licence=licence_of(record),
        )
        self._tell_memory()
        self.tell({"say": wire.LOADED, "model": wire.model_to_json(model)})

    def run(self, inbox: queue.SimpleQueue[tuple[frames.Message, bytearray]]) -> None:
        """Answer for ever.

        Raises:
            DeviceLostError: when nothing can be computed any more.
        """
        while True:
            try:
                while True:
                    self._handle(*inbox.get(block=not self._scheduler.busy))
            except queue.Empty:
                self._scheduler.step()

    def _handle(self, message: frames.Message, data: bytearray) -> None:
        match message["say"]:
            case wire.VOLUME:
                voxels = np.frombuffer(data, np.float32).reshape(message["shape"])
                self._volumes[message["volume"]] = _Volume(voxels, message["volume"])
            case wire.DROP:
                self._volumes.pop(message["volume"], None)
                self._forget(message["volume"])
            case wire.ASK:
                job = wire.job_from_json(message)
                volume = self._volumes.get(job.volume)
                if volume is None:
                    self._say(job.id, InputError("The volume was dropped."))
                    return
                self._asked[job.id] = job.volume
                self._scheduler.add(job.id, job.client, volume, job.question, job.options)
            case wire.CANCEL:
                self._scheduler.cancel(message["id"])

    def _say(self, job: str, outcome: Event | Med2E3Error) -> None:
        if isinstance(outcome, Done | Med2E3Error):
            self._forget(self._asked.pop(job, ""))
            if time.monotonic() - self._told_memory > _MEMORY_EVERY:
                self._tell_memory()
        self.tell(wire.outcome_to_json(job, outcome))

    def _forget(self, sha256: str) -> None:
        """Drop what was computed from a volume that is neither held nor asked about."""
        if sha256 not in self._volumes and sha256 not in self._asked.values():
            self._session.forget_volume(sha256)

    def _tell_memory(self) -> None:
        self._told_memory = time.monotonic()
        if self._session.device == "cuda":
            free, total = torch.cuda.mem_get_info()
        else:
            memory = psutil.virtual_memory()
            free, total = memory.available, memory.total
        self.tell({"say": wire.MEMORY, "free": free, "total": total})


def main(on_loaded: Callable[[Session], None] | None = None) -> None:
    """Serve one service until it closes the pipe.

    Args:
        on_loaded: gets the session once it is loaded, before it answers.
    """
    faulthandler.enable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the service's to answer
    forbid_core_dumps()
    # what libraries print must not come between messages
    pipe = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    inbox: queue.SimpleQueue[tuple[frames.Message, bytearray]] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(inbox,), daemon=True).start()
    child = _Child(pipe)
    try:
        child.load(inbox.get()[0], on_loaded)
    except Med2E3Error as error:
        child.tell(wire.broken_to_json(error, final=True))
        return
    try:
        child.run(inbox)
    except DeviceLostError as error:
        child.tell(wire.broken_to_json(error, final=False))
        os._exit(1)  # a lost device may also hang when it is tidied up


def _receive(inbox: queue.SimpleQueue[tuple[frames.Message, bytearray]]) -> None:
    pipe = os.fdopen(os.dup(sys.stdin.fileno()), "rb", buffering=0)
    try:
        while True:
            inbox.put(frames.read(pipe))
    finally:
        os._exit(0)  # at once, whatever is being computed


if __name__ == "__main__":
    main()
