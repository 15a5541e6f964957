"""In this process, in a child, at an address, over TLS: the same question has the same answer."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
from unit.engine.conftest import make_volume
from unit.engine.real_model import MODEL_SIZE, model_service
from unit.repository.test_imports import modules_of, packages_brought_in

from fixtures.engine_service import TOKEN, SteppedBackend, Voxels, running_service
from fixtures.processes import program_environment
from med2e3.asking import Done, GenerationOptions, Question, Scores, Token
from med2e3.client import Engine, LocalEngine, RemoteEngine
from med2e3.engine.serving import Certificate
from med2e3.errors import InputError
from med2e3.protocol import EngineUnreachable
from med2e3.session.in_process import InProcessEngine

QUESTIONS = [
    (Question("Which plane?"), GenerationOptions(max_new_tokens=12)),
    (Question("Which region?", ("chest", "abdomen", "pelvis")), GenerationOptions()),
    (Question.report(), GenerationOptions(16, temperature=1.5, seed=2**40 + 1)),
]


@pytest.fixture(scope="module")
def volume() -> Voxels:
    return make_volume(3, MODEL_SIZE)


@pytest.fixture(scope="module")
def expected(volume: Voxels) -> list[tuple[list[object], list[float]]]:
    """The answers of a session in this process."""
    engine = InProcessEngine("embedded", device="cpu", dtype="float32")
    return [comparable(engine, volume, *asked) for asked in QUESTIONS]


@pytest.fixture(params=["in process", "child", "address"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    with ExitStack() as stack:
        made: Engine
        if request.param == "in process":
            made = InProcessEngine("embedded", device="cpu", dtype="float32")
        elif request.param == "child":
            environment = program_environment(MED2E3_HOME=str(tmp_path))
            made = LocalEngine(
                "embedded", device="cpu", precision="float32", environment=environment
            )
        else:
            made = RemoteEngine(stack.enter_context(model_service()).address, TOKEN)
        stack.callback(made.close)
        yield made


def comparable(
    engine: Engine, volume: Voxels, question: Question, options: GenerationOptions
) -> tuple[list[object], list[float]]:
    """Tokens, words and the end of an answer; scores and probabilities, which processes round alike
    only up to the last digits."""
    said: list[object] = []
    numbers: list[float] = []
    for event in engine.ask(volume, question, options):
        if isinstance(event, Scores):
            said.append("scores")
            numbers += event.values
        elif isinstance(event, Token):
            said.append((event.id, event.text))
            numbers.append(event.probability)
        elif isinstance(event, Done):
            said += [event.answer, event.token_ids, event.finish_reason, event.seed]
            said.append(list(event.choice_probabilities))
            numbers += [*event.token_probabilities, *event.scores]
            numbers += event.choice_probabilities.values()
    return said, numbers


def test_every_engine_gives_the_same_answers(
    engine: Engine, volume: Voxels, expected: list[tuple[list[object], list[float]]]
) -> None:
    engine.put_volume(volume)
    for asked, wanted in zip(QUESTIONS, expected, strict=True):
        said, numbers = comparable(engine, volume, *asked)
        assert said[0] == "scores"
        assert said == wanted[0]
        assert numbers == pytest.approx(wanted[1], abs=1e-6)
    said = engine.capabilities()
    assert said.model is not None
    assert (said.model.name, said.model.input_size) == ("embedded", MODEL_SIZE)
    assert said.model.notice is not None
    assert said.model.notice in said.notice
    engine.drop_volume(volume.sha256)


def test_every_engine_can_be_cancelled(engine: Engine, volume: Voxels) -> None:
    cancel = threading.Event()
    cancel.set()
    events = list(engine.ask(volume, Question("Which plane?"), cancel=cancel))
    assert isinstance(events[-1], Done)
    assert events[-1].finish_reason == "cancelled"
    again = list(engine.ask(volume, Question("Which plane?"), GenerationOptions(3)))
    assert isinstance(again[-1], Done)
    assert again[-1].finish_reason != "cancelled"


def test_every_engine_refuses_a_volume_of_another_size(engine: Engine) -> None:
    with pytest.raises(InputError, match="prepared as"):
        list(engine.ask(make_volume(1, (32, 48, 48)), Question("Which plane?")))


def test_a_killed_child_is_an_error_once_and_started_again(volume: Voxels, tmp_path: Path) -> None:
    environment = program_environment(MED2E3_HOME=str(tmp_path))
    engine = LocalEngine("embedded", device="cpu", environment=environment)
    try:
        engine.capabilities()
        (first,) = engine_processes()
        first.kill()
        first.wait(30)
        events = list(engine.ask(volume, Question("Which plane?"), GenerationOptions(3)))
        assert isinstance(events[-1], Done)
        (second,) = engine_processes()
        assert second.pid != first.pid
        answer = engine.ask(volume, Question.report())
        next(answer)
        second.kill()
        with pytest.raises(EngineUnreachable, match="process ended"):
            list(answer)
    finally:
        engine.close()
    assert engine_processes() == []


def engine_processes() -> list[psutil.Process]:
    """Engines that this process has started as children and that still run."""
    children = psutil.Process().children()
    return [child for child in children if "--child" in _command(child)]


def _command(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    """A certificate for localhost that nobody else signed."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("the program openssl makes the certificate")
    made = Certificate(tmp_path / "chain.pem", tmp_path / "key.pem")
    request = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    request += ["-subj", "/CN=localhost"]
    request += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    files = ["-keyout", str(made.key), "-out", str(made.chain)]
    subprocess.run([openssl, *request, *files], check=True, capture_output=True)
    return made


def test_tls_with_a_certificate_of_ones_own(certificate: Certificate, volume: Voxels) -> None:
    with running_service(SteppedBackend(), certificate=certificate) as service:
        address = f"https://127.0.0.1:{service.port}"
        with pytest.raises(EngineUnreachable, match="not trusted"):
            RemoteEngine(address, TOKEN).capabilities()
        with pytest.raises(EngineUnreachable):
            RemoteEngine(f"http://127.0.0.1:{service.port}", TOKEN).capabilities()
        engine = RemoteEngine(address, TOKEN, ca_file=certificate.chain)
        events = list(engine.ask(volume, Question("Where?"), cancel=threading.Event()))
        assert isinstance(events[-1], Done)
        assert service.backend.puts == [volume.sha256]


@pytest.mark.parametrize("part", ["protocol", "client"])
def test_protocol_and_client_are_light(part: str) -> None:
    allowed = {"med2e3"} if part == "protocol" else {"med2e3", "numpy"}
    assert packages_brought_in(*modules_of(part)) <= allowed


def test_a_fresh_client_imports_no_torch() -> None:
    code = "import sys, med2e3.client, med2e3.protocol; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_child_that_still_loads_its_model_can_be_cancelled(
    volume: Voxels, tmp_path: Path
) -> None:
    environment = program_environment(MED2E3_HOME=str(tmp_path))
    engine = LocalEngine("embedded", device="cpu", environment=environment)
    cancel = threading.Event()
    cancel.set()
    try:
        events = list(engine.ask(volume, Question("Which plane?"), cancel=cancel))
        assert events == [Done("", (), (), (), "cancelled")]
        assert engine._ready().capabilities().state == "loading", "it was not waited for"
    finally:
        engine.close()
