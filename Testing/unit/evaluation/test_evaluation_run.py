"""The command on a real (random) model: files, resuming, parts, refusals."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from unit.cli.cli_harness import Ended, RunCli
from unit.evaluation.evaluation_data import make_store, samples_of
from unit.evaluation.test_evaluation_bertscore import tiny_bert

from fixtures.random_model import question_tokenizer
from med2e3.cli.main import app
from med2e3.data.sample import write_samples
from med2e3.data.store import VolumeStore
from med2e3.evaluation.asked import question_of
from med2e3.model.clip3d import M3DClipConfig, M3DClipModel
from med2e3.notice import NOTICE

FILES = ("samples.csv", "summary.json", "report.md")
QUICK = ("--max-new-tokens", 4, "--device", "cpu", "--dtype", "float32", "--quiet")
TEST = (*QUICK, "--faithfulness", "--faithfulness-limit", 3, "--faithfulness-draws", 1)


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in FILES}


@pytest.fixture(scope="module")
def finished(
    model_folder: Path, store: VolumeStore, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """An evaluation that nothing disturbed."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MED2E3_HOME", str(tmp_path_factory.mktemp("home")))
        words = command(model_folder, store.root, folder, *TEST)[3:]
        app(args=words, standalone_mode=False)
    return folder


def command(model: Path, data: Path, output: Path, *more: object) -> list[str]:
    words = ["-m", "med2e3.cli.main", "evaluate", model, data, "--output", output, *more]
    return [sys.executable, *map(str, words)]


def test_results_hold_every_sample_and_say_what_they_are(
    finished: Path, store: VolumeStore
) -> None:
    with (finished / "samples.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == [sample.id for sample in store.samples("test")]
    assert {row["notice"] for row in rows} == {NOTICE}
    for row in rows:
        assert sum(map(float, row["scores"].split())) == pytest.approx(1, abs=1e-5)
        closed = row["task"] == "closed_vqa"
        assert bool(row["accuracy"]) is closed and bool(row["bleu_1"]) is not closed
        assert not row["bertscore_f1"] if "bertscore_f1" in row else True
    report = (finished / "report.md").read_text()
    assert NOTICE in report
    assert "METEOR without synonyms" in report and "BERTScore was left out" in report
    summary = json.loads((finished / "summary.json").read_text())
    assert summary["notice"] == NOTICE
    figures = {(f["task"], f["metric"], f["group"]): f for f in summary["figures"]}
    accuracy = figures["closed_vqa", "accuracy", "macro"]
    assert accuracy["chance"] == pytest.approx((1 / 4 + 1 / 2 + 1 / 2) / 3)
    # the train split's one volume: axial? 3 % 3 == 0, so coronal; of the test's only volume 0 is
    assert figures["closed_vqa", "accuracy", "plane"]["prior"]["value"] == pytest.approx(1 / 3)
    assert figures["scores", "total_variation", "micro"]["estimate"]["value"] > 0
    assert len(summary["faithfulness"]["curves"]) >= 3
    assert (finished / "faithfulness.png").stat().st_size > 5000


def test_scores_are_against_the_data_sets_own_text(store: VolumeStore) -> None:
    sample = next(s for s in store.samples("test") if s.scoring_text)
    assert question_of(sample).scoring_text == "nodule"
    assert question_of(sample).with_choices == sample.as_question().with_choices


def test_half_written_answers_are_done_again_to_the_same_result(
    finished: Path, model_folder: Path, store: VolumeStore, tmp_path: Path, run_cli: RunCli
) -> None:
    output = tmp_path / "again"
    shutil.copytree(finished, output)
    for name in FILES:
        (output / name).unlink()
    (log,) = output.glob("answers-*.jsonl")
    content = log.read_bytes()
    log.write_bytes(content[: len(content) * 2 // 3])
    (log,) = output.glob("faithfulness-*.jsonl")
    log.write_bytes(log.read_bytes()[:-20])
    ended = run_cli("evaluate", model_folder, store.root, "--output", output, *TEST)
    assert ended.code == 0, ended.err
    assert contents(output) == contents(finished)


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
def test_a_killed_evaluation_goes_on_to_the_same_result(
    finished: Path, model_folder: Path, store: VolumeStore, tmp_path: Path, run_cli: RunCli
) -> None:
    process = subprocess.Popen(command(model_folder, store.root, tmp_path / "out", *TEST))
    log = tmp_path / "out" / "answers-1-of-1.jsonl"
    while process.poll() is None and (not log.exists() or log.read_bytes().count(b"\n") < 2):
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = log.read_bytes()
    assert kept.count(b"\n") >= 2
    ended = run_cli("evaluate", model_folder, store.root, "--output", tmp_path / "out", *TEST)
    assert ended.code == 0, ended.err
    assert log.read_bytes().startswith(kept[: kept.rfind(b"\n")])
    assert contents(tmp_path / "out") == contents(finished)


def test_parts_together_are_the_whole(
    finished: Path, model_folder: Path, store: VolumeStore, tmp_path: Path, run_cli: RunCli
) -> None:
    words = ("evaluate", model_folder, store.root, "--output", tmp_path / "out", *TEST)
    assert "are there" in run_cli(*words, "--shard", "2/2").out
    assert not (tmp_path / "out" / "report.md").exists()
    assert run_cli(*words, "--shard", "1/2").code == 0
    counts = [p.read_bytes().count(b"\n") for p in (tmp_path / "out").glob("answers-*.jsonl")]
    assert sorted(counts) == [5, 10]  # whole volumes of five questions
    assert run_cli(*words).code == 0
    assert contents(tmp_path / "out") == contents(finished)


def test_processes_give_the_same_answers(
    finished: Path, model_folder: Path, store: VolumeStore, tmp_path: Path, run_cli: RunCli
) -> None:
    words = ("evaluate", model_folder, store.root, "--output", tmp_path / "out", *QUICK)
    ended = run_cli(*words, "--processes", 2)
    assert ended.code == 0, ended.err
    assert len(list((tmp_path / "out").glob("answers-*-of-2.jsonl"))) == 2

    def answers(folder: Path) -> list[str]:
        with (folder / "samples.csv").open(newline="") as file:
            return [row["answer"] for row in csv.DictReader(file)]

    assert answers(tmp_path / "out") == answers(finished)


def test_another_evaluation_in_the_same_folder_is_refused_until_restarted(
    finished: Path, model_folder: Path, store: VolumeStore, tmp_path: Path, run_cli: RunCli
) -> None:
    output = tmp_path / "out"
    shutil.copytree(finished, output)
    words = ["evaluate", model_folder, store.root, "--output", output, *QUICK]
    refused = run_cli(*words, "--max-new-tokens", 5)
    assert refused.code == 2 and "longest answer differs" in refused.err
    refused = run_cli(*words, "--task", "closed_vqa")
    assert refused.code == 2 and "samples differs" in refused.err
    assert run_cli(*words, "--task", "closed_vqa", "--limit", 2, "--restart").code == 0
    with (output / "samples.csv").open(newline="") as file:
        assert [row["task"] for row in csv.DictReader(file)] == ["closed_vqa"] * 2


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--split", "nothing"), "Its splits are: test, train"),
        (("--task", "reports"), "There is no task 'reports'"),
        (("--limit", 0), "at least one sample"),
        (("--shard", "3/2"), "no part 3 of 2"),
        (("--shard", "1"), "is no part I/N"),
        (("--processes", 0), "number of processes"),
        (("--wordnet", "."), "holds no WordNet database"),
        (("--bertscore-model", "."), "holds no encoder"),
        (("--retrieval", "."), "holds no contrastive model"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    model_folder: Path,
    store: VolumeStore,
    tmp_path: Path,
    run_cli: RunCli,
    words: tuple[object, ...],
    sentence: str,
) -> None:
    ended: Ended = run_cli(
        *("evaluate", model_folder, store.root, "--output", tmp_path / "out"),
        *("--limit", 1, *QUICK, *words),
    )
    assert ended.code == 2
    assert not list((tmp_path / "out").glob("answers-*"))  # nothing was asked
    assert sentence in " ".join(ended.err.split())
    assert "Traceback" not in ended.err


def test_missing_volumes_and_other_sizes_are_refused_before_the_model_is_loaded(
    model_folder: Path, tmp_path: Path, run_cli: RunCli
) -> None:
    store = make_store(tmp_path / "data", volumes=1, train=0)
    (tmp_path / "data" / "volumes" / "test" / "0.npy").unlink()
    words = ("--output", tmp_path / "out", *QUICK)
    ended = run_cli("evaluate", model_folder, store.root, *words)
    assert ended.code == 2 and "1 of 1 volumes are missing" in ended.err
    other = VolumeStore.create(tmp_path / "other", (8, 16, 16))
    ended = run_cli("evaluate", model_folder, other.root, *words)
    assert ended.code == 2 and "the model takes (32, 64, 64)" in ended.err


def test_too_long_questions_count_as_unanswered(
    model_folder: Path, tmp_path: Path, run_cli: RunCli
) -> None:
    store = make_store(tmp_path / "data", volumes=1, train=0)
    samples = samples_of("test/0", "test", 0)
    long = samples[1].__class__(**(vars(samples[1]) | {"id": "long", "question": "lesion " * 4000}))
    write_samples(store.root / "samples.jsonl", [samples[2], long])
    ended = run_cli("evaluate", model_folder, store.root, "--output", tmp_path / "out", *QUICK)
    assert ended.code == 0, ended.err
    report = (tmp_path / "out" / "report.md").read_text()
    assert "1 questions do not fit into the model's context" in report
    assert "since there is no train split" in report


def test_bertscore_and_retrieval_are_measured_with_local_models(
    model_folder: Path, store: VolumeStore, tmp_path: Path, run_cli: RunCli
) -> None:
    torch.manual_seed(0)
    (tmp_path / "bert").mkdir()
    tiny_bert(tmp_path / "bert")
    question = question_tokenizer()
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    clip = M3DClipModel(
        M3DClipConfig(
            vision_3d_config=sizes | {"image_size": [32, 64, 64], "patch_size": [8, 16, 16]},
            question_config=sizes | {"vocab_size": len(question), "intermediate_size": 64},
        )
    )
    clip.save_pretrained(tmp_path / "clip")
    question.save_pretrained(tmp_path / "clip")
    ended = run_cli(
        *("evaluate", model_folder, store.root, "--output", tmp_path / "out", *QUICK),
        *("--task", "report", "--bertscore-model", tmp_path / "bert", "--bertscore-layer", 2),
        *("--retrieval", tmp_path / "clip"),
    )
    assert ended.code == 0, ended.err
    report = (tmp_path / "out" / "report.md").read_text()
    assert "BERTScore F1" in report and "layer 2" in report
    assert "3 volumes, 3 different texts" in report
    assert report.count("| R@10 | 100.00 ") == 2  # of three, each is among the first ten
    with (tmp_path / "out" / "samples.csv").open(newline="") as file:
        values = [float(row["bertscore_f1"]) for row in csv.DictReader(file)]
    assert np.all(np.asarray(values) > 0)
