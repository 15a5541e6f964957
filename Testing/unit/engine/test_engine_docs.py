"""The examples of docs/engine-api.md run as they are written."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from unit.engine.conftest import Start
from unit.engine.real_model import model_service

from fixtures.engine_service import TOKEN
from fixtures.nifti_files import hounsfield, nifti, saved
from med2e3.protocol import EventReader, Failed, engine_codes

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "engine-api.md").read_text("utf-8")


def example(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    return str(found)


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("bash")), reason="needs curl")
def test_the_curl_example_answers(tmp_path: Path) -> None:
    with model_service() as service:
        environment = {
            **os.environ,
            "ENGINE": service.address,
            "MED2E3_TOKEN": TOKEN,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        ended = subprocess.run(
            ["bash", "-e", "-c", example("sh")],
            env=environment, cwd=tmp_path, capture_output=True, check=False,
        )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    stream = ended.stdout[ended.stdout.index(b"id: 1\n") :]
    names = [type(event).__name__ for event in EventReader().feed(stream)]
    assert (names[0], names[-1]) == ("Accepted", "Done")
    assert names.index("Scores") < names.index("Token")
    assert Failed.__name__ not in names


def test_the_python_example_answers(tmp_path: Path) -> None:
    saved(tmp_path / "scan.nii", nifti(hounsfield()))
    source = example("python").replace("scan.nii.gz", "scan.nii")
    source = source.replace(
        'read_volume("scan.nii")', 'read_volume("scan.nii", trust_spacing=True)'
    )
    with model_service() as service:
        source = source.replace("http://127.0.0.1:8734", service.address)
        ended = subprocess.run(
            [sys.executable, "-c", source],
            env=os.environ | {"MED2E3_TOKEN": TOKEN}, cwd=tmp_path,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert float(ended.stdout.splitlines()[0]) > 0


def test_every_code_is_explained_with_its_status() -> None:
    rows = dict(re.findall(r"^\| (`[a-z`, -]+) \| (\d[^|]+) \|", PAGE, re.MULTILINE))
    explained = {
        code: status for codes, status in rows.items() for code in re.findall(r"`([a-z-]+)`", codes)
    }
    codes = {code: status for code, (status, _) in engine_codes().items()}
    assert set(codes) == set(explained)
    for code, status in codes.items():
        assert str(status) in explained[code], code


def test_the_description_lists_every_code_and_the_statuses_they_come_with(start: Start) -> None:
    _, description = start().json("GET", "/openapi.json")
    code = description["components"]["schemas"]["Problem"]["properties"]["code"]
    assert code["examples"] == list(engine_codes())
    for name, (status, meaning) in engine_codes().items():
        assert f"\n- `{name}` ({status}): {meaning}" in code["description"]
        assert meaning.endswith("."), name
    for methods in description["paths"].values():
        for said in methods.values():
            statuses = {status for status, _ in engine_codes().values()} | {405, 408, 422}
            assert set(said["responses"]) >= set(map(str, statuses))
