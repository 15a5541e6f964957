"""The service as a child process: its first line, its end, and the command's rules."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest

from fixtures.engine_service import eventually
from fixtures.processes import program_environment
from med2e3.client import RemoteEngine
from med2e3.errors import InputError
from med2e3.protocol import NotAuthorized, child_arguments, parse_hello

SERVE = [sys.executable, "-m", "med2e3.cli.main", "serve"]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    values = program_environment(MED2E3_HOME=str(tmp_path / "store"))
    values.pop("MED2E3_TOKEN", None)
    return values


def gone(*pids: int) -> bool:
    """Whether the processes have ended (a zombie has)."""
    return not any(
        psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
        for pid in pids
    )


#: starts a child as a parent program does, says where it is, and waits
PARENT = textwrap.dedent(
    """
    import subprocess, sys, time
    child = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    print(child.stdout.readline().decode(), end="", flush=True)
    time.sleep(600)
    """
)


@pytest.mark.parametrize("ending", ["closes the pipe", "is killed"])
def test_the_engine_ends_with_its_parent(environment: dict[str, str], ending: str) -> None:
    command = child_arguments(sys.executable, model="embedded", device="cpu")
    if ending == "is killed":
        command = [sys.executable, "-c", PARENT, *command]
    parent = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    )
    try:
        assert parent.stdout is not None
        assert parent.stdin is not None
        hello = parse_hello(parent.stdout.readline().decode())
        engine = RemoteEngine(hello.address, hello.token)
        assert engine.wait_until_ready(300).may_change_model
        with pytest.raises(NotAuthorized):
            RemoteEngine(hello.address, "another").capabilities()
        workers = [child.pid for child in psutil.Process(hello.pid).children(recursive=True)]
        assert workers
        if ending == "is killed":
            parent.kill()
        else:
            parent.stdin.close()
            assert parent.stdout.read() == b"", "one line and nothing more"
            assert parent.wait(60) == 0
        eventually(lambda: gone(hello.pid, *workers), "engine and worker have ended", 60)
    finally:
        parent.kill()
        parent.wait()
        for pipe in (parent.stdin, parent.stdout):
            if pipe is not None:
                pipe.close()


def test_a_child_that_cannot_start_says_why(environment: dict[str, str]) -> None:
    command = child_arguments(sys.executable, model="no-such-model")
    ended = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, input=""
    )
    with pytest.raises(InputError, match="no-such-model"):
        parse_hello(ended.stdout)
    assert ended.returncode == 2


@pytest.mark.parametrize(
    ("options", "token", "words"),
    [
        (["--host", "0.0.0.0"], None, "needs a token"),
        (["--host", "::"], None, "needs a token"),
        (["--host", "0.0.0.0"], "short", "at least 16"),
        (["--host", "127.0.0.1"], "short", "at least 16"),
        (["--host", "0.0.0.0"], "with ä umlaut and more", "at least 16"),
        (["--tls-key", "key.pem"], None, "both"),
        (["--model", "no-such-model"], None, "no-such-model"),
        (["--device", "toaster"], None, "toaster"),
        (["--host", "192.0.2.7"], "0123456789abcdef", "cannot listen"),
        (["--tls-key", os.devnull, "--tls-certificate", os.devnull], None, "certificate"),
    ],
)
def test_what_cannot_be_served_is_refused_in_a_sentence(
    environment: dict[str, str], options: list[str], token: str | None, words: str
) -> None:
    if token is not None:
        environment["MED2E3_TOKEN"] = token
    ended = subprocess.run(
        [*SERVE, "--port", "0", *options],
        env=environment, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert ended.returncode == 2
    assert ended.stderr.startswith("Error: ")
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_a_server_shows_its_token_once_and_ends_on_a_signal(environment: dict[str, str]) -> None:
    server = subprocess.Popen(
        [*SERVE, "--port", "0", "--no-model"],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert server.stdout is not None
        assert server.stderr is not None
        address = server.stdout.readline().split()[-1]
        token = server.stdout.readline().split()[-1]
        assert len(token) > 30
        assert RemoteEngine(address, token).capabilities().state == "unloaded"
        server.send_signal(signal.SIGTERM)
        server.wait(60)
        assert token not in server.stderr.read()
    finally:
        server.kill()
        server.communicate()
