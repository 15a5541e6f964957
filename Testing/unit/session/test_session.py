"""A session: reuse that changes nothing, events in order, stopping, sampling, refusals."""

from __future__ import annotations

import shutil
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from fixtures.questions import QUESTIONS
from fixtures.random_model import build
from med2e3.asking import (
    Done,
    Event,
    GenerationOptions,
    Progress,
    Question,
    Scores,
    Stage,
    Token,
)
from med2e3.errors import CheckpointError, InputError, Med2E3Error, ResourceError
from med2e3.model import Med2E3ForConditionalGeneration, Med2E3Processor
from med2e3.model.tokenization import TextCodec
from med2e3.session import Session
from med2e3.weights import resolve_model


def answer(session: Session, volume: Any, question: Question, **options: Any) -> Done:
    done = list(session.ask(volume, question, GenerationOptions(**options)))[-1]
    assert isinstance(done, Done)
    return done


def uncached(folder: Path) -> Session:
    return Session.load(folder, device="cpu", dtype="float32", reuse=False)


def test_reuse_changes_nothing(
    a_session: Session, model_folder: Path, volume: Any, other_volume: Any
) -> None:
    plain = uncached(model_folder)
    for _ in range(2):  # the second round answers everything from the caches
        for source in (volume, other_volume):
            for question in QUESTIONS:
                reused = answer(a_session, source, question, max_new_tokens=12)
                recomputed = answer(plain, source, question, max_new_tokens=12)
                assert reused.token_ids == recomputed.token_ids
                np.testing.assert_allclose(reused.scores, recomputed.scores, rtol=1e-5)
                np.testing.assert_allclose(
                    reused.token_probabilities, recomputed.token_probabilities, rtol=2e-4
                )
                assert recomputed.cache_hits == ()


def test_what_is_reused_is_said(a_session: Session, volume: Any, other_volume: Any) -> None:
    first = answer(a_session, volume, QUESTIONS[0], max_new_tokens=2)
    second = answer(a_session, volume, QUESTIONS[1], max_new_tokens=2)
    elsewhere = answer(a_session, other_volume, QUESTIONS[1], max_new_tokens=2)
    image_last = answer(a_session, volume, QUESTIONS[2], max_new_tokens=2)
    assert first.cache_hits == ()
    assert second.cache_hits == ("volume", "prefix")
    assert elsewhere.cache_hits == ()
    assert image_last.cache_hits == ("volume",), "its text before the image is another one"
    assert "encode" in first.timings_s
    assert "encode" not in second.timings_s
    a_session.forget()
    assert answer(a_session, volume, QUESTIONS[1], max_new_tokens=2).cache_hits == ()


def test_greedy_is_what_transformers_generates(
    a_session: Session, model_folder: Path, volume: Any
) -> None:
    model = Med2E3ForConditionalGeneration.from_pretrained(model_folder).eval()
    processor = Med2E3Processor.from_pretrained(model_folder)
    for question in QUESTIONS:
        inputs = processor(question, volume.voxels)
        with torch.no_grad():
            generated = model.generate(**inputs, max_new_tokens=16, do_sample=False)
        reference = generated[0, inputs["input_ids"].shape[1] :].tolist()
        assert list(answer(a_session, volume, question, max_new_tokens=16).token_ids) == reference


def test_scores_come_before_the_first_token_and_done_is_last(
    a_session: Session, volume: Any
) -> None:
    events = list(a_session.ask(volume, QUESTIONS[0], GenerationOptions(max_new_tokens=5)))
    kinds = [type(event) for event in events]
    assert kinds.index(Scores) < kinds.index(Token)
    assert kinds[-1] is Done and kinds.count(Done) == 1
    stages = [event.name for event in events if isinstance(event, Stage)]
    assert stages == ["encoding", "scoring", "generating"]
    progress = [event.done for event in events if isinstance(event, Progress)]
    assert progress == sorted(progress) and progress[-1] == 32
    done, scores = events[-1], events[kinds.index(Scores)]
    assert isinstance(done, Done) and isinstance(scores, Scores)
    assert done.scores == scores.values
    assert sum(done.scores) == pytest.approx(1.0, abs=1e-5)
    assert "".join(e.text for e in events if isinstance(e, Token)) == done.answer
    assert tuple(e.id for e in events if isinstance(e, Token)) == done.token_ids


def test_different_questions_get_different_scores(a_session: Session, volume: Any) -> None:
    first = answer(a_session, volume, QUESTIONS[0], max_new_tokens=1)
    second = answer(a_session, volume, QUESTIONS[1], max_new_tokens=1)
    assert np.abs(np.subtract(first.scores, second.scores)).sum() > 0.01


def test_token_probabilities_are_the_models(a_session: Session, volume: Any) -> None:
    done = answer(a_session, volume, QUESTIONS[1], max_new_tokens=3)
    ids = a_session.processor.encode_prompt(a_session.processor.conversation(QUESTIONS[1]))
    asked = torch.tensor([a_session.processor.encode_question(QUESTIONS[1].scoring_text)])
    prompt = torch.tensor([ids + list(done.token_ids[:-1])])
    with torch.no_grad():
        logits = a_session.model(
            input_ids=prompt,
            pixel_values=torch.from_numpy(volume.voxels)[None, None],
            question_ids=asked,
            question_mask=torch.ones_like(asked),
        ).logits[0, len(ids) - 1 :]
    chosen = torch.softmax(logits, dim=-1)[range(3), list(done.token_ids)]
    np.testing.assert_allclose(done.token_probabilities, chosen.numpy(), rtol=1e-3)


def test_letters_of_a_multiple_choice_question(a_session: Session, volume: Any) -> None:
    done = answer(a_session, volume, QUESTIONS[3], max_new_tokens=2)
    assert list(done.choice_probabilities) == ["A", "B", "C"]
    assert sum(done.choice_probabilities.values()) == pytest.approx(1.0)
    assert answer(a_session, volume, QUESTIONS[1], max_new_tokens=1).choice_probabilities == {}

    processor = a_session.processor
    prompt = processor.encode_prompt(processor.conversation(QUESTIONS[3]))
    letters = [processor.tokenizer.convert_tokens_to_ids(f"▁{x}.") for x in "ABC"]
    assert None not in letters and len(set(letters)) == 3
    asked = torch.tensor([processor.encode_question(QUESTIONS[3].scoring_text)])
    with torch.no_grad():
        logits = a_session.model(
            input_ids=torch.tensor([prompt]),
            pixel_values=torch.from_numpy(volume.voxels)[None, None],
            question_ids=asked,
            question_mask=torch.ones_like(asked),
        ).logits[0, -1]
    by_hand = torch.softmax(logits[letters], dim=-1)
    np.testing.assert_allclose(list(done.choice_probabilities.values()), by_hand.numpy(), rtol=1e-3)


def test_sampling_repeats_for_a_seed(a_session: Session, volume: Any) -> None:
    def sample(seed: int | None) -> Done:
        return answer(
            a_session, volume, QUESTIONS[0], max_new_tokens=20, temperature=1.5, seed=seed
        )

    assert sample(7).token_ids == sample(7).token_ids
    assert sample(7).token_ids != sample(8).token_ids
    drawn = sample(None)
    assert drawn.seed is not None
    assert sample(drawn.seed).token_ids == drawn.token_ids
    assert answer(a_session, volume, QUESTIONS[0], max_new_tokens=1).seed is None


def test_a_tiny_top_p_is_greedy(a_session: Session, volume: Any) -> None:
    greedy = answer(a_session, volume, QUESTIONS[0], max_new_tokens=10)
    narrow = answer(
        a_session, volume, QUESTIONS[0], max_new_tokens=10, temperature=1.0, top_p=1e-6, seed=1
    )
    assert narrow.token_ids == greedy.token_ids


def test_a_temperature_of_nearly_0_is_greedy(a_session: Session, volume: Any) -> None:
    coldest = answer(a_session, volume, Question("Where?"), temperature=5e-324, max_new_tokens=3)
    greedy = answer(a_session, volume, Question("Where?"), max_new_tokens=3)
    assert coldest.token_ids == greedy.token_ids


def test_a_question_longer_than_its_encoder_reads_is_cut_for_the_scores(volume: Any) -> None:
    session = Session.load(resolve_model("embedded"), device="cpu", dtype="float32")
    question = Question("Where?", ("b " * 150, "c " * 150))  # it fits the language model
    assert len(answer(session, volume, question, max_new_tokens=1).token_ids) == 1


def test_a_stop_text_ends_the_answer(a_session: Session, volume: Any) -> None:
    whole = answer(a_session, volume, QUESTIONS[0], max_new_tokens=20).answer
    stop = whole[5:8]
    events = list(
        a_session.ask(volume, QUESTIONS[0], GenerationOptions(max_new_tokens=20, stop=(stop,)))
    )
    done = events[-1]
    assert isinstance(done, Done)
    assert done.finish_reason == "stop"
    assert done.answer == whole[: whole.index(stop)]
    assert "".join(e.text for e in events if isinstance(e, Token)) == done.answer


def stop_after(events: Any, kind: type[Event], count: int, cancel: threading.Event) -> Done:
    seen = 0
    for event in events:
        seen += isinstance(event, kind)
        if seen == count:
            cancel.set()
    assert isinstance(event, Done)
    return event


def test_stopping_while_encoding(a_session: Session, volume: Any) -> None:
    cancel = threading.Event()
    done = stop_after(a_session.ask(volume, QUESTIONS[0], cancel=cancel), Progress, 2, cancel)
    assert done.finish_reason == "cancelled"
    assert (done.answer, done.token_ids, done.scores) == ("", (), ())
    assert answer(a_session, volume, QUESTIONS[0], max_new_tokens=1).cache_hits == ()


def test_stopping_between_tokens_keeps_what_there_is(a_session: Session, volume: Any) -> None:
    cancel = threading.Event()
    whole = answer(a_session, volume, QUESTIONS[0], max_new_tokens=20)
    done = stop_after(a_session.ask(volume, QUESTIONS[0], cancel=cancel), Token, 4, cancel)
    assert done.finish_reason == "cancelled"
    assert done.token_ids == whole.token_ids[:4]
    assert done.scores == pytest.approx(whole.scores)
    assert answer(a_session, volume, QUESTIONS[0], max_new_tokens=20).token_ids == whole.token_ids


def test_two_answers_at_once_do_not_disturb_each_other(a_session: Session, volume: Any) -> None:
    options = GenerationOptions(max_new_tokens=8)
    alone = [answer(a_session, volume, q, max_new_tokens=8).token_ids for q in QUESTIONS[:2]]
    streams = [a_session.ask(volume, q, options) for q in QUESTIONS[:2]]
    last: list[Any] = [None, None]
    live = {0, 1}
    while live:
        for i in sorted(live):
            event = next(streams[i], None)
            if event is None:
                live.discard(i)
            else:
                last[i] = event
    assert [done.token_ids for done in last] == alone


def test_a_question_that_does_not_fit_is_refused_before_anything_runs(
    a_session: Session, volume: Any
) -> None:
    with pytest.raises(InputError, match="too long"):
        a_session.ask(volume, Question("nodule " * 2000))


def test_the_context_bounds_the_answer(a_session: Session, volume: Any) -> None:
    ids = a_session.processor.encode_prompt(a_session.processor.conversation(QUESTIONS[1]))
    a_session.config.context_length = len(ids) + 3
    assert len(answer(a_session, volume, QUESTIONS[1], max_new_tokens=50).token_ids) <= 3


def test_a_volume_of_another_size_is_refused(a_session: Session, volume: Any) -> None:
    wrong = replace(volume, voxels=np.zeros((16, 64, 64), np.float32))
    with pytest.raises(InputError, match="prepared"):
        a_session.ask(wrong, QUESTIONS[0])


def test_numbers_that_overflow_are_said(a_session: Session, volume: Any) -> None:
    with torch.no_grad():
        a_session.model.get_output_embeddings().weight.fill_(float("nan"))
    with pytest.raises(Med2E3Error, match="overflowed"):
        answer(a_session, volume, QUESTIONS[0], max_new_tokens=2)


def test_variants_without_scores_answer_without_them(tmp_path: Path, volume: Any) -> None:
    build(tmp_path / "average", aggregation="average")
    session = Session.load(tmp_path / "average")
    events = list(session.ask(volume, QUESTIONS[0], GenerationOptions(max_new_tokens=2)))
    assert not any(isinstance(event, Scores) for event in events)
    assert events[-1].scores == ()  # type: ignore[union-attr]


def test_slices_weighted_at_random_repeat_for_the_recorded_seed(
    tmp_path: Path, volume: Any
) -> None:
    build(tmp_path / "random", aggregation="random")
    session = Session.load(tmp_path / "random")
    drawn = answer(session, volume, QUESTIONS[0], max_new_tokens=8)
    assert drawn.seed is not None
    again = answer(session, volume, QUESTIONS[0], max_new_tokens=8, seed=drawn.seed)
    assert again.token_probabilities == drawn.token_probabilities
    other = answer(session, volume, QUESTIONS[0], max_new_tokens=8, seed=drawn.seed // 2 + 1)
    assert other.token_probabilities != drawn.token_probabilities


def test_letters_are_found_when_pieces_end_with_an_end_token(
    a_session: Session, volume: Any
) -> None:
    plain = answer(a_session, volume, QUESTIONS[3], max_new_tokens=1).choice_probabilities
    codec = a_session.processor._codec
    a_session.processor._codec = TextCodec(codec.tokenizer, replace(codec.habits, ends=True))
    ended = answer(a_session, volume, QUESTIONS[3], max_new_tokens=1).choice_probabilities
    assert list(ended) == list(plain)
    assert len({round(share, 6) for share in ended.values()}) == 3


def test_folders_that_hold_no_model_are_refused(tmp_path: Path, model_folder: Path) -> None:
    with pytest.raises(CheckpointError, match="no Med-2E3 model"):
        Session.load(tmp_path)
    broken = tmp_path / "broken"
    shutil.copytree(model_folder, broken)
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:2000])
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        Session.load(broken)


def test_a_weight_that_is_missing_is_refused(tmp_path: Path, model_folder: Path) -> None:
    lacking = tmp_path / "lacking"
    shutil.copytree(model_folder, lacking)
    weights = load_file(lacking / "model.safetensors")
    del weights["tgis.question_projection.weight"]
    save_file(weights, lacking / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="question_projection"):
        Session.load(lacking)


def test_unknown_devices_and_formats_are_refused(model_folder: Path) -> None:
    with pytest.raises(InputError, match="device"):
        Session.load(model_folder, device="tpu")
    with pytest.raises(InputError, match="precision"):
        Session.load(model_folder, dtype="int3")
    if not torch.cuda.is_available():
        with pytest.raises(ResourceError, match="no cuda device"):
            Session.load(model_folder, device="cuda")
