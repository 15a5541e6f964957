"""The version of the HTTP interface, and what is said when two sides do not match.

Knows numbers and sentences; does not know how they travel.  The first number changes when a client
written for the one before would no longer work; the second when something was added.  A client
ignores fields, headers and event types that it does not know.
"""

from __future__ import annotations

from med2e3.protocol.problems import VersionMismatch

#: of this software, as ``major.minor``
API_VERSION = "1.0"
#: in every request of our clients and every answer of the engine
API_HEADER = "Med2E3-API-Version"


def major(version: str) -> str:
    """The part of a version that must be the same on both sides."""
    return version.partition(".")[0]


def check_version(engine: str | None) -> None:
    """Compare an engine's version with this client's.

    Args:
        engine: its :data:`API_HEADER`; None when it sent none.

    Raises:
        VersionMismatch: when the two cannot talk.
    """
    if engine is None:
        raise VersionMismatch(
            "What answers at this address is not a Med2E3 engine.",
            hint="Check the address and the port.",
        )
    if major(engine) != major(API_VERSION):
        raise mismatch(engine=engine, client=API_VERSION)


def mismatch(*, engine: str, client: str) -> VersionMismatch:
    """The error that names both versions and says which side to update."""
    older = "client" if _number(client) < _number(engine) else "engine"
    return VersionMismatch(
        f"The engine speaks version {major(engine)} of its interface, "
        f"this client version {major(client)}.",
        hint=f"Update the {older} (med2e3) so that both have the same version.",
    )


def _number(version: str) -> int:
    first = major(version)
    return int(first) if first.isascii() and first.isdigit() else 0
