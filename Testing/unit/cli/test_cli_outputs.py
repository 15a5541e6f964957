"""Result files: found out early that they cannot be written, and none lost for another's sake."""

from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from med2e3.asking import Done, Question
from med2e3.cli.outputs import Outputs
from med2e3.cli.terminal import Terminal
from med2e3.errors import InputError
from med2e3.record import Exchange, ModelRecord, VolumeRecord, build_exchange
from med2e3.volume import SlicePlace

VOXELS = np.random.default_rng(0).random((4, 16, 16), dtype=np.float32)


def make_exchange() -> Exchange:
    return build_exchange(
        Question("Where?"),
        Done("There.", (1,), (0.5,), (0.25,) * 4, "end"),
        slices=[SlicePlace(index, None, index, index) for index in range(4)],
        model=ModelRecord("m", None, "0" * 64),
        volume=VolumeRecord("f" * 64, VOXELS.shape),
        preprocessing={},
        generation={},
    )


@pytest.mark.skipif(sys.platform != "linux", reason="Linux refuses to write to a running program")
def test_a_result_that_is_in_use_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    program = tmp_path / "r.csv"
    program.write_bytes(Path("/bin/sleep").read_bytes())
    program.chmod(0o755)
    before = program.read_bytes()
    process = subprocess.Popen([program, "60"])
    try:
        with pytest.raises(InputError, match=r"'r\.csv' cannot be written"):
            Outputs(csv=program).check()
    finally:
        process.kill()
        process.wait()
    Outputs(csv=program).check()
    assert program.read_bytes() == before and list(tmp_path.iterdir()) == [program]


def test_one_file_that_cannot_be_written_does_not_cost_the_others(tmp_path: Path) -> None:
    outputs = Outputs(tmp_path / "absent" / "r.json", tmp_path / "r.csv", tmp_path / "r.png")
    with pytest.raises(InputError, match=r"'r\.json' cannot be written"):
        outputs.write([make_exchange()], VOXELS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.csv", "r.png"]


def test_many_questions_get_pages(tmp_path: Path) -> None:
    for questions, name in ((1, "figure.png"), (10, "figure.png"), (11, "figure.pdf")):
        assert Outputs.in_folder(tmp_path, questions=questions).figure == tmp_path / name


def test_an_answer_without_a_word_is_told() -> None:
    """Else a person looks for what is missing."""
    for answer, told in (("", True), (" ", True), ("There.", False)):
        page = io.StringIO()
        Terminal(to=page).show_exchange(replace(make_exchange(), answer=answer))
        assert ("without a word" in page.getvalue()) is told
