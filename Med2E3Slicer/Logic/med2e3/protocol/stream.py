"""Server-Sent Events: bytes in any portions to events, and events to bytes.

Knows the format (WHATWG HTML, "Server-sent events") and its bound in bytes; knows nothing of
sockets, so that http.client and QNetworkReply feed it alike.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass

from med2e3.protocol.events import WireEvent, dumps, event_name, loads
from med2e3.protocol.problems import EngineUnreachable

STREAM_MEDIA_TYPE = "text/event-stream"
#: of a request that reads on: the id of the last event that arrived
LAST_EVENT_ID = "Last-Event-ID"
#: a comment, which readers skip; it shows that both sides are still there
PING = b": ping\n\n"

#: characters of one event; the longest answer with its numbers stays far below
_LONGEST_EVENT = 16 << 20


@dataclass(frozen=True)
class SentEvent:
    """One event as it stood in the stream."""

    event: str
    data: str
    id: str


def encode(event: WireEvent, number: int) -> bytes:
    """One event as it goes over the wire.

    Args:
        event: what happened.
        number: its place in the question's events, from 1.
    """
    return f"id: {number}\nevent: {event_name(event)}\ndata: {dumps(event)}\n\n".encode()


class ServerSentEvents:
    """An incremental parser."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")(errors="replace")
        self._rest = ""
        self._name = ""
        self._data: list[str] = []
        self._size = 0
        self._id = ""
        self._after_cr = False

    def feed(self, chunk: bytes) -> list[SentEvent]:
        """Take the next bytes; gives the events that they complete.

        Raises:
            EngineUnreachable: when an event is longer than any of ours.
        """
        text = self._decoder.decode(chunk)
        if self._after_cr and text:  # \r\n cut in two is one end of a line
            text = text.removeprefix("\n")
            self._after_cr = False
        if text.endswith("\r"):
            self._after_cr = True
        # only the rest of the line before can hold no end of a line: it is not searched again
        *lines, last = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        if lines:
            lines[0] = self._rest + lines[0]
            self._rest = last
        else:
            self._rest += last
        if self._size + len(self._rest) > _LONGEST_EVENT:
            raise EngineUnreachable("The engine's answer is damaged.", detail="endless event")
        return [event for line in lines if (event := self._line(line))]

    def _line(self, line: str) -> SentEvent | None:
        if not line:
            return self._finish()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            self._name = value
        elif name == "data":
            self._data.append(value)
            self._size += len(value)
            if self._size > _LONGEST_EVENT:
                raise EngineUnreachable("The engine's answer is damaged.", detail="endless event")
        elif name == "id" and "\0" not in value:
            self._id = value
        return None

    def _finish(self) -> SentEvent | None:
        name, data = self._name, self._data
        self._name, self._data, self._size = "", [], 0
        return SentEvent(name or "message", "\n".join(data), self._id) if data else None


class EventReader:
    """Bytes of an answer to events of ours, each once, also when the stream is read on.

    Attributes:
        last_id: to be sent as :data:`LAST_EVENT_ID` when reading on; empty before the first.
    """

    def __init__(self) -> None:
        self.last_id = ""
        self._parser = ServerSentEvents()

    def feed(self, chunk: bytes) -> list[WireEvent]:
        """Take the next bytes; gives the events that they complete, unknown types left out.

        Raises:
            EngineUnreachable: when an event is damaged.
        """
        events = []
        for sent in self._parser.feed(chunk):
            if _number(sent.id) <= _number(self.last_id):
                continue
            self.last_id = sent.id
            event = loads(sent.data)
            if event is not None:
                events.append(event)
        return events

    def start_again(self) -> None:
        """Forget a half-read event, before the first bytes of a new connection."""
        self._parser = ServerSentEvents()


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
