"""An engine at an address: volumes, questions, broken connections, cancelling.

Knows the order of requests and what to do when one fails; the wire's format is in
:mod:`med2e3.protocol`, sockets in :mod:`med2e3.client.connection`.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np

from med2e3.asking import Done, Event, GenerationOptions, Question, Scores, Token
from med2e3.client.connection import Address, Connections, Stream
from med2e3.client.engine import VolumeInput
from med2e3.errors import Cancelled, InputError, Med2E3Error
from med2e3.protocol import (
    CAPABILITIES,
    DEFLATE,
    LAST_EVENT_ID,
    MODEL,
    QUESTIONS,
    STREAM_MEDIA_TYPE,
    VOLUME_MEDIA_TYPE,
    Accepted,
    AskRequest,
    Capabilities,
    EngineUnreachable,
    EventReader,
    Failed,
    ModelNotReady,
    NotFound,
    UnknownVolume,
    deflate,
    events_path,
    question_path,
    request_headers,
    volume_path,
)

#: after a cancel the engine has this long to send what there is
_LAST_WORDS_S = 2.0
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 2.0
_CANCEL_WATCH_S = 0.05
_LOADING_S = 3600.0


class RemoteEngine:
    """See :class:`med2e3.client.engine.Engine`.

    Args:
        address: ``http://127.0.0.1:8734``, ``https://server.example.org``.
        token: the engine's.
        ca_file: PEM file of the authority that signed its certificate, if the computer does not
            trust it by itself.
        grace_s: how long a question outlives a broken connection, so that it can be read on.
        compress: send volumes compressed (for slow networks).
        allow_unencrypted: talk plain HTTP to another computer; pixels and token can then be read
            on the way.
        silence_s: longest wait for the next sign of life; pings come more often.

    Raises:
        InputError: for an address that cannot be used.
    """

    def __init__(
        self,
        address: str,
        token: str,
        *,
        ca_file: Path | None = None,
        grace_s: float = 20.0,
        compress: bool = False,
        allow_unencrypted: bool = False,
        silence_s: float = 30.0,
    ) -> None:
        where = Address.parse(address)
        if not (where.tls or where.is_loopback or allow_unencrypted):
            raise InputError(
                "Over http the volume and the token could be read on their way to the engine.",
                hint="Use the engine's https address, or an SSH tunnel to 127.0.0.1.",
            )
        if not token.isascii() or not token.isprintable():
            raise InputError("The engine's token has signs that no token has.")
        # a word of chance: it tells the engine's clients apart, and nothing of who they are
        headers = request_headers(token, secrets.token_urlsafe(12))
        self._connections = Connections(where, headers, ca_file=ca_file, silence_s=silence_s)
        self._grace_s = grace_s
        self._compress = compress
        self._put: set[str] = set()

    def capabilities(self) -> Capabilities:
        """The model, its device, and the engine's present state."""
        return Capabilities.from_json(self._connections.request("GET", CAPABILITIES).json())

    def wait_until_ready(
        self, timeout_s: float = _LOADING_S, *, cancel: threading.Event | None = None
    ) -> Capabilities:
        """Wait while a model is being loaded.

        Args:
            timeout_s: longest wait.
            cancel: set it to wait no longer.

        Raises:
            Cancelled: when ``cancel`` was set.
            ModelNotReady: when there is none, it cannot be loaded, or time is up.
        """
        end = time.monotonic() + timeout_s
        wait = _FIRST_WAIT_S
        while True:
            found = self.capabilities()
            if found.state == "ready":
                return found
            if found.state not in ("loading", "restarting"):
                raise ModelNotReady(
                    found.problem or "The engine has no model loaded.",
                    hint="Load a model, then ask again.",
                )
            if time.monotonic() > end:
                raise ModelNotReady("The model was not loaded in time.", hint="Try again later.")
            if cancel is None:
                time.sleep(wait)
            elif cancel.wait(wait):
                raise Cancelled
            wait = min(wait * 1.5, _LONGEST_WAIT_S)

    def load_model(self, model: str) -> Capabilities:
        """Load a model in the place of the present one; returns when it is ready."""
        body = json.dumps({"model": model}).encode()
        reply = self._connections.request(
            "PUT", MODEL, body, {"Content-Type": "application/json"}, silence_s=_LOADING_S
        )
        return Capabilities.from_json(reply.json())

    def unload_model(self) -> Capabilities:
        """Free the model's memory; volumes stay."""
        reply = self._connections.request("DELETE", MODEL, silence_s=_LOADING_S)
        return Capabilities.from_json(reply.json())

    def put_volume(self, volume: VolumeInput) -> None:
        """Make sure that the engine holds a volume; only what it lacks is sent."""
        try:
            self._connections.request("HEAD", volume_path(volume.sha256))
        except NotFound:
            self._send_volume(volume)
        self._put.add(volume.sha256)

    def drop_volume(self, sha256: str) -> None:
        """Let the engine forget a volume."""
        self._put.discard(sha256)
        self._connections.request("DELETE", volume_path(sha256))

    def ask(
        self,
        volume: VolumeInput,
        question: Question,
        options: GenerationOptions | None = None,
        *,
        cancel: threading.Event | None = None,
    ) -> Iterator[Event]:
        """Answer a question; see :meth:`med2e3.client.engine.Engine.ask`."""
        if cancel is not None and cancel.is_set():
            yield Done("", (), (), (), "cancelled")
            return
        options = options or GenerationOptions()
        request = AskRequest(volume.sha256, question, options, self._grace_s)
        answer = _Answer(self._connections)
        if cancel is not None:
            threading.Thread(
                target=answer.stop_when, args=(cancel,), name="cancel", daemon=True
            ).start()
        try:
            if volume.sha256 not in self._put:
                self.put_volume(volume)
            try:
                answer.begin(request)
            except UnknownVolume:  # dropped since, for want of room or of use
                self.put_volume(volume)
                answer.begin(request)
            yield from answer.events()
        finally:
            answer.close()

    def close(self) -> None:
        """Drop the volumes that this client has put, as far as the engine can be reached."""
        for sha256 in list(self._put):
            try:
                self.drop_volume(sha256)
            except Med2E3Error:
                return

    def _send_volume(self, volume: VolumeInput) -> None:
        voxels = np.ascontiguousarray(volume.voxels, dtype="<f4")
        headers = {"Content-Type": VOLUME_MEDIA_TYPE}
        body: bytes | memoryview = voxels.data.cast("B")
        if self._compress:
            headers["Content-Encoding"] = DEFLATE
            body = deflate(body)
        self._connections.request("PUT", volume_path(volume.sha256, voxels.shape), body, headers)


class _Answer:
    """One question on its way.

    Args:
        connections: to the engine.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._reader = EventReader()
        self._stream: Stream | None = None
        self._accepted: Accepted | None = None
        self._finished = threading.Event()
        self._cancelled = False
        self._tokens: list[Token] = []
        self._scores: tuple[float, ...] = ()

    def begin(self, request: AskRequest) -> None:
        """Send the question."""
        self._stream = self._connections.open(
            "POST",
            QUESTIONS,
            json.dumps(request.to_json()).encode(),
            {"Content-Type": "application/json", "Accept": STREAM_MEDIA_TYPE},
        )

    def events(self) -> Iterator[Event]:
        """Events until the last; broken connections are mended within the grace."""
        broken_since: float | None = None
        wait = _FIRST_WAIT_S
        while True:
            try:
                chunk = self._read()
                news = self._reader.feed(chunk)
                if news or chunk.startswith(b":"):  # a ping
                    broken_since, wait = None, _FIRST_WAIT_S
                for event in news:
                    if isinstance(event, Accepted):
                        self._accepted = event
                        continue
                    if isinstance(event, Failed):
                        self._finished.set()
                        raise event.error
                    self._remember(event)
                    yield event
                    if isinstance(event, Done):
                        return
                if not chunk:
                    raise EngineUnreachable(
                        "The connection to the engine broke.", hint="Ask again."
                    )
            except EngineUnreachable:
                if self._finished.is_set():
                    raise
                if self._cancelled:
                    yield self._what_there_is()
                    return
                now = time.monotonic()
                broken_since = broken_since or now
                grace_s = self._accepted.grace_s if self._accepted else 0.0
                if now + wait - broken_since > grace_s:
                    raise
                self._close_stream()
                time.sleep(wait)
                wait = min(wait * 2, _LONGEST_WAIT_S)

    def stop_when(self, cancel: threading.Event) -> None:
        """Wait in a thread of its own until ``cancel`` is set, then stop the question."""
        while not cancel.wait(_CANCEL_WATCH_S):
            if self._finished.is_set():
                return
        self._cancelled = True
        end = time.monotonic() + _LAST_WORDS_S
        told = False
        while not self._finished.wait(_CANCEL_WATCH_S):
            if self._accepted is not None and not told:
                told = True
                self._tell_engine()
            stream = self._stream
            if time.monotonic() > end and stream is not None:
                stream.break_off()  # the reader gives what there is
                return

    def close(self) -> None:
        """Stop the question if it has not ended, and close the connection."""
        ended = self._finished.is_set()
        self._finished.set()
        self._close_stream()
        if self._accepted is not None and not ended:
            self._tell_engine()

    def _read(self) -> bytes:
        if self._stream is None:
            assert self._accepted is not None  # without it there is no grace and no second try
            self._reader.start_again()
            self._stream = self._connections.open(
                "GET",
                events_path(self._accepted.question),
                headers={LAST_EVENT_ID: self._reader.last_id, "Accept": STREAM_MEDIA_TYPE},
            )
        return self._stream.read_some()

    def _remember(self, event: Event) -> None:
        if isinstance(event, Token):
            self._tokens.append(event)
        elif isinstance(event, Scores):
            self._scores = event.values
        elif isinstance(event, Done):
            self._finished.set()

    def _what_there_is(self) -> Done:
        self._finished.set()
        return Done(
            answer="".join(token.text for token in self._tokens),
            token_ids=tuple(token.id for token in self._tokens),
            token_probabilities=tuple(token.probability for token in self._tokens),
            scores=self._scores,
            finish_reason="cancelled",
        )

    def _tell_engine(self) -> None:
        if self._accepted is None:
            return
        # out of reach, the engine stops by itself once the grace is over
        with suppress(Med2E3Error):
            self._connections.request(
                "DELETE", question_path(self._accepted.question), silence_s=_LAST_WORDS_S
            )

    def _close_stream(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()
