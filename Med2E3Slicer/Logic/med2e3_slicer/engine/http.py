"""One HTTP request on Qt's network classes, and what its failures mean to a person.

Knows methods, silence, statuses and Qt's error numbers; does not know the engine's interface
beyond its version header and its problem documents.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import qt
from slicer.i18n import tr as _

from med2e3.errors import Med2E3Error
from med2e3.protocol import API_HEADER, EngineUnreachable, check_version, error_of
from med2e3_slicer.engine.timers import end_timer, single_shot
from med2e3_slicer.engine.values import bytes_of, header_of, number_of

#: of a body that is no stream of events
_LONGEST_BODY = 8 << 20
_FIRST_ERROR_STATUS = 300
_FIRST_SERVER_ERROR = 500

#: numbers of QNetworkReply::NetworkError, the same in Qt 5 and 6
_REFUSED, _CLOSED, _NO_HOST, _TOO_SLOW, _TLS = 1, 2, 3, 4, 6
_PROXY = range(101, 106)


#: past the proxy, and through it
_managers: dict[bool, Any] = {}
#: kept alive until their end
_running: set[Call] = set()


@dataclass(frozen=True)
class Request:
    """What is sent.

    Args:
        method: ``GET``, ``HEAD``, ``POST``, ``PUT`` or ``DELETE``.
        url: the whole address.
        headers: all of them.
        body: for ``POST`` and ``PUT``.
        silence_s: so long nothing may go in either direction.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    silence_s: float = 30.0


def send(
    manager: Any,
    request: Request,
    *,
    on_done: Callable[[bytes], None],
    on_error: Callable[[Med2E3Error], None],
    on_bytes: Callable[[bytes], None] | None = None,
) -> Call:
    """Send a request; returns at once.

    Args:
        manager: a ``QNetworkAccessManager``.
        request: what to send.
        on_done: called with the body of a success; empty when `on_bytes` got it.
        on_error: called with what went wrong, instead.
        on_bytes: called with each portion of a success's body as it comes.
    """
    return Call(manager, request, on_done, on_error, on_bytes)


class Call:
    """A request under way; exactly one of its two ends is called, or none after `abort`."""

    def __init__(
        self,
        manager: Any,
        request: Request,
        on_done: Callable[[bytes], None],
        on_error: Callable[[Med2E3Error], None],
        on_bytes: Callable[[bytes], None] | None,
    ) -> None:
        self._request = request
        self._on_done = on_done
        self._on_error = on_error
        self._on_bytes = on_bytes
        self._over = False
        self._body = b""
        self._error_number = 0
        self._silence = single_shot(self._too_silent)
        self._silence.setInterval(int(1000 * request.silence_s))
        self._reply = _begin(manager, request)
        self._reply.connect("readyRead()", self._read)
        self._reply.connect("uploadProgress(qint64,qint64)", self._moved)
        self._reply.connect("errorOccurred(QNetworkReply::NetworkError)", self._failed)
        self._reply.connect("finished()", self._finished)
        self._silence.start()
        _running.add(self)

    def abort(self) -> None:
        """Stop without a word."""
        if not self._over:
            self._end()

    def _moved(self, *_: object) -> None:
        if not self._over:
            self._silence.start()

    def _too_silent(self) -> None:
        self._fail(
            EngineUnreachable(
                _("The engine said nothing for {seconds} seconds.").format(
                    seconds=f"{self._request.silence_s:g}"
                ),
                hint=_("It may be overloaded, or the network is down; ask again."),
            )
        )

    def _failed(self, error: object) -> None:
        self._error_number = number_of(error)

    def _read(self) -> None:
        if self._over:
            return
        self._silence.start()
        data = bytes_of(self._reply.readAll())
        status = self._status()
        if self._on_bytes is not None and 0 < status < _FIRST_ERROR_STATUS:
            try:
                self._check_version(status)
                self._on_bytes(data)
            except Med2E3Error as error:
                self._fail(error)
            return
        self._body += data
        if len(self._body) > _LONGEST_BODY:
            self._fail(EngineUnreachable(_("What answers at this address is not a Med2E3 engine.")))

    def _finished(self) -> None:
        if self._over:
            return
        if number_of(self._reply.bytesAvailable()):
            self._read()
        if self._over:
            return
        status = self._status()
        if not status:
            self._fail(_unreachable(self._error_number, str(self._reply.errorString())))
            return
        try:
            self._check_version(status)
            if status >= _FIRST_ERROR_STATUS:
                raise error_of(_parsed(self._body), status)
            if self._error_number:  # the connection broke in the middle of the body
                raise _unreachable(self._error_number, str(self._reply.errorString()))
        except Med2E3Error as error:
            self._fail(error)
            return
        self._end()
        self._on_done(self._body)

    def _status(self) -> int:
        status = self._reply.attribute(qt.QNetworkRequest.HttpStatusCodeAttribute)
        return int(status) if status is not None else 0

    def _check_version(self, status: int) -> None:
        version = header_of(self._reply, API_HEADER)
        # a proxy before the engine answers 502 to 504 by itself while the engine is away
        if version or status < _FIRST_SERVER_ERROR:
            check_version(version or None)

    def _fail(self, error: Med2E3Error) -> None:
        if not self._over:
            self._end()
            self._on_error(error)

    def _end(self) -> None:
        self._over = True
        _running.discard(self)
        end_timer(self._silence)
        if not self._reply.isFinished():
            self._reply.abort()
        self._reply.deleteLater()


def manager_for(*, this_computer: bool) -> Any:
    """The ``QNetworkAccessManager`` of all requests to this computer, or of all others.

    It lives until the application quits: one that went with its client would be deleted inside a
    signal of its own reply, and with it every request that is still under way. Left to the
    application's destructor it would outlive Python and Qt's own clean-up.

    Args:
        this_computer: goes past any proxy.
    """
    if this_computer not in _managers:
        import slicer  # noqa: PLC0415 (this module is also looked at outside Slicer)

        if not _managers:
            slicer.app.connect("aboutToQuit()", _end_managers)
        manager = qt.QNetworkAccessManager(slicer.app)
        if this_computer:
            manager.setProxy(qt.QNetworkProxy(qt.QNetworkProxy.NoProxy))
        _managers[this_computer] = manager
    return _managers[this_computer]


def _end_managers() -> None:
    managers = list(_managers.values())
    _managers.clear()
    for manager in managers:
        manager.deleteLater()  # Qt does it before the application is gone


def json_of(body: bytes) -> Any:
    """A success's body as JSON values.

    Raises:
        EngineUnreachable: when it is something else.
    """
    values = _parsed(body)
    if values is None:
        raise EngineUnreachable(_("The engine's answer is damaged."), detail=repr(body[:200]))
    return values


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _begin(manager: Any, request: Request) -> Any:
    wanted = qt.QNetworkRequest(qt.QUrl(request.url))
    # a redirection would carry the token and the picture to a place nobody agreed to
    wanted.setAttribute(
        qt.QNetworkRequest.RedirectPolicyAttribute, qt.QNetworkRequest.ManualRedirectPolicy
    )
    for name, value in request.headers.items():
        wanted.setRawHeader(name.encode(), value.encode())
    match request.method:
        case "GET":
            return manager.get(wanted)
        case "HEAD":
            return manager.head(wanted)
        case "DELETE":
            return manager.deleteResource(wanted)
        case "PUT":
            return manager.put(wanted, request.body)
        case "POST":
            return manager.post(wanted, request.body)
    raise ValueError(f"no method {request.method!r}")


def _unreachable(number: int, said: str) -> EngineUnreachable:
    """The sentence for one of Qt's error numbers."""
    detail = f"network error {number}: {said}"
    if number == _TLS:
        return EngineUnreachable(
            _("No encrypted connection could be made, so nothing was sent: {reason}.").format(
                reason=said.rstrip(".")
            ),
            hint=_(
                "Ask whoever runs the engine for a certificate that this computer trusts, or "
                "whether its address begins with http://."
            ),
            detail=detail,
        )
    if number == _REFUSED:
        sentence = _("No engine answers at this address.")
        hint = _("Check the address and the port, and that the engine runs.")
    elif number == _NO_HOST:
        sentence = _("There is no computer with the name in the engine's address.")
        hint = _("Check the address, and whether a VPN is needed.")
    elif number == _CLOSED:
        sentence = _("The connection to the engine broke.")
        hint = _("Ask again.")
    elif number == _TOO_SLOW:
        sentence = _("The engine did not answer in time.")
        hint = _("Check that it runs, and ask again.")
    elif number in _PROXY:
        sentence = _("The proxy of this network did not let the connection to the engine through.")
        hint = _("Ask whoever runs the network to allow the engine's address.")
    else:
        sentence = _("The engine cannot be reached.")
        hint = _("Check the address and the network.")
    return EngineUnreachable(sentence, hint=hint, detail=detail)
