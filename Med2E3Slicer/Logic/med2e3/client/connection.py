"""Requests to one engine over http.client, and what is said when it cannot be reached.

Knows addresses, TLS, time limits and problem documents; does not know what is asked.  Proxies of
the environment are never used: an engine is on this computer or in the same network.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from med2e3.errors import InputError
from med2e3.protocol import API_HEADER, EngineUnreachable, check_version, error_of, is_loopback

#: bytes of an answer that is not a stream
_LONGEST_ANSWER = 4 << 20
_PROXY_FAILURES = (502, 503, 504)


@dataclass(frozen=True)
class Address:
    """Where an engine is.

    Args:
        host: name or address.
        port: number.
        tls: whether it speaks HTTPS.
        prefix: path before the interface's own, behind a proxy; without a slash at its end.
    """

    host: str
    port: int
    tls: bool
    prefix: str = ""

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read ``http://host:port`` or ``https://host/prefix``.

        Raises:
            InputError: for anything else.
        """
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
            raise InputError(
                "The engine's address cannot be understood.",
                hint="Write it as http://127.0.0.1:8734 or https://server.example.org.",
            )
        tls = parts.scheme == "https"
        default = 443 if tls else 80
        return cls(parts.hostname, port or default, tls, parts.path.rstrip("/"))

    @property
    def is_loopback(self) -> bool:
        """Whether it can only be this computer."""
        return is_loopback(self.host)


@dataclass(frozen=True)
class Reply:
    """A whole answer with a status below 400."""

    status: int
    body: bytes

    def json(self) -> Any:
        """The body as JSON; None when it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


class Connections:
    """Opens one connection for each request.

    Args:
        address: where the engine is.
        headers: of every request.
        ca_file: PEM file of the authority that signed the engine's certificate; None for those
            that the computer trusts.
        connect_s: longest wait for a connection.
        silence_s: longest wait for the next bytes.
    """

    def __init__(
        self,
        address: Address,
        headers: Mapping[str, str],
        *,
        ca_file: Path | None = None,
        connect_s: float = 10.0,
        silence_s: float = 30.0,
    ) -> None:
        self._address = address
        self._headers = dict(headers)
        self._connect_s, self._silence_s = connect_s, silence_s
        self._tls: ssl.SSLContext | None = None
        if address.tls:
            try:
                self._tls = ssl.create_default_context(cafile=ca_file)
            except OSError as error:
                raise InputError(
                    "The file of the certificate authority cannot be read.",
                    hint="Give a PEM file.",
                    detail=repr(error),
                ) from error

    def request(
        self,
        method: str,
        path: str,
        body: bytes | memoryview | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        silence_s: float | None = None,
    ) -> Reply:
        """Ask and wait for the whole answer.

        Raises:
            Med2E3Error: what the engine says went wrong.
            EngineUnreachable: when no answer came.
            VersionMismatch: when the engine speaks another version.
        """
        with self.open(method, path, body, headers, silence_s=silence_s) as stream:
            return Reply(stream.status, stream.read_all())

    def open(
        self,
        method: str,
        path: str,
        body: bytes | memoryview | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        silence_s: float | None = None,
    ) -> Stream:
        """Ask and give the answer while it comes; raises as :meth:`request` does."""
        kind = http.client.HTTPSConnection if self._tls else http.client.HTTPConnection
        extra: dict[str, Any] = {"context": self._tls} if self._tls else {}
        connection = kind(self._address.host, self._address.port, timeout=self._connect_s, **extra)
        try:
            connection.connect()
            plain: socket.socket = connection.sock
            plain.settimeout(silence_s or self._silence_s)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # the engine may say why it refuses before it has read everything
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.request(
                    method,
                    self._address.prefix + path,
                    body=body,
                    headers={**self._headers, **(headers or {})},
                )
            stream = Stream(connection, plain, connection.getresponse())
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise unreachable(error) from error
        try:
            stream.check()
        except BaseException:
            stream.close()
            raise
        return stream


class Stream:
    """An answer whose bytes come over time.

    Args:
        connection: closed with the stream.
        plain: the connection's socket, which http.client gives away.
        response: its answer.
    """

    def __init__(
        self,
        connection: http.client.HTTPConnection,
        plain: socket.socket,
        response: http.client.HTTPResponse,
    ) -> None:
        self._connection, self._socket, self._response = connection, plain, response

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self._response.status

    def check(self) -> None:
        """Raise what the answer says went wrong, if it is no success."""
        engine = self._response.getheader(API_HEADER)
        if engine is None and self.status in _PROXY_FAILURES:
            raise EngineUnreachable(
                f"The engine behind this address does not answer (HTTP status {self.status}).",
                hint="Try again later, or ask the engine's operator.",
            )
        check_version(engine)
        if self.status >= 300:
            raise error_of(Reply(self.status, self.read_all()).json(), self.status)

    def read_all(self) -> bytes:
        """The whole body, of an answer that is not long."""
        try:
            body = self._response.read(_LONGEST_ANSWER + 1)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise unreachable(error) from error
        if len(body) > _LONGEST_ANSWER:
            raise EngineUnreachable("The engine's answer is damaged.", detail="too long")
        return body

    def read_some(self) -> bytes:
        """The next bytes; empty at the end.

        Raises:
            EngineUnreachable: when the connection broke or was silent for too long.
        """
        try:
            return self._response.read1(1 << 16)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise unreachable(error) from error

    def break_off(self) -> None:
        """End a :meth:`read_some` that another thread waits in."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection."""
        self._response.close()
        self._connection.close()


def unreachable(error: Exception) -> EngineUnreachable:
    """The sentence for a connection that failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return EngineUnreachable(
            "The engine's certificate is not trusted.",
            hint="Give the file of the authority that signed it, or ask the engine's operator.",
            detail=repr(error),
        )
    if isinstance(error, ssl.SSLError):
        return EngineUnreachable(
            "No encrypted connection to the engine was possible.",
            hint="Check whether its address begins with http or https.",
            detail=repr(error),
        )
    if isinstance(error, TimeoutError):
        sentence = "The engine did not answer in time."
    elif isinstance(error, ConnectionRefusedError):
        sentence = "No engine runs at this address."
    elif isinstance(error, socket.gaierror):
        sentence = "The engine's address is not known in this network."
    else:
        sentence = "The connection to the engine broke."
    return EngineUnreachable(
        sentence, hint="Check the address and whether the engine runs.", detail=repr(error)
    )
