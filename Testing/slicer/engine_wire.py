"""A wire that can be watched and cut, between Slicer's side and an engine.

Knows sockets; knows nothing of HTTP.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from urllib.parse import urlsplit


class Wire:
    """Passes bytes on to an engine and back.

    Args:
        to: the engine's address, or None to only count who connects.
        host: where to listen.
    """

    def __init__(self, to: str | None, host: str = "127.0.0.1") -> None:
        self._to = to
        #: all that was sent to the engine, and all that came back
        self.sent = bytearray()
        self.received = bytearray()
        self.connections = 0
        #: asked with each portion that comes back; True cuts the connection there
        self.cut: Callable[[bytes], bool] = lambda data: False
        self._listening = socket.create_server((host, 0))
        self.address = f"http://{host}:{self._listening.getsockname()[1]}"
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Listen no more, and cut what is open."""
        self._listening.close()
        self.cut_all()

    def cut_all(self) -> None:
        """Cut every connection, as a network that goes away."""
        for each in self._open:
            _close(each)
        self._open = []

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            if self._to is None:
                client.close()
                continue
            parts = urlsplit(self._to)
            engine = socket.create_connection((parts.hostname or "", parts.port or 0))
            self._open += [client, engine]
            for source, target, back in ((client, engine, False), (engine, client, True)):
                threading.Thread(
                    target=self._pass, args=(source, target, back), daemon=True
                ).start()

    def _pass(self, source: socket.socket, target: socket.socket, back: bool) -> None:
        try:
            while data := source.recv(65536):
                (self.received if back else self.sent).extend(data)
                if back and self.cut(data):
                    break
                target.sendall(data)
        except OSError:
            pass
        _close(source)
        _close(target)


def _close(each: socket.socket) -> None:
    with contextlib.suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()
