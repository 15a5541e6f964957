"""Bodies, problems, versions, addresses and the child's first line."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from med2e3.asking import GenerationOptions, Question, Turn
from med2e3.errors import CheckpointError, InputError, Med2E3Error, ResourceError, VolumeError
from med2e3.protocol import (
    API_VERSION,
    Capabilities,
    EngineUnreachable,
    Hello,
    ModelDescription,
    NotAuthorized,
    UnknownVolume,
    VersionMismatch,
    check_version,
    child_arguments,
    deflate,
    error_of,
    inflate,
    is_loopback,
    options_from_json,
    options_to_json,
    parse_hello,
    problem_of,
    question_from_json,
    question_to_json,
    status_of,
    volume_path,
    volume_sha256,
)
from med2e3.volume import prepare, volume_from_array

QUESTIONS = [
    Question("Where?"),
    Question.report(),
    Question("Which?", ("a", "b"), history=(Turn("q", "a"),)),
    Question("Which?", ("a", "b"), task="open_vqa"),
]


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_comes_back_equal(question: Question) -> None:
    assert question_from_json(question_to_json(question)) == question


def test_options_come_back_equal() -> None:
    options = GenerationOptions(7, 0.5, 0.9, 2**62 + 1, ("x", "y"))
    assert options_from_json(options_to_json(options)) == options
    assert options_from_json({}) == GenerationOptions()


@pytest.mark.parametrize("wrong", [{}, {"text": 3}, {"text": "a", "task": "poem"}, {"text": " "}])
def test_a_wrong_question_is_bad_input(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError):
        question_from_json(wrong)


@pytest.mark.parametrize("wrong", [{"top_p": 2}, {"seed": "x"}, {"stop": [1]}])
def test_wrong_options_are_bad_input(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError):
        options_from_json(wrong)


@pytest.mark.parametrize(
    "error",
    [
        InputError("a", hint="b"),
        VolumeError("a"),
        CheckpointError("a"),
        ResourceError("a"),
        UnknownVolume("a", hint="c"),
        NotAuthorized("a"),
    ],
)
def test_an_error_comes_back_as_its_class(error: Med2E3Error) -> None:
    back = error_of(problem_of(error), status_of(error))
    assert type(back) is type(error)
    assert (back.sentence, back.hint, back.exit_code) == (
        error.sentence,
        error.hint,
        error.exit_code,
    )


def test_the_detail_for_the_log_does_not_travel() -> None:
    assert "secret" not in str(problem_of(ResourceError("a", detail="secret")))


@pytest.mark.parametrize("problem", [None, [], "x", {"code": ["x"], "detail": 3, "hint": {}}])
def test_any_answer_becomes_a_sentence(problem: object) -> None:
    assert isinstance(error_of(problem, 401), NotAuthorized)
    assert "418" in error_of(problem, 418).sentence


def test_versions_are_compared_in_plain_words() -> None:
    check_version(API_VERSION)
    check_version("1.99")
    with pytest.raises(VersionMismatch, match=r"version 2.*version 1") as told:
        check_version("2.0")
    assert "client" in told.value.hint
    with pytest.raises(VersionMismatch) as told:
        check_version("0.3")
    assert "engine" in told.value.hint
    with pytest.raises(VersionMismatch, match="not a Med2E3 engine"):
        check_version(None)


def test_the_content_hash_is_that_of_the_model_input() -> None:
    voxels = np.arange(12 * 16 * 16, dtype=np.float32).reshape(12, 16, 16) % 91
    made = prepare(volume_from_array(voxels, np.eye(4)), (4, 6, 5), window="full")
    body = made.voxels.astype("<f4").tobytes()
    assert volume_sha256(made.voxels.shape, body) == made.sha256
    assert volume_sha256(np.array(made.voxels.shape), memoryview(body)) == made.sha256
    assert volume_path(made.sha256, made.voxels.shape).endswith("?slices=4&rows=6&columns=5")


def test_compression_is_exact_and_bounded() -> None:
    voxels = np.random.default_rng(0).random(1000, dtype=np.float32).tobytes()
    assert inflate(deflate(voxels), len(voxels)) == voxels
    bomb = zlib.compress(bytes(1 << 26))
    for body, size in (
        (bomb, 1000),
        (deflate(voxels), len(voxels) - 4),
        (deflate(voxels), len(voxels) + 4),
        (deflate(voxels)[:-3], len(voxels)),
        (deflate(voxels) + b"x", len(voxels)),
        (b"nothing", 7),
    ):
        with pytest.raises(VolumeError):
            inflate(body, size)


def test_the_first_line_of_a_child() -> None:
    hello = Hello("http://127.0.0.1:5", "token", pid=7)
    assert parse_hello(hello.to_line()) == hello
    with pytest.raises(CheckpointError, match="broken"):
        parse_hello('{"problem": {"code": "bad-checkpoint", "detail": "broken"}}')
    with pytest.raises(VersionMismatch):
        parse_hello(Hello("a", "t", "9.0").to_line())
    for line in ("", "{}", "Traceback", '{"hello": 3}', "[1]"):
        with pytest.raises(EngineUnreachable):
            parse_hello(line)


def test_the_token_is_never_on_the_command_line() -> None:
    command = child_arguments("python", model="embedded")
    assert command[:4] == ["python", "-m", "med2e3.cli.main", "serve"]
    assert not any("token" in word.lower() for word in command)
    assert "--no-model" in child_arguments("python", model=None)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.0.1", "localhost", "::1", "[::1]"])
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "localhost.example.org", ""])
def test_not_loopback(host: str) -> None:
    assert not is_loopback(host)


def test_capabilities_come_back_equal_and_unknown_fields_are_ignored() -> None:
    model = ModelDescription("m", None, "0", True, "n", (32, 256, 256), 4096, "cuda", "int8")
    said = Capabilities("1.0", "0.1", "ready", "", "notice", model, memory_free=5)
    values = said.to_json() | {"new": 1}
    values["model"]["new"] = 1
    assert Capabilities.from_json(values) == said
    for wrong in (None, {}, {"api": "1.0"}, said.to_json() | {"model": {"name": "m"}}):
        with pytest.raises(EngineUnreachable):
            Capabilities.from_json(wrong)
