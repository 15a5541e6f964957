"""A folder of volumes in several processes: the same results, whatever happens to a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
from unit.cli.cli_harness import write_npy

NAMES = [f"volume{number}.npy" for number in range(5)]
#: what differs between two runs of the same
_TIMES = {"timings_s", "created", "time", "load_s", "cache_hits"}


def start(folder: Path, results: Path, processes: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "med2e3.cli.main", "report", folder, "--output", results]
    options = ["--device", "cpu", "--max-new-tokens", "6", "--processes", processes]
    return subprocess.Popen(
        [*map(str, command), *map(str, options)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def answers(results: Path) -> dict[str, list[tuple[Any, ...]]]:
    found = {}
    for name in NAMES:
        files = [p for p in (results / name).glob("*.json") if p.name != "finished.json"]
        assert len(files) == 1, (name, files)
        found[name] = [_without_times(json.loads(files[0].read_text()))]
    return found


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_times(v) for k, v in value.items() if k not in _TIMES}
    return [_without_times(v) for v in value] if isinstance(value, list) else value


def test_a_killed_process_costs_no_result(tmp_path: Path) -> None:
    folder = tmp_path / "volumes"
    for number, name in enumerate(NAMES):
        write_npy(folder / name, number)
    alone = start(folder, tmp_path / "alone", 1)
    out, err = alone.communicate(timeout=500)
    assert alone.returncode == 0, out + err

    results = tmp_path / "together"
    together = start(folder, results, 2)
    try:
        victim = None
        while victim is None and together.poll() is None:
            children = psutil.Process(together.pid).children()
            workers = [p for p in children if "spawn_main" in " ".join(p.cmdline())]
            # the first two volumes are under way, the first is not finished
            victim = workers[0] if len(workers) == 2 else None
            time.sleep(0.02)
        assert victim is not None
        victim.kill()
        out, err = together.communicate(timeout=500)
    finally:
        together.kill()
    assert together.returncode == 0, out + err
    assert err.count("its process ended unexpectedly") == 1
    states = json.loads((results / "summary.json").read_text())["volumes"]
    assert [row["state"] for row in states] == ["answered"] * len(NAMES)
    assert answers(results) == answers(tmp_path / "alone")

    again = start(folder, results, 2)
    out, err = again.communicate(timeout=500)
    assert again.returncode == 0, out + err
    assert out.count("already there") == len(NAMES) + 1  # each, and the count of all
