"""The one engine that this Slicer uses: here or elsewhere, started when it is needed.

Knows the engine's states, when it is started, kept warm and ended; does not know volumes, nor how
a question is asked. Callbacks come on the main thread; nothing here waits.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from slicer.i18n import tr as _

from med2e3.errors import Med2E3Error
from med2e3.protocol import Capabilities, ModelNotReady, child_arguments, parse_hello
from med2e3_slicer.engine.address import EngineAddress
from med2e3_slicer.engine.client import QtEngineClient
from med2e3_slicer.engine.consent import Consents
from med2e3_slicer.engine.http import Call
from med2e3_slicer.engine.process import EngineCommand, EngineError, EngineProcess, EngineUnusable
from med2e3_slicer.engine.settings import EngineChoice
from med2e3_slicer.engine.timers import single_shot
from med2e3_slicer.engine.waiting import EngineState, Waiting

_POLL_MS = 200
#: tries to reach an engine here that has just said where it listens
_TRIES = 5


class EngineControl:
    """Starts, watches and ends the engine.

    Args:
        choice: which engine, where its Python is, how long it is kept warm.
        consents: who agreed to which engine elsewhere.
    """

    def __init__(self, choice: EngineChoice, consents: Consents) -> None:
        self.choice = choice
        self.consents = consents
        #: why the engine is not there; None when all is well
        self.problem: Med2E3Error | None = None
        self.capabilities: Capabilities | None = None
        self._ending: list[EngineProcess] = []
        self._process: EngineProcess | None = None
        self._client: QtEngineClient | None = None
        self._call: Call | None = None
        self._failures = 0
        self._waiting: list[Waiting] = []
        self._users: list[Callable[[Med2E3Error], None]] = []
        self._observers: list[Callable[[], None]] = []
        self._started_with: EngineCommand | None = None
        self._poll = single_shot(self._look)
        self._idle = single_shot(self._stop_when_idle)
        _at_exit(self.shutdown)

    # ---- what it is ------------------------------------------------------------------------

    @property
    def is_remote(self) -> bool:
        """Whether an engine is used that was not started here."""
        return bool(self.choice.remote_address)

    @property
    def is_installed(self) -> bool:
        """Whether there is an engine to start here."""
        python = self.choice.python
        return python is not None and python.is_file()

    @property
    def state(self) -> EngineState:
        """The present state."""
        if self._users:
            return EngineState.BUSY
        if self.is_remote:
            return EngineState.REMOTE
        if self._process is None:
            return EngineState.CRASHED if self.problem else EngineState.STOPPED
        if self._client is None:
            return EngineState.STARTING
        return EngineState.LOADING if self.capabilities is None else EngineState.READY

    @property
    def details(self) -> str:
        """What the engine said last on its error stream, for the details of an error."""
        if self._process is not None:
            return self._process.details
        return self.problem.detail if self.problem else ""

    @property
    def pid(self) -> int:
        """Process id of the engine here; 0 when none runs."""
        return self._process.pid if self._process else 0

    def observe(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call `changed` when the state is another; returns how to end that."""
        self._observers.append(changed)

        def end() -> None:
            with suppress(ValueError):
                self._observers.remove(changed)

        return end

    def choose(self, choice: EngineChoice) -> None:
        """Use another engine, or the same one otherwise, from the next question on.

        An engine here that no longer fits is ended then, unless it is answering; nothing is
        started or sent now.

        Raises:
            InputError: when the address cannot be an engine's.
        """
        if choice.remote_address:
            address = EngineAddress.parse(choice.remote_address)
            choice = replace(choice, remote_address=address.url)
        before, self.choice = self.choice, choice
        elsewhere = (before.remote_address, before.remote_token)
        if elsewhere != (choice.remote_address, choice.remote_token):
            self.stop()
            self._forget_client()
        self._warm()
        self._tell()

    # ---- using it --------------------------------------------------------------------------

    def when_ready(
        self,
        on_ready: Callable[[QtEngineClient, Capabilities], None],
        on_error: Callable[[Med2E3Error], None],
        on_state: Callable[[EngineState], None] = lambda state: None,
    ) -> Waiting:
        """Start or reach the engine if need be, and wait until a model can answer.

        Args:
            on_ready: called with the client and what the engine says of itself; at once when it
                is ready already.
            on_error: called instead when there is none.
            on_state: called with `STARTING` and `LOADING` on the way.
        """
        waiting = Waiting(on_ready, on_error, on_state)
        if self._process is not None and not self._users and self._started_with != self._command():
            self.stop()  # what is wanted has changed since it was started
        if self._client is not None and self.capabilities is not None:
            waiting.is_over = True
            on_ready(self._client, self.capabilities)
            return waiting
        self._waiting.append(waiting)
        try:
            self._begin()
        except Med2E3Error as error:
            self._fail(error)
        self._tell_waiting()
        return waiting

    def begin_use(self, lost: Callable[[Med2E3Error], None]) -> Callable[[], None]:
        """The engine is busy until the function that this returns is called.

        Args:
            lost: called when the engine ends meanwhile.
        """
        self._idle.stop()
        self._users.append(lost)
        self._tell()

        def end() -> None:
            if lost in self._users:
                self._users.remove(lost)
                self._warm()
                self._tell()

        return end

    def look_again(self) -> None:
        """What the engine said of itself no longer holds (its model is gone); ask it anew."""
        self.capabilities = None

    def stop(self) -> None:
        """End the engine here and so free the model's memory; returns at once."""
        self._idle.stop()
        if self._process is not None:
            self._end_process()
            self._forget_client()
            self._lose(EngineError(_("The engine was stopped."), hint=_("Ask again to start it.")))
        self.problem = None
        self._tell()

    def shutdown(self) -> None:
        """Slicer exits: end the engine and all that it started, now."""
        self._users.clear()
        self._waiting.clear()
        self._observers.clear()
        self._idle.stop()
        self._forget_client()
        self._end_process()
        for process in self._ending:
            process.kill()
        _no_longer_at_exit(self.shutdown)

    # ---- on the way to ready -----------------------------------------------------------------

    def _begin(self) -> None:
        if self.is_remote:
            if self._client is None:
                address = EngineAddress.parse(self.choice.remote_address)
                self._client = QtEngineClient(address, self.choice.remote_token, self.consents)
                self._failures = _TRIES  # it should be there already
            self._poll.start(0)
        elif self._process is None:
            self._start_process()
        elif self._client is not None:
            self._poll.start(0)

    def _command(self) -> EngineCommand:
        choice = self.choice
        if choice.python is None:
            raise EngineUnusable(
                _("The engine is not installed."),
                hint=_(
                    "Open the set-up page of the module and install it, or use an engine that "
                    "runs elsewhere."
                ),
            )
        whole = child_arguments(
            str(choice.python),
            model=choice.model,
            device=choice.device,
            precision=choice.precision,
        )
        return EngineCommand(choice.python, tuple(whole[whole.index("serve") :]))

    def _start_process(self) -> None:
        command = self._command()
        self.problem = None
        self._started_with = command

        def on_line(line: bytes) -> None:
            if self._process is process:
                self._greeted(line)

        def on_ended(error: EngineError | None) -> None:
            if self._process is process:
                self._process = None
                self._forget_client()
                self._fail(error or EngineError(_("The engine was stopped.")))

        process = EngineProcess(command, on_line, on_ended)
        self._process = process
        process.start()
        self._tell()

    def _greeted(self, line: bytes) -> None:
        try:
            hello = parse_hello(line.decode("utf-8", errors="replace"))
            address = EngineAddress.parse(hello.address)
            if not address.is_this_computer:
                raise EngineError(_("The engine did not say where it listens on this computer."))
            self._client = QtEngineClient(address, hello.token, self.consents)
        except Med2E3Error as error:
            self._give_up(error)
            return
        self._failures = 0
        self._tell()
        self._tell_waiting()
        self._poll.start(0)

    def _end_process(self) -> None:
        self._ending = [process for process in self._ending if not process.is_over]
        if self._process is not None:
            process, self._process = self._process, None
            self._ending.append(process)
            process.stop()

    def _look(self) -> None:
        client = self._client
        if client is None or self._call is not None:
            return

        def on_done(capabilities: Capabilities) -> None:
            if self._client is client:
                self._call = None
                self._failures = 0 if self._process else _TRIES
                self._described(capabilities)

        def on_error(error: Med2E3Error) -> None:
            if self._client is client:
                self._call = None
                self._failures += 1
                if self._failures < _TRIES:
                    self._poll.start(_POLL_MS)
                else:
                    self._give_up(error)

        self._call = client.capabilities(on_done, on_error)

    def _described(self, capabilities: Capabilities) -> None:
        if capabilities.state in ("loading", "restarting"):
            self._poll.start(_POLL_MS)
        elif capabilities.state == "ready" and capabilities.model is not None:
            self.capabilities = capabilities
            self.problem = None
            self._warm()
            self._tell()
            waiting, self._waiting = self._waiting, []
            for each in waiting:
                if not each.is_over and self._client is not None:
                    each.is_over = True
                    each.on_ready(self._client, capabilities)
        else:
            error = ModelNotReady(
                capabilities.problem or _("No model is loaded in the engine."),
                hint=_("Choose another model, or ask whoever runs the engine to load one."),
                detail=self.details,
            )
            self._give_up(error)

    def _give_up(self, error: Med2E3Error) -> None:
        self._end_process()
        self._forget_client()
        self._fail(error)

    def _fail(self, error: Med2E3Error) -> None:
        self.problem = error
        self._lose(error)
        self._tell()

    def _lose(self, error: Med2E3Error) -> None:
        users, self._users = self._users, []
        waiting, self._waiting = self._waiting, []
        for lost in users:
            lost(error)
        for each in waiting:
            if not each.is_over:
                each.is_over = True
                each.on_error(error)

    def _forget_client(self) -> None:
        self._poll.stop()
        if self._call is not None:
            self._call.abort()
        self._call = None
        self._client = None
        self.capabilities = None

    # ---- kept warm ---------------------------------------------------------------------------

    def _warm(self) -> None:
        minutes = self.choice.idle_minutes
        if minutes and self._process is not None and not self._users:
            self._idle.start(int(minutes * 60_000))
        else:
            self._idle.stop()

    def _stop_when_idle(self) -> None:
        if not self._users and not self._waiting:
            self.stop()

    # ---- telling -----------------------------------------------------------------------------

    def _tell(self) -> None:
        for changed in list(self._observers):
            changed()

    def _tell_waiting(self) -> None:
        state = EngineState.STARTING if self._client is None else EngineState.LOADING
        for each in list(self._waiting):
            if not each.is_over:
                each.on_state(state)


def _at_exit(do: Callable[[], None]) -> None:
    import slicer  # noqa: PLC0415 (this module is also looked at outside Slicer)

    slicer.app.connect("aboutToQuit()", do)


def _no_longer_at_exit(do: Callable[[], None]) -> None:
    import slicer  # noqa: PLC0415

    slicer.app.disconnect("aboutToQuit()", do)
