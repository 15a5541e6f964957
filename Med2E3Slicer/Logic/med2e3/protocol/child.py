"""Starting an engine as one's own child: its command line, and the line it says first.

Knows arguments and the first line; does not start a process.  The child writes one line of JSON
to its standard output, then nothing more; it ends when its standard input is closed.  So the
parent keeps the input open, writes nothing to it, and closes it (or dies) to end the child.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from med2e3.devices import AUTO
from med2e3.protocol.problems import EngineUnreachable, error_of
from med2e3.protocol.versions import API_VERSION, check_version


@dataclass(frozen=True)
class Hello:
    """Where a child listens.

    Args:
        address: ``http://127.0.0.1:PORT``.
        token: for the ``Authorization`` header.
        api: version of its interface.
        pid: of its process.
    """

    address: str
    token: str
    api: str = API_VERSION
    pid: int = 0

    def to_line(self) -> str:
        """The line, without its end."""
        return json.dumps({"hello": asdict(self)})


def child_arguments(
    python: str, *, model: str | None, device: str = AUTO, precision: str = AUTO
) -> list[str]:
    """Program and arguments that start an engine as a child.

    Args:
        python: of the environment in which med2e3 and torch are installed.
        model: name or folder of the model to load at once; None to load one later.
        device: ``auto``, ``cuda``, ``mps`` or ``cpu``.
        precision: number format or quantization of the weights; ``auto`` chooses by free memory.
    """
    chosen = ["--no-model"] if model is None else ["--model", model]
    command = [python, "-m", "med2e3.cli.main", "serve", "--child", *chosen]
    return [*command, "--device", device, "--precision", precision]


def parse_hello(line: str) -> Hello:
    """Read the first line of a child.

    Raises:
        Med2E3Error: what the child says went wrong.
        VersionMismatch: when it speaks another version.
        EngineUnreachable: when the line is something else.
    """
    try:
        values = json.loads(line)
        if isinstance(values, Mapping) and "problem" in values:
            raise error_of(values["problem"])
        said = values["hello"]
        hello = Hello(str(said["address"]), str(said["token"]), str(said["api"]), int(said["pid"]))
    except (KeyError, TypeError, ValueError) as error:
        raise EngineUnreachable(
            "The engine did not start.",
            hint="Run `med2e3 doctor` with the engine's Python to see what is missing.",
            detail=line[:200],
        ) from error
    check_version(hello.api)
    return hello
