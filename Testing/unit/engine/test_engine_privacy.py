"""Only the model input travels, nothing is written, and the log knows nobody."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from unit.engine.real_model import MODEL_SIZE

from fixtures.dicom_files import write_series
from fixtures.nifti_files import hounsfield, nifti, saved
from fixtures.processes import program_environment
from fixtures.relay import Relay
from med2e3.asking import Done, GenerationOptions, Question
from med2e3.client import LocalEngine, RemoteEngine
from med2e3.protocol import parse_hello
from med2e3.volume import ModelInput, prepare, read_volume

#: planted in names of folders, of files and in headers
PLANTED = ("Mustermann", "Erika", "19701224", "PAT-0815", "1.2.826.99.77")
QUESTION = "Which plane is this qqwhispered?"
WATCH = Path(__file__).resolve().parents[2] / "fixtures" / "watch_writes"


@pytest.fixture(params=["dicom", "nifti", "real dicom"])
def model_input(request: pytest.FixtureRequest, tmp_path: Path, shared_dir: Path) -> ModelInput:
    folder = tmp_path / "Mustermann^Erika 19701224"
    folder.mkdir()
    if request.param == "dicom":
        path = folder / "PAT-0815"
        path.mkdir()
        write_series(
            path,
            [(0, 0, 3 * k) for k in range(12)],
            patient_name="Mustermann^Erika^PAT-0815^19701224",
            series_uid="1.2.826.99.77",
        )
    elif request.param == "nifti":
        content = bytearray(nifti(hounsfield()))
        content[148:168] = b"Mustermann PAT-0815 "  # descrip
        path = saved(folder / "Mustermann_19701224.nii", bytes(content))
    else:
        path = folder / "PAT-0815"
        shutil.copytree(shared_dir / "volumes" / "chest_ct_dicom", path)
    return prepare(read_volume(path, trust_spacing=True), MODEL_SIZE, window="full")


@pytest.fixture
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[LocalEngine, Path]]:
    """An engine as a child process that notes every file that it or its worker opens to write."""
    notes, home = tmp_path / "notes", tmp_path / "home"
    for name in ("work", "home", "temporary"):
        (tmp_path / name).mkdir()
    environment = program_environment(
        WATCH_WRITES=str(notes),
        MED2E3_HOME=str(home / "store"),
        HOME=str(home),
        TMPDIR=str(tmp_path / "temporary"),
        PYTHONDONTWRITEBYTECODE="1",
    )
    environment["PYTHONPATH"] = f"{WATCH}{os.pathsep}{environment['PYTHONPATH']}"
    monkeypatch.chdir(tmp_path / "work")
    engine = LocalEngine("embedded", device="cpu", precision="float32", environment=environment)
    yield engine, tmp_path
    engine.close()


def test_only_the_model_input_travels_and_nothing_is_written(
    child: tuple[LocalEngine, Path], model_input: ModelInput, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, folder = child
    engine.capabilities()
    hello = parse_hello(_hello_of(engine))
    with Relay(int(hello.address.rpartition(":")[2])) as relay:
        client = RemoteEngine(relay.address, hello.token)
        options = GenerationOptions(max_new_tokens=3)
        events = list(client.ask(model_input, Question(QUESTION), options))
        list(client.ask(model_input, Question("Second?"), options))
        client.close()
        sent, received = bytes(relay.sent), bytes(relay.received)
    done = events[-1]
    assert isinstance(done, Done)
    assert done.token_ids

    # everything that went over the wire is known, byte for byte
    voxels = model_input.voxels.astype("<f4").tobytes()
    assert sent.count(voxels) == 1, "the pixels travel once, for two questions"
    words = sent.replace(voxels, b"")
    assert model_input.sha256.encode() in words
    assert QUESTION.encode() in words
    for secret in _secrets(folder):
        assert secret not in words, secret
        assert secret not in received, secret
    header_names = set(re.findall(rb"(?m)^([A-Za-z0-9-]+): ", words))
    assert header_names <= {
        b"Host", b"Accept-Encoding", b"Accept", b"Authorization", b"Med2E3-API-Version",
        b"Med2E3-Client", b"Content-Type", b"Content-Length",
    }  # fmt: skip

    engine.close()
    noted = [line.split(" ", 1) for line in (folder / "notes").read_text().splitlines()]
    # Python's tempfile, when it is first asked for its folder, tries it with four bytes
    probes = [pid for pid, path in noted if re.search(r"/temporary/[a-z0-9_]{8}$", path)]
    assert len(probes) == len(set(probes)), "at most once in each process"
    strange = {
        path
        for _, path in noted
        if path not in (os.devnull, "/dev/null")
        and not path.isdigit()  # pipes, opened by their numbers
        and not re.search(r"/temporary/[a-z0-9_]{8}$", path)
        and not re.search(r"/home/store/logs/engine-\d+\.log$", path)
    }
    assert not strange, "nothing but the log is written"
    files = [
        path
        for place in ("work", "home", "temporary")
        for path in (folder / place).rglob("*")
        if path.is_file()
    ]
    assert [path.suffix for path in files] == [".log"]
    log = files[0].read_bytes()
    assert b"the engine runs" in log
    for secret in [*_secrets(folder), QUESTION.encode(), model_input.sha256.encode(),
                   hello.token.encode(), b"qqwhispered", b"127.0.0.1"]:  # fmt: skip
        assert secret not in log, secret


def test_the_watch_sees_writing(tmp_path: Path) -> None:
    import subprocess
    import sys

    environment = program_environment(WATCH_WRITES=str(tmp_path / "notes"))
    environment["PYTHONPATH"] = f"{WATCH}{os.pathsep}{environment['PYTHONPATH']}"
    code = "import sys, pathlib, numpy as np; np.save(sys.argv[1], np.zeros(3))"
    target = str(tmp_path / "pixels.npy")
    subprocess.run([sys.executable, "-P", "-c", code, target], env=environment, check=True)
    assert target in (tmp_path / "notes").read_text()


def test_what_is_planted_would_be_found(model_input: ModelInput, tmp_path: Path) -> None:
    """The secrets are in the files that were read."""
    files = [path for path in (tmp_path / "Mustermann^Erika 19701224").rglob("*") if path.is_file()]
    content = b"".join(path.read_bytes() + str(path).encode() for path in files)
    assert b"Mustermann" in content
    assert np.isfinite(model_input.voxels).all()


def _secrets(folder: Path) -> list[bytes]:
    words = [*PLANTED, str(folder), folder.name, os.environ.get("USER", "qquser-nobody")]
    return [word.encode() for word in words if word not in ("root", "user")]


def _hello_of(engine: LocalEngine) -> str:
    """The address and token of a child, as its first line said them."""
    import json

    remote = engine._remote
    assert remote is not None
    connections = remote._connections
    where = connections._address
    token = connections._headers["Authorization"].removeprefix("Bearer ")
    said = {"address": f"http://{where.host}:{where.port}", "token": token, "api": "1.0", "pid": 0}
    return json.dumps({"hello": said})
