"""One device, many questions: pieces of work in fair turns, and one batch of answers.

Each step does one piece of preparation (some slices, scores, a piece of a prompt) for the client
whose turn it is, and one token of every answer in the batch.  So nobody waits longer than for one
piece of work of each other client, however long an answer is.  Knows sessions and clients; knows
nothing of processes or of the wire.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass, field

from med2e3.asking import Done, Event, GenerationOptions, Question
from med2e3.engine.scheduling.turns import Turns
from med2e3.errors import DeviceLostError, Med2E3Error, ResourceError
from med2e3.session import Session
from med2e3.session.batch import Batch
from med2e3.session.batch_answer import Answer, VolumeInput
from med2e3.session.batch_room import bytes_per_token, room_in_bytes

#: what happened to which question; ``Done`` or an error is the last
Say = Callable[[str, Event | Med2E3Error], None]

_MAX_ANSWERS = 16
#: tokens that an answer gets at least before another client's question may take its place
_QUANTUM = 32


@dataclass(eq=False)
class _Entry:
    """One question.

    Args:
        id: of the question.
        client: who asks.
        answer: what there is of it.
        steps: its preparation, once begun.
        since: tokens it had when it joined the batch.
    """

    id: str
    client: str
    answer: Answer
    steps: Generator[Event | None, None, None] | None = None
    since: int = 0

    @property
    def waits_for_a_place(self) -> bool:
        """Whether it has not begun, or gave its place away."""
        return self.steps is None


@dataclass(eq=False)
class Scheduler:
    """Answers questions of several clients with one session.

    Args:
        session: the loaded model.
        say: gets every event and error at once.
        max_answers: answers that are prepared or decoded at the same time, at most.
        quantum: see the module's constant.
    """

    session: Session
    say: Say
    max_answers: int = _MAX_ANSWERS
    quantum: int = _QUANTUM
    _turns: Turns[_Entry] = field(default_factory=Turns)
    _decoding: dict[Answer, _Entry] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._batch = Batch(self.session)
        self._limit = self.max_answers
        self._token_bytes = bytes_per_token(self.session.model)

    @property
    def busy(self) -> bool:
        """Whether there is anything to do."""
        return bool(len(self._turns) or self._batch.answers)

    def add(
        self,
        id: str,
        client: str,
        volume: VolumeInput,
        question: Question,
        options: GenerationOptions,
    ) -> None:
        """Take a question; one that cannot be asked is answered with its error at once."""
        try:
            answer = Answer(self.session, volume, question, options, threading.Event())
        except Med2E3Error as error:
            self.say(id, error)
        except Exception as error:
            self.say(id, _unexpected(error))
        else:
            self._turns.add(client, _Entry(id, client, answer))

    def cancel(self, id: str) -> None:
        """Stop a question; what there is of its answer comes with the next step."""
        for entry in (*self._turns, *self._decoding.values()):
            if entry.id == id:
                entry.answer.cancel.set()

    def step(self) -> None:
        """One piece of preparation, and one token of every answer.

        Raises:
            DeviceLostError: when nothing can be computed any more.
        """
        for entry in [e for e in self._turns if e.answer.cancel.is_set()]:
            self._turns.remove(entry.client, entry)
            if entry.steps is not None:
                entry.steps.close()
            self.say(entry.id, entry.answer.done())
        self._make_place()
        self._prepare()
        self._decode()

    # ---- preparation -----------------------------------------------------------------------

    def _prepare(self) -> None:
        """One piece of work for the first client who can go on."""
        heads, places = self._ready_heads(), self._places()
        fewest = min((places[c] for c, e in heads if e.waits_for_a_place), default=0)
        for client, entry in heads:
            if entry.waits_for_a_place and (places[client] > fewest or not self._has_place(entry)):
                continue
            self._turns.had_its_turn(client)
            try:
                self._advance(entry)
            except DeviceLostError:
                raise
            except Med2E3Error as error:
                self._fail(entry, error)
            except Exception as error:
                self._fail(entry, _unexpected(error))
            return

    def _ready_heads(self) -> list[tuple[str, _Entry]]:
        """First question of each client, but those whose volume another one is encoding."""
        answers = [entry.answer for entry in self._turns]
        encoding = {a.volume.sha256: a for a in answers if a.encoding}
        return [
            (client, entry)
            for client, entry in self._turns.heads()
            if encoding.get(entry.answer.volume.sha256, entry.answer) is entry.answer
        ]

    def _advance(self, entry: _Entry) -> None:
        answer = entry.answer
        if entry.steps is None and answer.row is None:
            entry.steps = answer.prepare()
        for event in entry.steps or ():
            if event is None:
                return
            self.say(entry.id, event)
        if answer.reason is None:
            self._batch.join(answer)
            entry.since = answer.num_tokens
            self._decoding[answer] = entry
        self._turns.remove(entry.client, entry)

    def _fail(self, entry: _Entry, error: Med2E3Error) -> None:
        self._turns.remove(entry.client, entry)
        self.say(entry.id, error)

    # ---- places ----------------------------------------------------------------------------

    def _placed(self) -> list[_Entry]:
        begun = [entry for entry in self._turns if not entry.waits_for_a_place]
        return [*begun, *self._decoding.values()]

    def _places(self) -> Counter[str]:
        return Counter(entry.client for entry in self._placed())

    def _has_place(self, entry: _Entry) -> bool:
        placed = self._placed()
        if not placed:
            return True
        if len(placed) >= self._limit:
            return False
        promised = sum(one.answer.max_length for one in (*placed, entry)) * self._token_bytes
        held = self._batch.num_bytes
        return promised - held < room_in_bytes(self.session.device)

    def _make_place(self) -> None:
        """Where a client waits and another one has more places, or equally many for long enough.

        The answer that gives way keeps what it has and goes on when a place is free.
        """
        waiting = [(c, e) for c, e in self._ready_heads() if e.waits_for_a_place]
        if not waiting or not self._decoding:
            return
        places = self._places()
        client, entry = min(waiting, key=lambda head: places[head[0]])
        owner = max((e.client for e in self._decoding.values()), key=lambda c: places[c])
        if owner == client or places[owner] <= places[client] or self._has_place(entry):
            return
        longest = max(
            (entry for entry in self._decoding.values() if entry.client == owner),
            key=lambda entry: entry.answer.num_tokens - entry.since,
        )
        if longest.answer.num_tokens - longest.since < self.quantum:
            return
        self._batch.park(longest.answer)
        del self._decoding[longest.answer]
        longest.steps = None
        self._turns.add(longest.client, longest, first=True)
        self._turns.had_its_turn(longest.client)

    # ---- decoding --------------------------------------------------------------------------

    def _decode(self) -> None:
        try:
            outcomes = self._batch.step()
        except ResourceError as error:  # the youngest gives way, and fewer go together for now
            self._drop(self._batch.answers[-1], error)
            self._limit = max(1, len(self._batch.answers))
            return
        except DeviceLostError:
            raise
        except Exception as error:  # it cannot be told whose fault it was
            for answer in list(self._batch.answers):
                self._drop(answer, _unexpected(error))
            return
        for answer, outcome in outcomes:
            entry = self._decoding[answer]
            if isinstance(outcome, Done | Med2E3Error):
                del self._decoding[answer]
            self.say(entry.id, outcome)
        if not self._batch.answers:
            self._limit = self.max_answers

    def _drop(self, answer: Answer, error: Med2E3Error) -> None:
        self._batch.remove(answer)
        self.say(self._decoding.pop(answer).id, error)


def _unexpected(error: Exception) -> Med2E3Error:
    return Med2E3Error(
        "The question could not be answered because of a fault in the program.",
        hint="Ask again; if it happens again, report it with the engine's log.",
        detail=repr(error),
    )
