"""A folder of volumes: what counts as one, what is kept, what fails, how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from unit.cli.cli_harness import Ended, RunCli, write_npy

from med2e3.cli.folders import find_volumes
from med2e3.record import read_exchanges


def names(folder: Path) -> list[str]:
    return [source.name for source in find_volumes(folder)]


def test_what_counts_as_a_volume(tmp_path: Path) -> None:
    for name in (
        "b.nii.gz", "a.NII", "deep/er/c.nrrd", "d.mhd", "d.raw", "notes.txt", ".hidden.nii",
        ".git/x.nii", "series/1.dcm", "series/2.dcm", "dicomdir/DICOMDIR", "photos/p.jpg",
    ):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "IM0001").write_bytes(b"\0" * 128 + b"DICM")
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "README").write_bytes(b"text")
    assert names(tmp_path) == ["a.NII", "b.nii.gz", "bare", "d.mhd", "deep/er/c.nrrd", "series"]
    (source,) = find_volumes(tmp_path / "series")
    assert source.path == tmp_path / "series" and source.name == "series"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_npy(tmp_path / "in" / "one.npy", seed=1)
    write_npy(tmp_path / "in" / "sub" / "two.npy", seed=2)
    (tmp_path / "in" / "broken.nii.gz").write_bytes(b"")
    return tmp_path / "in"


def ask(run_cli: RunCli, folder: Path, *more: object) -> Ended:
    results = folder.parent / "results"
    return run_cli("ask", folder, "Where?", "--output", results, "--max-new-tokens", 3, *more)


def states(folder: Path) -> dict[str, str]:
    summary = json.loads((folder.parent / "results" / "summary.json").read_text(encoding="utf-8"))
    return {row["volume"]: row["state"] for row in summary["volumes"]}


def test_each_volume_gets_its_results_and_a_bad_one_does_not_stop_the_others(
    run_cli: RunCli, folder: Path
) -> None:
    ended = ask(run_cli, folder)
    assert ended.code == 1
    assert "broken.nii.gz: The file is empty." in ended.err and "Traceback" not in ended.err
    assert states(folder) == {
        "broken.nii.gz": "failed", "one.npy": "answered", "sub/two.npy": "answered",
    }  # fmt: skip
    assert not (folder.parent / "results" / "broken.nii.gz").exists()
    for name in ("one.npy", "sub/two.npy"):
        made = folder.parent / "results" / name
        assert sorted(path.name for path in made.iterdir()) == [
            "exchanges.json", "figure.png", "finished.json", "scores.csv",
        ]  # fmt: skip
        assert len(read_exchanges(made / "exchanges.json").exchanges) == 1


def test_finished_volumes_are_kept_and_others_are_done_again(run_cli: RunCli, folder: Path) -> None:
    (folder / "broken.nii.gz").unlink()
    assert ask(run_cli, folder).code == 0
    results = folder.parent / "results"
    kept = (results / "one.npy" / "exchanges.json").stat().st_mtime_ns

    assert ask(run_cli, folder).code == 0
    assert set(states(folder).values()) == {"already there"}
    assert (results / "one.npy" / "exchanges.json").stat().st_mtime_ns == kept

    (results / "sub" / "two.npy" / "finished.json").unlink()
    assert ask(run_cli, folder).code == 0
    assert states(folder) == {"one.npy": "already there", "sub/two.npy": "answered"}

    (results / "one.npy" / "scores.csv").unlink()
    write_npy(folder / "sub" / "two.npy", seed=3, shape=(14, 24, 24))
    assert ask(run_cli, folder).code == 0
    assert set(states(folder).values()) == {"answered"}

    assert ask(run_cli, folder, "--window", "lung").code == 0
    assert set(states(folder).values()) == {"answered"}
    assert ask(run_cli, folder, "Why?").code == 0
    assert set(states(folder).values()) == {"answered"}

    assert ask(run_cli, folder, *(f"Is it number {number}?" for number in range(10))).code == 0
    assert [path.name for path in (results / "one.npy").glob("figure.*")] == ["figure.pdf"]


def test_what_is_finished_needs_no_model(run_cli: RunCli, run_fresh: RunCli, folder: Path) -> None:
    (folder / "broken.nii.gz").unlink()
    assert ask(run_cli, folder).code == 0
    ended = ask(run_fresh, folder)
    assert ended.code == 0, ended.err
    assert ended.out.splitlines()[-1] == "loaded:"


def test_many_volumes_need_a_results_folder(run_cli: RunCli, folder: Path) -> None:
    ended = run_cli("report", folder)
    assert ended.code == 2 and "holds 3 volumes" in ended.err and "--output" in ended.err


def test_a_model_that_cannot_be_loaded_ends_the_batch(run_cli: RunCli, folder: Path) -> None:
    ended = ask(run_cli, folder, "--device", "mps" if sys.platform != "darwin" else "cuda")
    assert (ended.code == 1 and "no mps device" in ended.err) or "no cuda device" in ended.err
    assert states(folder)["one.npy"] == "not begun"


@pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGINT for one child process")
def test_ctrl_c_keeps_what_was_answered(tmp_path: Path, volume: Path) -> None:
    questions = [f"Where is number {number}?" for number in range(200)]
    process = subprocess.Popen(
        [
            sys.executable, "-m", "med2e3.cli.main", "ask", str(volume), *questions,
            "--max-new-tokens", "180", "--json", str(tmp_path / "r.json"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("2/200 "):
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "Stopped on request" in err and "Traceback" not in err
    assert "not for diagnosis" in out
    exchanges = read_exchanges(tmp_path / "r.json").exchanges
    assert 1 <= len(exchanges) < 200
    assert [exchange.question for exchange in exchanges] == questions[: len(exchanges)]
    assert all(exchange.finish_reason != "cancelled" for exchange in exchanges[:-1])
