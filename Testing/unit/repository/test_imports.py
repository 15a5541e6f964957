"""The light half imports nothing but numpy, SimpleITK and the standard library."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

LOGIC = Path(__file__).resolve().parents[3] / "Med2E3Slicer" / "Logic"
LIGHT_PARTS = (
    "errors", "notice", "atomic", "devices", "sizes", "model_info", "palette", "volume", "asking",
    "record", "protocol", "client",
)  # fmt: skip
LIGHT_PACKAGES = {"med2e3", "numpy", "SimpleITK"}

#: imports the named modules and prints which packages that brought in; torch etc. are installed,
#: so an import of them would succeed and be seen
PROBE = """
import importlib, json, sys
before = {name.partition(".")[0] for name in sys.modules}
for name in sys.argv[1:]:
    importlib.import_module(name)
after = {name.partition(".")[0] for name in sys.modules}
print(json.dumps(sorted(after - before - set(sys.stdlib_module_names))))
"""


def packages_brought_in(*modules: str) -> set[str]:
    """Top-level packages outside the standard library that a fresh Python loads for them."""
    answer = subprocess.run(
        [sys.executable, "-c", PROBE, *modules], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    packages = set(json.loads(answer.stdout))
    # SWIG, with which SimpleITK is made, registers its table of types as a module
    return {name for name in packages if not name.startswith("swig_runtime_data")}


def modules_of(part: str) -> list[str]:
    """Names of all modules of a part of ``med2e3``, the part itself first."""
    folder = LOGIC / "med2e3" / part
    files = sorted(folder.rglob("*.py")) or [folder.with_suffix(".py")]
    assert all(file.is_file() for file in files)
    dotted = [".".join(file.relative_to(LOGIC).with_suffix("").parts) for file in files]
    return sorted(name.removesuffix(".__init__") for name in dotted)


def test_the_package_itself_is_light() -> None:
    assert packages_brought_in("med2e3") <= LIGHT_PACKAGES


@pytest.mark.parametrize("part", LIGHT_PARTS)
def test_light_part_imports_no_heavy_package(part: str) -> None:
    assert packages_brought_in(*modules_of(part)) <= LIGHT_PACKAGES


@pytest.mark.parametrize("part", ["weights", "figure", "cli"])
def test_parts_without_a_model_do_not_import_torch(part: str) -> None:
    """Help texts, downloads and pictures must not wait for torch, nor need it."""
    assert packages_brought_in(*modules_of(part)).isdisjoint({"torch", "transformers"})


def test_the_probe_sees_heavy_packages() -> None:
    assert "torch" in packages_brought_in("safetensors.torch")
