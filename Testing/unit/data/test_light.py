"""Preparing data needs no torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import med2e3.data

PROBE = """
import importlib, json, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def test_no_module_of_the_data_part_imports_torch() -> None:
    folder = Path(med2e3.data.__file__).parent
    names = [f"med2e3.data.{file.stem}" for file in folder.glob("*.py") if file.stem[0] != "_"]
    answer = subprocess.run(
        [sys.executable, "-c", PROBE, *names], capture_output=True, text=True, check=True
    )
    loaded = set(json.loads(answer.stdout))
    assert {"PIL", "numpy", "SimpleITK"} <= loaded
    assert loaded.isdisjoint({"torch", "transformers", "scipy", "pandas", "matplotlib"})
