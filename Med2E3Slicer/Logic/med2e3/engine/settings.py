"""How much the service lets its clients do.

Knows numbers; what happens when one is reached is decided where it is counted.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Limits:
    """Bounds for one service; times in seconds, sizes in bytes.

    Args:
        max_volume_bytes: one volume, uncompressed.
        max_json_bytes: any other body.
        max_held_bytes: all volumes together.
        volumes_per_client: a client's next volume takes the place of its least recently used.
        questions_per_client: waiting and running at one moment.
        questions: of all clients, waiting and running.
        max_grace_s: longest time that a question outlives its connection.
        idle_s: a volume that was not used for so long is dropped; 0 keeps it.
        ping_s: longest silence in a stream of events.
        stall_s: a client that takes nothing, or sends nothing of its body, for so long is gone.
    """

    max_volume_bytes: int = 64 << 20
    max_json_bytes: int = 1 << 20
    max_held_bytes: int = 4 << 30
    volumes_per_client: int = 8
    questions_per_client: int = 8
    questions: int = 256
    max_grace_s: float = 60.0
    idle_s: float = 1800.0
    ping_s: float = 5.0
    stall_s: float = 30.0


@dataclass(frozen=True)
class Settings:
    """One service.

    Args:
        token: what clients must present.
        model: loaded as soon as the service runs; None loads none.
        may_change_model: whether clients may load and unload models.
        limits: for all clients.
    """

    token: str
    model: str | None = None
    may_change_model: bool = False
    limits: Limits = field(default_factory=Limits)
