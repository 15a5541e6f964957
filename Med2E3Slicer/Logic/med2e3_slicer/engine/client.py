"""The engine's interface on Qt's network classes: nothing here waits.

Knows every request of the interface and how a broken answer is read on; does not know how an
engine is started. There is no client, and so no request, before somebody agreed. All callbacks come
on the main thread.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable

from slicer.i18n import tr as _

from med2e3.asking import Done, Event, GenerationOptions, Question
from med2e3.errors import Cancelled, Med2E3Error
from med2e3.protocol import (
    CAPABILITIES,
    LAST_EVENT_ID,
    QUESTIONS,
    STREAM_MEDIA_TYPE,
    VOLUME_MEDIA_TYPE,
    Accepted,
    AskRequest,
    Capabilities,
    EngineUnreachable,
    EventReader,
    Failed,
    UnknownVolume,
    events_path,
    question_path,
    request_headers,
    volume_path,
)
from med2e3.volume import ModelInput
from med2e3_slicer.engine.address import EngineAddress
from med2e3_slicer.engine.consent import Consents
from med2e3_slicer.engine.http import Call, Request, json_of, manager_for, send
from med2e3_slicer.engine.timers import end_timer, single_shot

OnError = Callable[[Med2E3Error], None]

#: the engine keeps an answer this long for a client whose connection broke
_GRACE_S = 30.0
#: waits before each try to read on, in ms
_TRIES_MS = (200, 1000, 3000)
#: after a cancel the engine has this long to say what it had
_CANCEL_MS = 3000
#: pings come far more often
_STREAM_SILENCE_S = 60.0
_JSON = {"Content-Type": "application/json"}


class QtEngineClient:
    """One engine, reached over HTTP.

    Args:
        address: where it listens.
        token: of its own.
        consents: who agreed to what.

    Raises:
        ConsentNeeded: when nobody has agreed to sending anything to this address.
    """

    def __init__(self, address: EngineAddress, token: str, consents: Consents) -> None:
        consents.check(address)
        self.address = address
        self._headers = request_headers(token, f"slicer-{secrets.token_hex(8)}")
        self._manager = manager_for(this_computer=address.is_this_computer)

    def capabilities(
        self, on_done: Callable[[Capabilities], None], on_error: OnError, *, silence_s: float = 15
    ) -> Call:
        """Ask what the engine is and how it is; nothing of a volume or a question is sent."""

        def read(body: bytes) -> None:
            try:
                capabilities = Capabilities.from_json(json_of(body))
            except Med2E3Error as error:
                on_error(error)
                return
            on_done(capabilities)

        return self.send("GET", CAPABILITIES, on_done=read, on_error=on_error, silence_s=silence_s)

    def put_volume(
        self, model_input: ModelInput, on_done: Callable[[], None], on_error: OnError
    ) -> Putting:
        """Make sure that the engine holds a model input; its voxels go only if it does not."""
        return Putting(self, model_input, on_done, on_error)

    def ask(
        self,
        volume: str,
        question: Question,
        options: GenerationOptions,
        *,
        on_event: Callable[[Event], None],
        on_done: Callable[[Done], None],
        on_error: OnError,
    ) -> Answering:
        """Ask about a volume that was put before.

        Args:
            volume: its content hash.
            question: what is asked.
            options: how to answer.
            on_event: called with every event but the last.
            on_done: called with the last event; after `Answering.cancel` its finish reason is
                ``cancelled`` and its answer what there was.
            on_error: called instead when there is no answer.
        """
        request = AskRequest(volume, question, options, _GRACE_S)
        return Answering(self, request, on_event, on_done, on_error)

    def send(
        self,
        method: str,
        path: str,
        *,
        on_done: Callable[[bytes], None],
        on_error: OnError,
        on_bytes: Callable[[bytes], None] | None = None,
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        silence_s: float = 30.0,
    ) -> Call:
        """Send any request of the interface with the headers that each needs."""
        request = Request(
            method, self.address.url + path, self._headers | (headers or {}), body, silence_s
        )
        return send(self._manager, request, on_done=on_done, on_error=on_error, on_bytes=on_bytes)


class Putting:
    """A model input on its way to the engine."""

    def __init__(
        self,
        client: QtEngineClient,
        model_input: ModelInput,
        on_done: Callable[[], None],
        on_error: OnError,
    ) -> None:
        self._client = client
        self._model_input = model_input
        self._on_done = on_done
        self._on_error = on_error
        self._call = client.send(
            "HEAD",
            volume_path(model_input.sha256),
            on_done=lambda body: on_done(),
            on_error=self._not_there,
        )

    def abort(self) -> None:
        """Stop without a word."""
        self._call.abort()

    def _not_there(self, error: Med2E3Error) -> None:
        # an answer to HEAD has no body that could name the problem
        if not isinstance(error, UnknownVolume) and error.code != "not-found":
            self._on_error(error)
            return
        voxels = self._model_input.voxels
        self._call = self._client.send(
            "PUT",
            volume_path(self._model_input.sha256, voxels.shape),
            headers={"Content-Type": VOLUME_MEDIA_TYPE},
            body=voxels.astype("<f4", order="C", copy=False).tobytes(),
            on_done=lambda body: self._on_done(),
            on_error=self._on_error,
            silence_s=60.0,
        )


class Answering:
    """A question under way; exactly one of `on_done` and `on_error` is called, none after `abort`.

    A connection that breaks after the engine took the question is read on where it broke.
    """

    def __init__(
        self,
        client: QtEngineClient,
        request: AskRequest,
        on_event: Callable[[Event], None],
        on_done: Callable[[Done], None],
        on_error: OnError,
    ) -> None:
        self._client = client
        self._on_event = on_event
        self._on_done = on_done
        self._on_error = on_error
        self._reader = EventReader()
        self._question = ""
        self._grants_grace = False
        self._cancelled = False
        self._over = False
        self._tries = list(_TRIES_MS)
        self._wait = single_shot(self._read_on)
        self._deadline = single_shot(self._cancelled_in_vain)
        self._call = self._send("POST", QUESTIONS, json.dumps(request.to_json()).encode())

    def cancel(self) -> None:
        """Stop: the end comes within seconds with what there is."""
        if self._over or self._cancelled:
            return
        self._cancelled = True
        self._deadline.start(_CANCEL_MS)
        if self._question:
            self._take_back()

    def abort(self) -> None:
        """Stop without a word; the engine is told, but nobody waits for it."""
        if not self._over:
            self._end()
            if self._question:
                self._take_back()

    def _take_back(self) -> None:
        self._client.send(
            "DELETE",
            question_path(self._question),
            on_done=lambda body: None,
            on_error=lambda error: None,
            silence_s=_CANCEL_MS / 1000,
        )

    def _send(self, method: str, path: str, body: bytes = b"") -> Call:
        headers = {"Accept": STREAM_MEDIA_TYPE}
        if body:
            headers |= _JSON
        if self._reader.last_id:
            headers[LAST_EVENT_ID] = self._reader.last_id
        return self._client.send(
            method,
            path,
            headers=headers,
            body=body,
            on_bytes=self._read,
            on_done=self._ended,
            on_error=self._broke,
            silence_s=_STREAM_SILENCE_S,
        )

    def _read(self, data: bytes) -> None:
        for event in self._reader.feed(data):
            if self._over:
                return
            match event:
                case Accepted(question=question, grace_s=grace):
                    self._question = question
                    self._grants_grace = grace > 0
                    if self._cancelled:
                        self._take_back()
                case Failed(error=error):
                    self._fail(error)
                case Done():
                    self._end()
                    self._on_done(event)
                case _:
                    self._on_event(event)

    def _ended(self, body: bytes) -> None:
        self._broke(
            EngineUnreachable(_("The connection to the engine broke."), hint=_("Ask again."))
        )

    def _broke(self, error: Med2E3Error) -> None:
        if self._over:
            return
        lost = isinstance(error, EngineUnreachable)
        if lost and self._question and self._grants_grace and self._tries:
            self._wait.start(self._tries.pop(0))
            return
        self._fail(error)

    def _read_on(self) -> None:
        self._reader.start_again()
        self._call = self._send("GET", events_path(self._question))

    def _cancelled_in_vain(self) -> None:
        self._fail(Cancelled())

    def _fail(self, error: Med2E3Error) -> None:
        if not self._over:
            self._end()
            self._on_error(Cancelled() if self._cancelled else error)

    def _end(self) -> None:
        self._over = True
        end_timer(self._wait)
        end_timer(self._deadline)
        self._call.abort()
