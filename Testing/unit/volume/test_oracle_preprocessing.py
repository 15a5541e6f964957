"""The reference implementation's own numbers for M3D arrays."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from med2e3.volume import prepare, read_volume


def cases(shared_dir: Path) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
    for expected in sorted(shared_dir.glob("oracle/*/expected/expected_trained_float32.json")):
        module_file = expected.parents[1] / "volumes.py"
        spec = importlib.util.spec_from_file_location("oracle_volumes", module_file)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for case in json.loads(expected.read_text())["cases"]:
            yield case, module.make_case_volume(case["volume"])


def test_preprocessing_gives_the_reference_numbers(shared_dir: Path, tmp_path: Path) -> None:
    count = 0
    for case, array in cases(shared_dir):
        np.save(tmp_path / "volume.npy", array)
        result = prepare(read_volume(tmp_path / "volume.npy")).voxels
        expected = case["preprocessed"]
        assert [1, *result.shape] == case["preprocessed_shape"]
        flat = result.ravel()
        samples = flat[expected["sample_index"]]
        assert np.abs(samples - expected["sample"]).max() <= 1e-5, case["id"]
        assert float(flat.max()) == pytest.approx(expected["max"], abs=1e-5)
        assert float(flat.min()) == pytest.approx(expected["min"], abs=1e-5)
        wide = flat.astype(np.float64)
        assert wide.sum() == pytest.approx(expected["sum"], rel=1e-6)
        assert np.sqrt((wide**2).sum()) == pytest.approx(expected["l2"], rel=1e-6)
        count += 1
    assert count >= 9
