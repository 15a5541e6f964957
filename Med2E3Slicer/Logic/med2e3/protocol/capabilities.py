"""What an engine says of itself.

Knows the fields of readiness and capabilities; does not know how they are found out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from med2e3.protocol.problems import EngineUnreachable


@dataclass(frozen=True)
class ModelDescription:
    """The model that answers; name to notice are those of ``med2e3.record.ModelRecord``.

    Args:
        name: its name in the catalogue, or its title.
        revision: the published revision, or None.
        sha256: checksum of its weights.
        untrained: whether it was never trained.
        notice: what must be shown with its answers besides the general notice, or None.
        input_size: (slices, rows, columns) of a volume.
        context_length: tokens of prompt and answer at most.
        device: ``cuda``, ``mps`` or ``cpu``.
        dtype: number format of the weights, or their quantization.
        licence: of the weights; empty when not known.
    """

    name: str
    revision: str | None
    sha256: str
    untrained: bool
    notice: str | None
    input_size: tuple[int, int, int]
    context_length: int
    device: str
    dtype: str
    licence: str = ""

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ModelDescription:
        """Read JSON values."""
        slices, rows, columns = (int(size) for size in values["input_size"])
        known = {name: values[name] for name in cls.__dataclass_fields__ if name in values}
        return cls(**known | {"input_size": (slices, rows, columns)})


@dataclass(frozen=True)
class Capabilities:
    """An engine and its present state.

    Args:
        api: version of the interface.
        software: version of med2e3 that the engine runs.
        state: ``unloaded``, ``loading``, ``ready``, ``restarting`` or ``failed``.
        problem: why it failed, a sentence; else empty.
        notice: what must be shown with every answer, the model's own notice included.
        model: None unless one is ready.
        waiting: questions that wait for their turn.
        running: questions that are being answered.
        volumes: volumes held.
        memory_total: bytes of the device's memory; 0 when not known.
        memory_free: bytes of it that are free; 0 when not known.
        restarts: how often the process that holds the model was started again.
        replicas: processes that hold, or are to hold, the model.
        replicas_ready: those of them that answer now.
        may_change_model: whether a client may load and unload models.
        max_volume_bytes: the largest volume, uncompressed.
        max_grace_s: the longest grace after a broken connection.
    """

    api: str
    software: str
    state: str
    problem: str
    notice: str
    model: ModelDescription | None = None
    waiting: int = 0
    running: int = 0
    volumes: int = 0
    memory_total: int = 0
    memory_free: int = 0
    restarts: int = 0
    replicas: int = 1
    replicas_ready: int = 0
    may_change_model: bool = False
    max_volume_bytes: int = 0
    max_grace_s: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: object) -> Capabilities:
        """Read what :meth:`to_json` gave; unknown fields are ignored.

        Raises:
            EngineUnreachable: when a field is missing or wrong.
        """
        try:
            if not isinstance(values, Mapping):
                raise TypeError("not an object")
            known = {name: values[name] for name in cls.__dataclass_fields__ if name in values}
            model = known.get("model")
            known["model"] = None if model is None else ModelDescription.from_json(model)
            return cls(**known)
        except (KeyError, TypeError, ValueError) as error:
            raise EngineUnreachable(
                "The engine's description of itself is damaged.", detail=repr(error)
            ) from error
