"""The model that answers, loaded only when there is something to ask.

Knows when torch is imported; does not know volumes or questions.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from med2e3.asking import Event, GenerationOptions, Question
from med2e3.client import VolumeInput
from med2e3.devices import AUTO, DEVICE_NAMES, PRECISION_NAMES
from med2e3.engine.loaded import model_record
from med2e3.errors import InputError
from med2e3.model_info import read_model_info
from med2e3.notice import whole_notice
from med2e3.record import ModelRecord
from med2e3.weights import resolve_model

if TYPE_CHECKING:
    from med2e3.session import Session


class Asked(Protocol):
    """What answers questions: a session in this process, or an engine elsewhere."""

    @property
    def device(self) -> str:
        """Name of the device."""

    @property
    def dtype(self) -> str:
        """Number format of the weights."""

    def ask(
        self,
        volume: VolumeInput,
        question: Question,
        options: GenerationOptions | None = None,
        *,
        cancel: threading.Event | None = None,
    ) -> Iterator[Event]:
        """Answer a question; see :class:`med2e3.client.engine.Engine`."""


class AnyEngine(Protocol):
    """A model that answers, here (:class:`Engine`) or elsewhere."""

    @property
    def input_size(self) -> tuple[int, int, int]:
        """(slices, rows, columns) of a model input."""

    @property
    def device(self) -> str:
        """Where it runs, as far as that is chosen or known."""

    @property
    def dtype(self) -> str:
        """Number format, as far as that is chosen or known."""

    @property
    def is_loaded(self) -> bool:
        """Whether nothing has to be waited for."""

    @property
    def load_seconds(self) -> float:
        """How long loading took."""

    def load(self) -> Asked:
        """Make it ready."""

    def record(self) -> ModelRecord:
        """Which model this is."""

    def notice(self) -> str:
        """What must be shown with every answer."""

    def forget_volume(self, sha256: str) -> None:
        """No more is asked about a volume."""


DEVICES = (AUTO, *DEVICE_NAMES)
PRECISIONS = (AUTO, *PRECISION_NAMES)


class Engine:
    """A model folder and, once it is needed, the loaded model.

    Args:
        model: name of an installed model, or a model folder.
        device: one of :data:`DEVICES`.
        dtype: one of :data:`PRECISIONS`.

    Raises:
        InputError: for an unknown model, device or precision.
        CheckpointError: when the folder holds no Med-2E3 model.
    """

    def __init__(self, model: str, device: str, dtype: str) -> None:
        for value, allowed, name in ((device, DEVICES, "device"), (dtype, PRECISIONS, "precision")):
            if value not in allowed:
                raise InputError(
                    f"There is no {name} {value!r}.", hint=f"Use one of {', '.join(allowed)}."
                )
        self.device = device
        self.dtype = dtype
        self.folder: Path = resolve_model(model)
        self.info = read_model_info(self.folder)
        self.load_seconds = 0.0
        self._session: Session | None = None
        self._record: ModelRecord | None = None

    @property
    def input_size(self) -> tuple[int, int, int]:
        """(slices, rows, columns) of a model input."""
        return self.info.input_size

    @property
    def is_loaded(self) -> bool:
        """Whether the model is in memory."""
        return self._session is not None

    def load(self) -> Session:
        """Import torch and load the model, once.

        Raises:
            CheckpointError: when the folder holds no complete model.
            ResourceError: when there is no such device or not enough memory.
        """
        if self._session is None:
            from med2e3.session import Session  # noqa: PLC0415 (imports torch)

            start = time.perf_counter()
            self._session = Session.load(self.folder, device=self.device, dtype=self.dtype)
            self.load_seconds = time.perf_counter() - start
        return self._session

    def record(self) -> ModelRecord:
        """Which model this is; large weights that were never checked take a moment to read."""
        if self._record is None:
            self._record = model_record(self.folder)
        return self._record

    def notice(self) -> str:
        """What must be shown with every answer."""
        return whole_notice(self.info.notice)

    def forget_volume(self, sha256: str) -> None:
        """Free what was computed from a volume."""
        if self._session is not None:
            self._session.forget_volume(sha256)
