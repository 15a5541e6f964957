"""A session with the interface that all engines have.

Knows which model a session holds; adds nothing to how it answers.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

import med2e3
from med2e3.asking import Event, GenerationOptions, Question
from med2e3.devices import AUTO
from med2e3.engine.loaded import licence_of, model_record
from med2e3.notice import whole_notice
from med2e3.protocol import API_VERSION, Capabilities, ModelDescription
from med2e3.session.session import Session, VolumeInput
from med2e3.weights import resolve_model


class InProcessEngine:
    """See :class:`med2e3.client.engine.Engine`; one question at a time.

    Args:
        model: name of an installed model, or a model folder; loaded at once.
        device: ``auto``, ``cuda``, ``mps`` or ``cpu``.
        dtype: ``auto``, ``float32``, ``bfloat16`` or ``float16``.

    Raises:
        InputError: for an unknown model, device or dtype.
        CheckpointError: when the folder holds no complete model.
        ResourceError: when there is no such device or not enough memory.
    """

    def __init__(self, model: str, *, device: str = AUTO, dtype: str = AUTO) -> None:
        folder = resolve_model(model)
        self._record = model_record(folder)
        self._session = Session.load(folder, device=device, dtype=dtype)
        self._one_at_a_time = threading.Lock()

    def capabilities(self) -> Capabilities:
        """The model and its device."""
        session = self._session
        return Capabilities(
            api=API_VERSION,
            software=med2e3.__version__,
            state="ready",
            problem="",
            notice=whole_notice(self._record.notice),
            model=ModelDescription(
                **self._record.to_dict(),
                input_size=session.input_size,
                context_length=session.config.context_length,
                device=session.device,
                dtype=session.dtype,
                licence=licence_of(self._record),
            ),
        )

    def put_volume(self, volume: VolumeInput) -> None:
        """Nothing is needed: the first question encodes the volume."""

    def ask(
        self,
        volume: VolumeInput,
        question: Question,
        options: GenerationOptions | None = None,
        *,
        cancel: threading.Event | None = None,
    ) -> Iterator[Event]:
        """Answer a question; see :meth:`med2e3.session.Session.ask`."""
        with self._one_at_a_time:
            yield from self._session.ask(volume, question, options, cancel=cancel)

    def drop_volume(self, sha256: str) -> None:
        """Nothing is needed: what is kept of volumes is bounded."""

    def close(self) -> None:
        """Forget everything that is kept of volumes."""
        self._session.forget()
