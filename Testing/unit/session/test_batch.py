"""Answers decoded together are the answers decoded one by one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fixtures.questions import QUESTIONS
from fixtures.random_model import build
from med2e3.asking import (
    Done,
    Event,
    GenerationOptions,
    Progress,
    Question,
    Scores,
    Token,
)
from med2e3.errors import DeviceLostError, NumericalError, ResourceError
from med2e3.session import Session
from med2e3.session.batch import Batch
from med2e3.session.batch_answer import Answer
from med2e3.weights import resolve_model

Asked = tuple[Any, Question, GenerationOptions]


class Scan:
    """A volume by its seed."""

    def __init__(self, seed: int, size: tuple[int, int, int] = (32, 64, 64)) -> None:
        rng = np.random.default_rng(seed)
        ramp = np.linspace(0.1, 1, size[0], dtype=np.float32)[:, None, None]
        self.voxels = rng.random(size, dtype=np.float32) * ramp
        self.sha256 = f"scan {seed}"


def prepared(session: Session, asked: Asked) -> tuple[Answer, list[Event]]:
    answer = Answer(session, *asked, threading.Event())
    return answer, [event for event in answer.prepare() if event is not None]


def together(session: Session, asked: list[Asked], every: int = 0) -> list[list[Event]]:
    """All events of each; a further answer joins every so many steps, or all at once."""
    batch, events, names = Batch(session), [], {}
    waiting = list(enumerate(asked))
    steps = 0
    while waiting or batch.answers:
        while waiting and (not every or steps >= every * waiting[0][0]):
            number, one = waiting.pop(0)
            answer, begun = prepared(session, one)
            events.append(begun)
            names[id(answer)] = (number, answer)
            if answer.reason is None:
                batch.join(answer)
        for answer, outcome in batch.step():
            assert not isinstance(outcome, Exception)
            events[names[id(answer)][0]].append(outcome)
        steps += 1
    return events


def alone(session: Session, asked: Asked) -> list[Event]:
    return list(session.ask(*asked))


def same(mine: list[Event], reference: list[Event]) -> None:
    """The same events in the same order; numbers within what float32 sums differ by."""
    a, b = mine[-1], reference[-1]
    assert isinstance(a, Done) and isinstance(b, Done)
    assert a.token_ids == b.token_ids
    assert (a.answer, a.finish_reason, a.seed) == (b.answer, b.finish_reason, b.seed)
    np.testing.assert_allclose(a.token_probabilities, b.token_probabilities, rtol=2e-4)
    np.testing.assert_allclose(a.scores, b.scores, rtol=1e-5)
    assert list(a.choice_probabilities) == list(b.choice_probabilities)
    np.testing.assert_allclose(
        list(a.choice_probabilities.values()), list(b.choice_probabilities.values()), rtol=2e-4
    )
    pieces = [[e.text for e in events if isinstance(e, Token)] for events in (mine, reference)]
    assert pieces[0] == pieces[1]
    kinds = [type(e) for e in mine]
    if Scores in kinds:
        assert kinds.index(Scores) < kinds.index(Token)
    assert kinds.count(Done) == 1


def questions_for(scans: list[Scan]) -> list[Asked]:
    options = [
        GenerationOptions(max_new_tokens=14),
        GenerationOptions(max_new_tokens=1),
        GenerationOptions(max_new_tokens=80),
        GenerationOptions(max_new_tokens=20, temperature=1.4, seed=5),
        GenerationOptions(max_new_tokens=20, temperature=0.8, top_p=0.9, seed=6),
        GenerationOptions(max_new_tokens=30, stop=("e", "th")),
    ]
    return [
        (scans[i % len(scans)], QUESTIONS[i % len(QUESTIONS)], option)
        for i, option in enumerate(options * 2)
    ]


@pytest.mark.parametrize("every", [0, 1, 7])
def test_a_random_model_answers_the_same(model_folder: Path, every: int) -> None:
    session = Session.load(model_folder, device="cpu", dtype="float32")
    asked = questions_for([Scan(1), Scan(2)])
    reference = [alone(session, one) for one in asked]
    for mine, expected in zip(together(session, asked, every), reference, strict=True):
        same(mine, expected)


@pytest.mark.parametrize(
    "text_config",
    [
        {"model_type": "llama", "num_key_value_heads": 2, "head_dim": 32},
        {"model_type": "qwen2", "num_key_value_heads": 2},
        {"model_type": "phi3", "sliding_window": 90},
    ],
    ids=lambda config: str(config["model_type"]),
)
def test_other_language_models_answer_the_same(tmp_path: Path, text_config: dict[str, Any]) -> None:
    sizes = {
        "vocab_size": 400, "hidden_size": 96, "intermediate_size": 256, "num_hidden_layers": 3,
        "num_attention_heads": 4, "pad_token_id": 0, "eos_token_id": 0, "bos_token_id": None,
    }  # fmt: skip
    build(tmp_path / "model", text_config=sizes | text_config)
    session = Session.load(tmp_path / "model", device="cpu", dtype="float32")
    plain = Session.load(tmp_path / "model", device="cpu", dtype="float32", reuse=False)
    asked = questions_for([Scan(1), Scan(2)])[:6]
    reference = [alone(plain, one) for one in asked]
    for mine, expected in zip(together(session, asked, 3), reference, strict=True):
        same(mine, expected)


def test_the_embedded_model_answers_the_same() -> None:
    session = Session.load(resolve_model("embedded"), device="cpu", dtype="float32")
    asked = questions_for([Scan(1, session.input_size), Scan(2, session.input_size)])
    reference = [alone(session, one) for one in asked]
    for mine, expected in zip(together(session, asked, 2), reference, strict=True):
        same(mine, expected)


def test_a_parked_answer_goes_on_where_it_was(a_session: Session) -> None:
    asked = questions_for([Scan(1)])
    reference = [alone(a_session, one)[-1] for one in (asked[2], asked[3])]
    batch = Batch(a_session)
    answers = [prepared(a_session, one)[0] for one in (asked[2], asked[3])]
    for answer in answers:
        batch.join(answer)
    last: dict[int, Any] = {}
    for step in range(200):
        if step == 5:
            batch.park(answers[0])
        if step == 9:
            batch.join(answers[0])
        for answer, outcome in batch.step():
            last[answers.index(answer)] = outcome
    for i, expected in enumerate(reference):
        assert isinstance(expected, Done)
        assert last[i].token_ids == expected.token_ids


def test_cancelling_one_leaves_the_others(a_session: Session) -> None:
    asked = questions_for([Scan(1)])[2:5]
    reference = [alone(a_session, one)[-1] for one in asked]
    batch = Batch(a_session)
    answers = [prepared(a_session, one)[0] for one in asked]
    for answer in answers:
        batch.join(answer)
    batch.step()
    answers[0].cancel.set()
    outcomes = batch.step()
    assert outcomes[0][0] is answers[0]
    done = outcomes[0][1]
    assert isinstance(done, Done) and done.finish_reason == "cancelled"
    assert len(done.token_ids) == 2 and answers[0] not in batch.answers
    last: dict[int, Any] = {}
    while batch.answers:
        for answer, outcome in batch.step():
            last[answers.index(answer)] = outcome
    for i in (1, 2):
        assert last[i].token_ids == reference[i].token_ids  # type: ignore[union-attr]


def fail_when(session: Session, fails: Callable[[torch.Tensor], Exception | None]) -> Any:
    """Let passes of the language model fail as a device would; gives the hook's handle."""

    def hook(_: Any, __: Any, arguments: dict[str, Any]) -> None:
        error = fails(arguments["inputs_embeds"])
        if error is not None:
            raise error

    return session.model.language_model.register_forward_pre_hook(hook, with_kwargs=True)


def test_memory_that_runs_out_once_costs_the_caches_only(a_session: Session) -> None:
    asked = questions_for([Scan(1)])[0]
    expected = alone(a_session, asked)[-1]
    for wide in (True, False):  # in the prompt, then in a step
        left = [torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")]

        def once(embedded: torch.Tensor, left: Any = left, wide: bool = wide) -> Exception | None:
            return left.pop() if left and (embedded.shape[1] > 1) == wide else None

        handle = fail_when(a_session, once)
        done = alone(a_session, asked)[-1]
        handle.remove()
        assert not left
        assert done.token_ids == expected.token_ids  # type: ignore[union-attr]


def test_memory_that_runs_out_while_encoding_takes_single_slices(a_session: Session) -> None:
    expected = alone(a_session, questions_for([Scan(1)])[0])[-1]
    a_session.forget()
    taken = []

    def hook(_: Any, arguments: tuple[torch.Tensor]) -> None:
        taken.append(len(arguments[0]))
        if taken[-1] > 1 and len(taken) > 2:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory")

    handle = a_session.model.connector_2d.register_forward_pre_hook(hook)
    events = alone(a_session, questions_for([Scan(1)])[0])
    handle.remove()
    assert taken[:3] == [8, 8, 8] and set(taken[3:]) == {1} and len(taken) == 3 + 32
    steps = [e.done for e in events if isinstance(e, Progress)]
    assert steps == sorted(set(steps))
    assert events[-1].token_ids == expected.token_ids  # type: ignore[union-attr]


def test_memory_that_stays_short_is_said_and_the_next_question_works(a_session: Session) -> None:
    asked = questions_for([Scan(1)])[0]
    handle = fail_when(a_session, lambda _: MemoryError())
    with pytest.raises(ResourceError, match="not enough free memory"):
        alone(a_session, asked)
    handle.remove()
    assert isinstance(alone(a_session, asked)[-1], Done)


def test_a_lost_device_is_said(a_session: Session) -> None:
    handle = fail_when(a_session, lambda _: RuntimeError("CUDA error: unspecified launch failure"))
    with pytest.raises(DeviceLostError, match="stopped working"):
        alone(a_session, questions_for([Scan(1)])[0])
    handle.remove()


def test_one_answers_overflow_is_not_the_others(a_session: Session) -> None:
    asked = questions_for([Scan(1)])[2:5]
    reference = [alone(a_session, one)[-1] for one in asked]
    batch = Batch(a_session)
    answers = [prepared(a_session, one)[0] for one in asked]
    for answer in answers:
        batch.join(answer)
    count = 0

    def spoil(_: Any, __: Any, output: Any) -> Any:
        nonlocal count
        count += 1
        if count == 3:
            output.logits[1] = float("nan")
        return output

    handle = a_session.model.language_model.register_forward_hook(spoil)
    last: dict[int, Any] = {}
    while batch.answers:
        for answer, outcome in batch.step():
            last[answers.index(answer)] = outcome
    handle.remove()
    assert isinstance(last[1], NumericalError)
    for i in (0, 2):
        assert last[i].token_ids == reference[i].token_ids  # type: ignore[union-attr]


def test_features_that_are_not_finite_are_not_kept(a_session: Session) -> None:
    asked = questions_for([Scan(1)])[0]
    expected = alone(a_session, asked)[-1]
    a_session.forget()
    handle = a_session.model.connector_2d.register_forward_hook(lambda *a: a[2] * float("nan"))
    with pytest.raises(NumericalError):
        alone(a_session, asked)
    handle.remove()
    done = alone(a_session, asked)[-1]
    assert isinstance(done, Done) and isinstance(expected, Done)
    assert done.cache_hits == () and done.token_ids == expected.token_ids


def test_a_place_that_held_no_numbers_spoils_nobody(a_session: Session) -> None:
    """The second answer gets the first one's place, shorter than what was there."""
    long, short = questions_for([Scan(1)])[2], questions_for([Scan(2)])[3]
    expected = alone(a_session, short)[-1]
    batch = Batch(a_session)
    first, keeper = prepared(a_session, long)[0], prepared(a_session, long)[0]
    batch.join(keeper)
    batch.join(first)
    for _ in range(20):
        batch.step()
    with torch.inference_mode():
        for layer in batch._cache.layers:
            layer.keys[1] = layer.values[1] = float("nan")
    batch.remove(first)
    second = prepared(a_session, short)[0]
    batch.join(second)
    last: Any = None
    while second in batch.answers:
        for answer, outcome in batch.step():
            last = outcome if answer is second else last
    assert isinstance(last, Done) and isinstance(expected, Done)
    assert last.token_ids == expected.token_ids


def test_an_unrelated_fault_is_not_hidden(a_session: Session) -> None:
    handle = fail_when(a_session, lambda _: RuntimeError("shapes do not match"))
    with pytest.raises(RuntimeError, match="shapes"):
        alone(a_session, questions_for([Scan(1)])[0])
    handle.remove()


def test_an_answer_that_was_cancelled_before_it_began(a_session: Session) -> None:
    asked = questions_for([Scan(1)])[0]
    answer = Answer(a_session, *asked, threading.Event())
    answer.cancel.set()
    events = [event for event in answer.prepare() if event is not None]
    assert isinstance(events[-1], Done)
    assert events[-1].finish_reason == "cancelled" and events[-1].token_ids == ()
