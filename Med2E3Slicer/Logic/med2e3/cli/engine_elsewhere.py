"""A running engine at an address, for the commands that ask.

Knows where its token comes from and what a command needs of it; volumes and questions go through
:mod:`med2e3.client`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import suppress

from med2e3.asking import Event, GenerationOptions, Question
from med2e3.cli.engine import AnyEngine, Engine
from med2e3.client import RemoteEngine, VolumeInput
from med2e3.devices import AUTO
from med2e3.errors import InputError, Med2E3Error
from med2e3.protocol import Capabilities, ModelDescription, ModelNotReady
from med2e3.record import ModelRecord
from med2e3.weights import EMBEDDED_NAME

#: environment variable that holds the token
TOKEN_VARIABLE = "MED2E3_TOKEN"


def choose_engine(address: str | None, model: str, device: str, dtype: str) -> AnyEngine:
    """The model in this process, or the engine at an address.

    Raises:
        InputError: for an unknown model, device or dtype, or for one beside an address.
        EngineUnreachable: when no engine answers there.
    """
    if address is None:
        return Engine(model, device, dtype)
    if (model, device, dtype) != (EMBEDDED_NAME, AUTO, AUTO):
        raise InputError(
            "The engine at --engine has its own model, device and number format.",
            hint="Leave --model, --device and --dtype out.",
        )
    token = os.environ.get(TOKEN_VARIABLE)
    if not token:
        raise InputError(
            "The engine's token is missing.",
            hint=f"Set the environment variable {TOKEN_VARIABLE} to the token of the engine.",
        )
    return EngineElsewhere(RemoteEngine(address, token))


class EngineElsewhere:
    """See :class:`med2e3.cli.engine.AnyEngine`.

    Args:
        remote: waited for until its model is ready.
    """

    load_seconds = 0.0
    is_loaded = True

    def __init__(self, remote: RemoteEngine) -> None:
        self._remote = remote
        self._said: Capabilities = remote.wait_until_ready()
        if self._said.model is None:
            raise ModelNotReady("The engine has no model loaded.", hint="Load a model there.")
        self._model: ModelDescription = self._said.model

    @property
    def input_size(self) -> tuple[int, int, int]:
        """(slices, rows, columns) of a model input."""
        return self._model.input_size

    @property
    def device(self) -> str:
        """Name of the engine's device."""
        return self._model.device

    @property
    def dtype(self) -> str:
        """Number format of the engine's weights."""
        return self._model.dtype

    def load(self) -> EngineElsewhere:
        """Itself: the engine has its model loaded."""
        return self

    def record(self) -> ModelRecord:
        """Which model answers there."""
        model = self._model
        return ModelRecord(model.name, model.revision, model.sha256, model.untrained, model.notice)

    def notice(self) -> str:
        """What must be shown with every answer."""
        return self._said.notice

    def ask(
        self,
        volume: VolumeInput,
        question: Question,
        options: GenerationOptions | None = None,
        *,
        cancel: threading.Event | None = None,
    ) -> Iterator[Event]:
        """Answer a question there."""
        return self._remote.ask(volume, question, options, cancel=cancel)

    def forget_volume(self, sha256: str) -> None:
        """Let it give up a volume now, not when it has been idle for long."""
        with suppress(Med2E3Error):  # it is gone, or does so later by itself
            self._remote.drop_volume(sha256)
