"""What can go wrong, said to a person.

This module knows how an error is worded and which exit code it gives; it does not know where
errors come from or how they are shown.
"""

from __future__ import annotations


class Med2E3Error(Exception):
    """An error with a sentence for a person, and nothing of the patient in it.

    Args:
        sentence: what happened and why, one sentence, no path of a person's folder and no
            patient data.
        hint: what to do now, one sentence; empty when there is nothing to do.
        detail: for the log only (library messages, shapes, key names).
    """

    #: process exit code of the command line when this error ends it
    exit_code = 1
    #: short stable name for programs (HTTP problem documents, JSON)
    code = "error"

    def __init__(self, sentence: str, *, hint: str = "", detail: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.hint = hint
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.sentence} {self.hint}".strip()


class InputError(Med2E3Error):
    """What the person gave cannot be used; nothing heavy was started."""

    exit_code = 2
    code = "bad-input"


class VolumeError(InputError):
    """A volume that cannot be read, or that must not be read silently wrong."""

    code = "bad-volume"


class CheckpointError(Med2E3Error):
    """Model files that are missing, incomplete, of another shape, or with unknown keys."""

    exit_code = 2
    code = "bad-checkpoint"


class WeightsError(Med2E3Error):
    """A download, verification or installation of weights that did not succeed."""

    code = "weights"


class ResourceError(Med2E3Error):
    """Not enough memory, disk, or no such device."""

    code = "resources"


class NumericalError(Med2E3Error):
    """Numbers that are not finite came out of the model; nothing of the answer can be trusted."""

    code = "not-finite"


class DeviceLostError(Med2E3Error):
    """The device stopped working; only a new process can use it again."""

    code = "device-lost"


class EngineCrashedError(Med2E3Error):
    """The process with the model ended unexpectedly."""

    code = "engine-crashed"


class Cancelled(Med2E3Error):  # noqa: N818 (a request that was met, not a fault)
    """A person or a program asked to stop."""

    exit_code = 130
    code = "cancelled"

    def __init__(self, sentence: str = "Stopped on request.", **kwargs: str) -> None:
        super().__init__(sentence, **kwargs)
