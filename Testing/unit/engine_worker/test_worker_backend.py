"""The backend with its real process: answers, turns, cancelling, and how it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from unit.engine_worker.harness import VOLUMES, Scan, Worker, voxels

from med2e3.asking import Done, Event, GenerationOptions, Question, Stage, Token
from med2e3.engine.backend import Job
from med2e3.engine.worker import WorkerBackend
from med2e3.errors import InputError
from med2e3.protocol import ModelNotReady, UnknownVolume
from med2e3.session import Session

LOGIC = Path(__file__).resolve().parents[3] / "Med2E3Slicer" / "Logic"
TEXTS = ("Where is the nodule?", "Is there free fluid?", "Which plane is this?")
#: an answer of the first text about the first volume that goes on to its greatest length
LONG: dict[str, Any] = {"max_new_tokens": 250, "temperature": 30.0, "seed": 1}


def test_many_at_once_are_answered_as_one_by_one(worker: Worker, session: Session) -> None:
    options = [{}, {"max_new_tokens": 3}, {"temperature": 1.2, "seed": 4}, {"stop": ("e",)}]
    cases = [(text, volume, option) for text in TEXTS for volume in VOLUMES for option in options]

    async def work() -> list[list[Any]]:
        return await asyncio.gather(
            *(
                worker.ask(text, volume=volume, client=f"client {number % 4}", **option)
                for number, (text, volume, option) in enumerate(cases)
            )
        )

    for events, (text, volume, option) in zip(worker.run(work()), cases, strict=True):
        wanted = GenerationOptions(**{"max_new_tokens": 12} | option)
        expected = list(session.ask(Scan(volume), Question(text), wanted))[-1]
        done = events[-1]
        assert isinstance(done, Done) and isinstance(expected, Done)
        assert (done.answer, done.token_ids) == (expected.answer, expected.token_ids)
        assert (done.finish_reason, done.seed) == (expected.finish_reason, expected.seed)
        np.testing.assert_allclose(
            done.token_probabilities, expected.token_probabilities, rtol=2e-4
        )
        np.testing.assert_allclose(done.scores, expected.scores, rtol=1e-5)


def test_states_volumes_and_refusals() -> None:
    async def work() -> None:
        backend = WorkerBackend(device="cpu")
        await backend.start()
        assert backend.status().state == "unloaded" and backend.worker_pid is None
        await backend.put_volume("v", voxels(VOLUMES[0]))
        job = Job("1", "c", "v", Question("?"), GenerationOptions(max_new_tokens=2))
        with pytest.raises(ModelNotReady):
            await anext(backend.ask(job))
        loading = asyncio.create_task(backend.load("embedded"))
        while backend.status().state != "loading":
            await asyncio.sleep(0)
        early = [event async for event in backend.ask(job)]  # waits for the model
        assert isinstance(early[-1], Done)
        await loading
        status = backend.status()
        assert status.state == "ready" and status.volumes == 1 and status.memory_total > 0
        assert status.model is not None and status.model.record.name == "embedded"
        pid = backend.worker_pid
        await backend.load("embedded")
        assert backend.worker_pid == pid, "it is loaded already"
        with pytest.raises(InputError, match="prepared"):
            await backend.put_volume("w", np.zeros((3, 4, 5), np.float32))
        await backend.drop_volume("v")
        await backend.drop_volume("never there")
        with pytest.raises(UnknownVolume):
            await anext(backend.ask(job))
        await backend.put_volume("v", voxels(VOLUMES[0]))
        again = [event async for event in backend.ask(job)]
        assert isinstance(again[-1], Done)
        assert again[-1].cache_hits == (), "what was computed from it was dropped, too"

        long = Job("2", "c", "v", Question(TEXTS[0]), GenerationOptions(**LONG))

        async def until_the_end() -> list[Event]:
            return [event async for event in backend.ask(long)]

        asked = asyncio.create_task(until_the_end())
        while not backend.status().running:
            await asyncio.sleep(0.01)
        await backend.unload()
        with pytest.raises(ModelNotReady):
            await asked
        assert not psutil.pid_exists(pid or 0)
        assert backend.status().state == "unloaded" and backend.status().volumes == 1
        await backend.close()

    asyncio.run(work())


def test_a_question_too_long_for_the_model_is_refused(worker: Worker) -> None:
    events = worker.run(worker.ask("nodule " * 2000))
    assert len(events) == 1 and type(events[0]) is InputError
    assert "too long" in events[0].sentence


def test_cancelling_leaves_what_there_is_and_the_others(worker: Worker, session: Session) -> None:
    seen: list[Token] = []

    def stop_at_the_third(event: Any, job: str) -> None:
        if isinstance(event, Token):
            seen.append(event)
            if len(seen) == 3:
                worker.backend.cancel(job)

    async def work() -> list[list[Any]]:
        return await asyncio.gather(
            worker.ask(TEXTS[0], on_event=stop_at_the_third, **LONG),
            worker.ask(TEXTS[1], volume=VOLUMES[1], client="another"),
        )

    cancelled, other = worker.run(work())
    done = cancelled[-1]
    assert isinstance(done, Done) and done.finish_reason == "cancelled"
    assert 3 <= len(done.token_ids) < 250
    assert done.token_ids == tuple(token.id for token in seen)
    options = GenerationOptions(max_new_tokens=12)
    expected = list(session.ask(Scan(VOLUMES[1]), Question(TEXTS[1]), options))[-1]
    assert isinstance(expected, Done)
    assert other[-1].token_ids == expected.token_ids
    worker.backend.cancel("never asked")


def test_cancelling_while_slices_are_encoded(worker: Worker) -> None:
    def stop(event: Any, job: str) -> None:
        if event == Stage("encoding"):
            worker.backend.cancel(job)

    events = worker.run(worker.ask(on_event=stop))
    assert isinstance(events[-1], Done)
    assert events[-1].finish_reason == "cancelled" and events[-1].token_ids == ()


def test_cancelling_what_hangs_does_not_wait_for_it(worker: Worker) -> None:
    """The process is stopped as a whole, as a driver that hangs would do."""
    pid = worker.backend.worker_pid or 0
    seen: list[Token] = []

    def stop(event: Any, job: str) -> None:
        if isinstance(event, Token):
            if not seen:
                os.kill(pid, signal.SIGSTOP)
                worker.backend.cancel(job)
            seen.append(event)

    done = worker.run(worker.ask(on_event=stop, **LONG))[-1]
    os.kill(pid, signal.SIGCONT)
    assert isinstance(done, Done) and done.finish_reason == "cancelled"
    assert done.token_ids == tuple(token.id for token in seen)
    assert done.answer == "".join(token.text for token in seen)
    assert isinstance(worker.run(worker.ask())[-1], Done)


def test_a_client_that_goes_away_frees_its_place(worker: Worker) -> None:
    async def work() -> None:
        options = GenerationOptions(**LONG)
        for number in range(20):  # more than there are places
            job = Job(f"gone {number}", "c", VOLUMES[0], Question(TEXTS[0]), options)
            async with aclosing(worker.backend.ask(job)) as events:
                async for event in events:
                    if isinstance(event, Token):
                        break

    worker.run(work())
    status = worker.backend.status()
    assert (status.waiting, status.running) == (0, 0)
    assert isinstance(worker.run(worker.ask())[-1], Done)


PARENT = """
import asyncio, sys
import numpy as np
from med2e3.engine.worker import WorkerBackend

async def work():
    backend = WorkerBackend("embedded", device="cpu")
    await backend.start()
    await backend.load("embedded")
    assert not {"torch", "transformers"} & set(sys.modules)
    print(backend.worker_pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(work())
"""


def test_the_process_ends_with_its_parent_which_needs_no_torch() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PARENT)],
        env={**os.environ, "PYTHONPATH": str(LOGIC)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert psutil.pid_exists(pid)
    finally:
        parent.kill()
        parent.wait()
    for _ in range(600):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return
        time.sleep(0.1)
    pytest.fail("the process with the model outlived its parent")
