"""Running the service: its socket, its TLS, its end.

Knows uvicorn and sockets; does not know what is served.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from med2e3.engine.core_dumps import forbid_core_dumps
from med2e3.engine.logs import report_loop_errors
from med2e3.engine.questions import Questions
from med2e3.errors import InputError

_log = logging.getLogger(__name__)
#: requests under way are given this long when the service ends
_GRACEFUL_S = 3
#: after the parent is gone, a service that has not ended by itself is ended by force
_FORCED_S = 8.0


@dataclass(frozen=True)
class Certificate:
    """TLS by files: certificate chain and private key, PEM."""

    chain: Path
    key: Path


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one.

    Raises:
        InputError: when the address is not this computer's, or the port is taken.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        try:
            if os.name == "posix":  # on Windows it would let two services share a port
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            _notice_dead_clients(listening)
            listening.bind(address)
            listening.listen(256)
        except OSError:
            listening.close()
            raise
    except (OSError, OverflowError, UnicodeError) as error:
        raise InputError(
            f"The engine cannot listen at {host} port {port}.",
            hint="Choose another --port (0 takes a free one), or an address of this computer.",
            detail=repr(error),
        ) from error
    return listening


def port_of(listening: socket.socket) -> int:
    """The port that a socket listens at."""
    return int(listening.getsockname()[1])


def serve(
    app: FastAPI,
    listening: socket.socket,
    *,
    certificate: Certificate | None = None,
    ended: threading.Event | None = None,
) -> None:
    """Serve until a signal comes, or until ``ended`` is set.

    Args:
        app: what :func:`med2e3.engine.app.create_app` made.
        listening: of :func:`listen`.
        certificate: serve TLS.
        ended: set by another thread to end the service.

    Raises:
        InputError: when the certificate cannot be used.
    """
    forbid_core_dumps()
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,  # it would hold addresses of clients
        server_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=_GRACEFUL_S,
        ssl_certfile=certificate.chain if certificate else None,
        ssl_keyfile=certificate.key if certificate else None,
    )
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        raise InputError(
            "The certificate and its key cannot be used.",
            hint="Give PEM files that belong together with --tls-certificate and --tls-key.",
            detail=repr(error),
        ) from error
    with listening:
        asyncio.run(_Server(config, app.state.questions, ended).serve(sockets=[listening]))


class _Server(uvicorn.Server):
    """Tells those who wait for answers before it closes their connections."""

    def __init__(
        self, config: uvicorn.Config, questions: Questions, ended: threading.Event | None
    ) -> None:
        super().__init__(config)
        self._questions = questions
        self._ended = ended

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        report_loop_errors(asyncio.get_running_loop())
        await super().startup(sockets)
        _log.info("the engine runs")

    async def on_tick(self, counter: int) -> bool:
        if self._ended is not None and self._ended.is_set():
            self.should_exit = True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._questions.stop()
        await super().shutdown(sockets)
        _log.info("the engine has ended")


def when_parent_is_gone(stdin: int, then: Callable[[], None]) -> None:
    """Watch a pipe whose other end a parent process holds.

    The pipe is closed when the parent closes it and when the parent dies, on every platform.

    Args:
        stdin: file descriptor to read.
        then: called from a thread of its own; the process ends some seconds later at the latest.
    """

    def watch() -> None:
        try:
            while os.read(stdin, 4096):
                pass
        except OSError:
            pass
        forced = threading.Timer(_FORCED_S, os._exit, [1])
        forced.daemon = True
        forced.start()
        then()

    threading.Thread(target=watch, name="parent", daemon=True).start()


def _notice_dead_clients(listening: socket.socket) -> None:
    """Let connections whose other side vanished without a word break within half a minute.

    Accepted sockets take these settings over from the listening one; where a platform lacks one of
    them, the pings in the streams do the same, later.
    """
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    settings = {
        "TCP_KEEPIDLE": 10,
        "TCP_KEEPINTVL": 5,
        "TCP_KEEPCNT": 3,
        "TCP_USER_TIMEOUT": 25_000,  # milliseconds
    }
    for name, value in settings.items():
        if hasattr(socket, name):
            listening.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
