"""Addresses and headers of the interface.

Knows paths, queries and names of headers; does not know what is sent to them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from med2e3.protocol.versions import API_HEADER, API_VERSION, major

BASE = f"/v{major(API_VERSION)}"
HEALTH = f"{BASE}/health"
READINESS = f"{BASE}/readiness"
CAPABILITIES = f"{BASE}/capabilities"
MODEL = f"{BASE}/model"
VOLUMES = f"{BASE}/volumes"
QUESTIONS = f"{BASE}/questions"

#: a word of the client's own choice, for fair turns and limits; says nothing of the person
CLIENT_HEADER = "Med2E3-Client"
#: of a volume's body: the voxels, little-endian float32, slices, then rows, then columns
VOLUME_MEDIA_TYPE = "application/octet-stream"


def volume_path(sha256: str, shape: Sequence[int] | None = None) -> str:
    """Where a volume is put (with its shape), looked for, or dropped.

    Args:
        sha256: its content hash, as ``med2e3.volume.ModelInput`` computes it.
        shape: (slices, rows, columns), for putting.
    """
    path = f"{VOLUMES}/{sha256}"
    if shape is None:
        return path
    slices, rows, columns = shape
    return f"{path}?slices={int(slices)}&rows={int(rows)}&columns={int(columns)}"


def question_path(question: str) -> str:
    """Where a question is cancelled."""
    return f"{QUESTIONS}/{question}"


def events_path(question: str) -> str:
    """Where a question's events are read on."""
    return f"{QUESTIONS}/{question}/events"


def request_headers(token: str, client: str) -> dict[str, str]:
    """The headers of every request.

    Args:
        token: the engine's.
        client: see :data:`CLIENT_HEADER`.
    """
    return {
        "Authorization": f"Bearer {token}",
        API_HEADER: API_VERSION,
        CLIENT_HEADER: client,
    }


def is_loopback(host: str) -> bool:
    """Whether a host name or address can only mean this computer."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
