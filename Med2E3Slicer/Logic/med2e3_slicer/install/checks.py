"""Whether this computer can hold and run the engine, said in sentences.

Knows thresholds and words; every number is given to it, nothing is measured here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from slicer.i18n import tr as _

from med2e3.sizes import human_bytes

_GIB = 1024**3
#: the published model in 16 bits, without room for the volume's features
_GPU_COMFORT = 11 * _GIB
_GPU_LEAST = 5 * _GIB
_RAM_LEAST = 15 * _GIB
#: of the longest path inside a PyTorch wheel, with room
_LONGEST_INSIDE = 180
_WINDOWS_LONGEST = 260
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


class Level(Enum):
    """What a check means for the set-up."""

    GOOD = "good"
    NOTE = "note"
    STOP = "stop"


@dataclass(frozen=True)
class Check:
    """One finding.

    Attributes:
        name: short stable name.
        level: whether the set-up can go on.
        sentence: what was found; no path and no name of a person.
    """

    name: str
    level: Level
    sentence: str


@dataclass(frozen=True)
class Gpu:
    """One NVIDIA GPU: its name, its driver's version and its memory in bytes."""

    name: str
    driver: str
    memory: int


def parse_gpus(text: str) -> list[Gpu]:
    """GPUs from ``nvidia-smi --query-gpu=name,driver_version,memory.total`` as CSV in MiB."""
    gpus = []
    for line in text.splitlines():
        fields = [field.strip() for field in line.split(",")]
        if len(fields) == 3 and fields[2].isdigit():
            gpus.append(Gpu(fields[0], fields[1], int(fields[2]) * 1024**2))
    return gpus


def check_gpu(gpus: Iterable[Gpu] | None) -> Check:
    """The GPU with the most memory; None when the driver's program is absent or fails."""
    best = max(gpus or [], key=lambda gpu: gpu.memory, default=None)
    if best is None:
        return Check(
            "gpu",
            Level.NOTE,
            _(
                "No NVIDIA GPU with a working driver was found: the large model will be slow; "
                "the small model that comes with the module runs well."
            ),
        )
    said = _("{name}, driver {driver}, {memory} of memory").format(
        name=best.name, driver=best.driver, memory=human_bytes(best.memory)
    )
    if best.memory < _GPU_LEAST:
        return Check(
            "gpu", Level.NOTE, _("{gpu}: too little for the large model.").format(gpu=said)
        )
    if best.memory < _GPU_COMFORT:
        return Check(
            "gpu",
            Level.NOTE,
            _("{gpu}: the large model needs quantized weights.").format(gpu=said),
        )
    return Check("gpu", Level.GOOD, _("{gpu}.").format(gpu=said))


def check_memory(total: int | None) -> Check:
    """The computer's memory in bytes; None when it cannot be found out."""
    if total is None:
        return Check("memory", Level.NOTE, _("How much memory there is could not be found out."))
    said = human_bytes(total)
    if total < _RAM_LEAST:
        return Check(
            "memory",
            Level.NOTE,
            _("{size} of memory: the large model needs 16 GB or more.").format(size=said),
        )
    return Check("memory", Level.GOOD, _("{size} of memory.").format(size=said))


def check_disk(free: int | None, needed: int) -> Check:
    """Free bytes where the environment goes; None when that folder cannot be used."""
    if free is None:
        return Check(
            "disk", Level.STOP, _("The folder for the engine cannot be used; choose another.")
        )
    words = {"free": human_bytes(free), "needed": human_bytes(needed)}
    if free < needed:
        return Check(
            "disk",
            Level.STOP,
            _("Only {free} of disk are free and {needed} are needed.").format(**words),
        )
    return Check("disk", Level.GOOD, _("{free} of disk are free.").format(**words))


def check_path(folder: Path, platform: str) -> Check:
    """Whether paths inside `folder` stay short enough (``sys.platform`` as `platform`)."""
    longest = len(str(folder)) + _LONGEST_INSIDE
    if platform == "win32" and longest >= _WINDOWS_LONGEST:
        return Check(
            "path",
            Level.STOP,
            _(
                "The folder's path has {length} characters; Windows allows {most} here. Choose a "
                "shorter folder by the variable MED2E3_HOME."
            ).format(length=len(str(folder)), most=_WINDOWS_LONGEST - _LONGEST_INSIDE - 1),
        )
    return Check("path", Level.GOOD, _("The folder's path is short enough."))


def check_proxy(environment: Mapping[str, str]) -> Check:
    """Which proxy variables are set; their values, which may hold passwords, are not shown."""
    upper = {name.upper(): value for name, value in environment.items()}
    names = [name for name in _PROXIES if upper.get(name)]
    if names:
        return Check(
            "proxy",
            Level.GOOD,
            _("Downloads use the proxy of {names}.").format(names=", ".join(names)),
        )
    return Check(
        "proxy",
        Level.GOOD,
        _("No proxy is set; behind one, set HTTPS_PROXY before Slicer is started."),
    )
