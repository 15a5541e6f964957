"""What this computer has: system, packages, memory, devices, disk, models.

Knows where each fact comes from.  Holds nothing that tells who or where: no names of people or
computers, no paths, no addresses.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

import med2e3
from med2e3.errors import Med2E3Error
from med2e3.model_info import read_model_info
from med2e3.sizes import human_bytes
from med2e3.weights import EMBEDDED_NAME, Store, embedded_model_dir, store_dir
from med2e3.weights.store import folder_bytes

if TYPE_CHECKING:
    from med2e3.session.precision import Needs

_PACKAGES = (
    "torch",
    "transformers",
    "accelerate",
    "safetensors",
    "huggingface_hub",
    "numpy",
    "SimpleITK",
    "matplotlib",
    "typer",
    "rich",
)
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@dataclass(frozen=True)
class Gpu:
    """A graphics processor that torch can use; bytes are ``None`` where it does not tell."""

    name: str
    total_bytes: int | None
    free_bytes: int | None


@dataclass(frozen=True)
class Findings:
    """The facts; sizes in bytes."""

    system: str
    python: str
    packages: dict[str, str]
    cores: int
    memory_total: int
    memory_free: int
    gpus: tuple[Gpu, ...]
    driver: str
    disk_free: int
    models: dict[str, int]
    device: str
    embedded: str
    published: str
    network: dict[str, bool]

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    def rows(self) -> list[tuple[str, str]]:
        """As names and values for people."""
        gpus = [_gpu_text(gpu) for gpu in self.gpus] or ["none that PyTorch can use"]
        installed = [f"{name} ({human_bytes(size)})" for name, size in self.models.items()]
        settings = [name for name, is_set in self.network.items() if is_set]
        return [
            ("med2e3", med2e3.__version__),
            ("System", self.system),
            ("Python", self.python),
            *((name, version) for name, version in self.packages.items()),
            ("CPU cores", str(self.cores)),
            ("Memory", f"{human_bytes(self.memory_free)} free of {human_bytes(self.memory_total)}"),
            *(("GPU", text) for text in gpus),
            ("GPU driver", self.driver or "none found"),
            ("Disk for models", f"{human_bytes(self.disk_free)} free"),
            ("Models", ", ".join(installed) or "none"),
            ("Device chosen", self.device),
            ("Embedded model", self.embedded),
            ("Published model", self.published),
            ("Network settings", ", ".join(f"{name} is set" for name in settings) or "none set"),
        ]


def look() -> Findings:
    """Collect the facts; imports torch if it is installed."""
    memory = psutil.virtual_memory()
    gpus, device, embedded, published = _with_torch()
    return Findings(
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=f"{platform.python_version()} ({sys.hash_info.width} bit)",
        packages={name: _version(name) for name in _PACKAGES},
        cores=psutil.cpu_count(logical=True) or 1,
        memory_total=int(memory.total),
        memory_free=int(memory.available),
        gpus=gpus,
        driver=_nvidia_driver(),
        disk_free=_disk_free(store_dir()),
        models=_models(),
        device=device,
        embedded=embedded,
        published=published,
        network=network_settings(os.environ),
    )


def network_settings(environment: Mapping[str, str]) -> dict[str, bool]:
    """Which settings of proxy, mirror and offline work are set (never their values)."""
    names = {
        name: bool(environment.get(name) or environment.get(name.lower())) for name in _PROXIES
    }
    return names | {name: bool(environment.get(name)) for name in ("HF_ENDPOINT", "HF_HUB_OFFLINE")}


def _with_torch() -> tuple[tuple[Gpu, ...], str, str, str]:
    """GPUs, the device that ``auto`` takes, and how either model would run."""
    try:
        import torch  # noqa: PLC0415 (heavy)

        from med2e3.session.devices import choose_device  # noqa: PLC0415 (imports torch)
        from med2e3.session.precision import PUBLISHED_NEEDS, Needs  # noqa: PLC0415
    except (ImportError, OSError) as error:
        problem = f"PyTorch cannot be loaded ({type(error).__name__})"
        return (), problem, problem, problem
    gpus: list[Gpu] = []
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            free, total = torch.cuda.mem_get_info(number)
            gpus.append(Gpu(torch.cuda.get_device_name(number), total, free))
    if torch.backends.mps.is_available():
        gpus.append(Gpu("Apple (Metal)", None, None))
    device = choose_device("auto")
    folder = embedded_model_dir()
    try:
        info = read_model_info(folder)
        embedded = _fit(device, Needs(info.parameters, 0, 0))[0]
        embedded += "; untrained, for trying out" if info.untrained else ""
    except Med2E3Error as error:
        embedded = error.sentence
    published, others = _fit(device, PUBLISHED_NEEDS)
    return tuple(gpus), device, embedded, f"{published} ({others})"


def _fit(device: str, needs: Needs) -> tuple[str, str]:
    """Whether a model runs here, in which precision, and what each precision needs."""
    from med2e3.session.precision import choose_precision, needed_in_each  # noqa: PLC0415

    sizes = ", ".join(
        f"{name} needs {human_bytes(size)}" for name, size in needed_in_each(needs, device).items()
    )
    try:
        return f"runs as {choose_precision('auto', device, needs).name} on {device}", sizes
    except Med2E3Error as error:
        return f"does not run: {error.sentence}", sizes


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _nvidia_driver() -> str:
    program = shutil.which("nvidia-smi")
    if program is None:
        return ""
    command = [program, "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return "nvidia-smi does not answer"
    return f"NVIDIA {answer.stdout.splitlines()[0].strip()}" if answer.stdout.strip() else ""


def _disk_free(folder: Path) -> int:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _models() -> dict[str, int]:
    store = Store(store_dir())
    found = {EMBEDDED_NAME: folder_bytes(embedded_model_dir())}
    return found | {name: folder_bytes(store.model(name)) for name in store.installed_names()}


def _gpu_text(gpu: Gpu) -> str:
    if gpu.total_bytes is None or gpu.free_bytes is None:
        return gpu.name
    return f"{gpu.name}, {human_bytes(gpu.free_bytes)} free of {human_bytes(gpu.total_bytes)}"
