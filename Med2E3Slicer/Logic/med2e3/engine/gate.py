"""What every request passes first: version, token, client's word, and the size of small bodies.

Knows headers and ASGI messages; does not know what the addresses do.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import re
from contextlib import suppress

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from med2e3.engine.metrics import METRICS
from med2e3.engine.settings import Settings
from med2e3.errors import InputError, Med2E3Error
from med2e3.protocol import (
    API_HEADER,
    API_VERSION,
    CLIENT_HEADER,
    HEALTH,
    PROBLEM_MEDIA_TYPE,
    VOLUMES,
    NotAuthorized,
    TooLarge,
    is_loopback,
    major,
    mismatch,
    problem_of,
    status_of,
)

#: without a token: whether it runs, and the description of the interface
_OPEN = frozenset({HEALTH, "/openapi.json"})
_OTHER_VERSION = re.compile(r"/v(\d{1,9})(?:/|$)")
_CLIENT_WORD = re.compile(r"[A-Za-z0-9._~-]{1,64}")
#: HTTP status of :func:`not_whole`
NOT_WHOLE = 408
#: where the client's word stands in a request's scope
CLIENT_KEY = "med2e3_client"


class Gate:
    """ASGI middleware; a refused request never reaches the application.

    Args:
        app: the application.
        settings: token and limits.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._token = settings.token.encode()
        self._limits = settings.limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer with a problem document."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_version(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers[API_HEADER] = API_VERSION
                headers["Cache-Control"] = "no-store"
            await send(message)

        body = Body(scope, receive, self._limits.stall_s)
        try:
            self._check(scope)
            if not scope["path"].startswith(f"{VOLUMES}/"):  # reads its body by itself
                receive = _again(await body.read(self._limits.max_json_bytes), receive)
        except Med2E3Error as error:
            await self._refuse(error, body, send_with_version)
            return
        except ClientGone:
            await self._refuse(not_whole(), body, send_with_version, NOT_WHOLE)
            return
        await self._app(scope, receive, send_with_version)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        path = scope["path"]
        theirs = headers.get(API_HEADER)
        other = _OTHER_VERSION.match(path)
        if other and other[1] != major(API_VERSION):
            raise mismatch(engine=API_VERSION, client=other[1])
        if theirs and major(theirs) != major(API_VERSION):
            raise mismatch(engine=API_VERSION, client=theirs)
        if path not in _OPEN and not (path == METRICS and _from_here(scope, headers)):
            given = headers.get("authorization", "")
            scheme, _, token = given.partition(" ")
            same = hmac.compare_digest(token.strip().encode(), self._token)
            if not (same and scheme.lower() == "bearer"):
                raise NotAuthorized(
                    "The engine's token is wrong." if given else "The engine's token is missing.",
                    hint="Ask the engine's operator for the token.",
                )
        word = headers.get(CLIENT_HEADER)
        if word is None:
            address = scope.get("client") or ("unknown", 0)
            word = f"address {address[0]}"
        elif not _CLIENT_WORD.fullmatch(word):
            raise InputError(
                f"The header {CLIENT_HEADER} must be 1 to 64 letters, digits or any of '._~-'."
            )
        scope[CLIENT_KEY] = word

    async def _refuse(
        self, error: Med2E3Error, unread: Body, send: Send, status: int | None = None
    ) -> None:
        # a client that is still sending would see a broken connection instead of the reason
        await unread.skip(self._limits.max_volume_bytes)
        status = status or status_of(error)
        body = json.dumps(problem_of(error, status)).encode()
        headers = [
            (b"content-type", PROBLEM_MEDIA_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
        ]
        if isinstance(error, NotAuthorized):
            headers.append((b"www-authenticate", b"Bearer"))
        if status == NOT_WHOLE:  # what still comes would be taken for the next request
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _from_here(scope: Scope, headers: Headers) -> bool:
    """Whether a program on this computer asks, for itself and not for another computer.

    A proxy is told by the headers it adds; a web page that reaches here under another name, by the
    name.
    """
    client = scope.get("client")
    passed_on = any(name in headers for name in ("forwarded", "x-forwarded-for", "via"))
    name = headers.get("host", "").rpartition(":")[0] or headers.get("host", "")
    if client is None or passed_on:
        return False
    return is_loopback(client[0]) and is_loopback(name)


def _again(body: bytearray, receive: Receive) -> Receive:
    """What gives a body that was read to the application, and then what comes after it."""
    given = False

    async def next_message() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": bytes(body), "more_body": False}

    return next_message


class ClientGone(Exception):  # noqa: N818 (control flow)
    """The client hung up, or fell silent, before its body was complete."""


def not_whole() -> InputError:
    """What a client is told that fell silent within its body."""
    return InputError("The request's body did not arrive whole.", hint="Send it again.")


class Body:
    """A request's body, read or thrown away in part or whole.

    Args:
        scope: of the request.
        receive: gives its parts.
        stall_s: longest wait for the next part.
    """

    def __init__(self, scope: Scope, receive: Receive, stall_s: float) -> None:
        self._announced = announced_size(scope)
        self._receive = receive
        self._stall_s = stall_s
        self._more = True

    async def read(self, limit: int) -> bytearray:
        """The whole body, ``limit`` bytes at most.

        Raises:
            TooLarge: when it is, or is announced to be, larger.
            ClientGone: when it does not become complete.
        """
        body = bytearray()
        too_large = self._announced > limit
        while self._more and not too_large:
            body += await self._next()
            too_large = len(body) > limit
        if too_large:
            raise TooLarge(f"The request's body is larger than the {limit} bytes allowed.")
        return body

    async def skip(self, limit: int) -> None:
        """Let a client finish sending, if that is not too much, and throw it away."""
        left = limit if self._announced <= limit else 0
        with suppress(ClientGone):
            while self._more and left > 0:
                left -= len(await self._next())

    async def _next(self) -> bytes:
        try:
            async with asyncio.timeout(self._stall_s):
                message = await self._receive()
        except TimeoutError:
            self._more = False
            raise ClientGone from None
        if message["type"] == "http.disconnect":
            self._more = False
            raise ClientGone
        self._more = message.get("more_body", False)
        part: bytes = message.get("body", b"")
        return part


def announced_size(scope: Scope) -> int:
    """What ``Content-Length`` says; 0 without one."""
    text = Headers(scope=scope).get("content-length", "0")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
