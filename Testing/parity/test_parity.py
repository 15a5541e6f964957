"""Ours against the authors' own code, number by number, on every oracle set.

A set is a tiny checkpoint in the published layout with what the reference computes from it.  All
sets beside the checkout are taken, and those in the folder that MED2E3_ORACLES names.
"""

from __future__ import annotations

import importlib.util
import json
import os
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from med2e3.asking import Done, GenerationOptions, Question, Turn
from med2e3.checkpoint import convert_checkpoint
from med2e3.session import Session
from med2e3.volume import ModelInput, prepare, read_volume

SHARED = Path(os.environ.get("MED2E3_SHARED", Path(__file__).resolve().parents[3] / "shared"))
ROOTS = [SHARED / "oracle"]
if "MED2E3_ORACLES" in os.environ:
    ROOTS.append(Path(os.environ["MED2E3_ORACLES"]))
SETS = sorted(
    folder
    for root in ROOTS
    if root.is_dir()
    for folder in root.iterdir()
    if (folder / "expected" / "expected_trained_float32.json").is_file()
)
CASES = [
    pytest.param(folder, number, id=f"{folder.name}-{case['id']}")
    for folder in SETS
    for number, case in enumerate(
        json.loads((folder / "expected" / "expected_trained_float32.json").read_text())["cases"]
    )
]


def test_there_are_oracle_sets(shared_dir: Path) -> None:
    assert CASES, "no oracle set was found beside the checkout"


def expected(folder: Path, number: int) -> dict[str, Any]:
    path = folder / "expected" / "expected_trained_float32.json"
    case: dict[str, Any] = json.loads(path.read_text())["cases"][number]
    return case


@pytest.fixture(scope="session")
def session_of(tmp_path_factory: pytest.TempPathFactory) -> Any:
    @cache
    def load(folder: Path) -> Session:
        target = tmp_path_factory.mktemp("converted") / folder.name
        convert_checkpoint(
            folder / "checkpoint", target, question_tokenizer=folder / "m3d_clip_tokenizer"
        )
        return Session.load(target, device="cpu", dtype="float32")

    return load


def model_input(folder: Path, case: dict[str, Any], size: Any, scratch: Path) -> ModelInput:
    """The case's volume through a file, as a person would give it."""
    spec = importlib.util.spec_from_file_location("oracle_volumes", folder / "volumes.py")
    assert spec is not None and spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    path = scratch / "volume.npy"
    np.save(path, module.make_case_volume(case["volume"]))
    return prepare(read_volume(path), size)


def question_of(case: dict[str, Any]) -> Question:
    turns = [turn["value"] for turn in case["conversations"]]
    history = tuple(Turn(q, a) for q, a in zip(turns[0:-1:2], turns[1::2], strict=True))
    return Question(turns[-1], history=history)


def assert_checksums(values: np.ndarray, reference: dict[str, Any], tolerance: float) -> None:
    """Sums, extremes and samples of one stage, relative to its largest value."""
    flat = values.astype(np.float64).ravel()
    scale = max(abs(reference["max"]), abs(reference["min"]))
    assert flat.size == reference["n"]
    assert np.abs(flat).sum() == pytest.approx(reference["abs_sum"], rel=tolerance)
    np.testing.assert_allclose(
        flat[reference["sample_index"]], reference["sample"], atol=tolerance * scale, rtol=0
    )
    assert flat.max() == pytest.approx(reference["max"], abs=tolerance * scale)
    assert flat.min() == pytest.approx(reference["min"], abs=tolerance * scale)


@pytest.mark.parametrize(("folder", "number"), CASES)
def test_every_stage(folder: Path, number: int, session_of: Any, tmp_path: Path) -> None:
    case = expected(folder, number)
    session: Session = session_of(folder)
    volume = model_input(folder, case, session.input_size, tmp_path)
    question = question_of(case)

    assert_checksums(volume.voxels, case["preprocessed"], 1e-5)

    prompt_ids = session.processor.encode_prompt(session.processor.conversation(question))
    image = session.config.image_token_id
    marked = [-201 if i == image else i for i in prompt_ids]
    once = [i for at, i in enumerate(marked) if i != -201 or marked[at - 1] != -201]
    assert once == case["input_ids"]
    assert session.processor.encode_question(case["question"]) == case["question_ids_unpadded"]
    assert question.scoring_text.split() == case["question"].split()

    with torch.inference_mode():
        features = session.model.encode_volume(torch.from_numpy(volume.voxels)[None, None])
        ids = torch.tensor([prompt_ids])
        question_ids = torch.tensor([case["question_ids_unpadded"]])
        output = session.model(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            question_ids=question_ids,
            question_mask=torch.ones_like(question_ids),
            volume_features=features,
        )
    assert features.features_2d is not None and features.features_3d is not None
    assert_checksums(features.features_2d.numpy(), case["vision2d_connector"], 1e-4)
    assert_checksums(features.features_3d.numpy(), case["vision3d_connector"], 1e-4)
    np.testing.assert_allclose(output.slice_scores[0].numpy(), case["scores"], rtol=1e-4, atol=1e-7)
    logits = np.asarray(case["first_logits"])
    np.testing.assert_allclose(
        output.logits[0, -1].numpy(), logits, rtol=1e-3, atol=1e-3 * np.abs(logits).max()
    )

    done = list(session.ask(volume, question, GenerationOptions(max_new_tokens=40)))[-1]
    assert isinstance(done, Done)
    assert list(done.token_ids) == case["generated_ids"]
    assert done.answer == case["text"]
    np.testing.assert_allclose(done.scores, case["scores"], rtol=1e-4, atol=1e-7)
    assert done.finish_reason == ("end" if case["stopped_by_eos"] else "length")
