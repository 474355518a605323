"""The threads that carry messages to a backend, and bring back its answers.

They share one queue of work, so that none waits for another's slow request. None of them touches
the database: the one who hands over the messages also writes down the answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Event

from ..backends.base import BaseSMSBackend, stopped_by
from ..clock import elapsed
from ..models import Message
from ..models.lease import Lease
from ..sms import SMS, SendResult


@dataclass(slots=True)
class Answer:
    """What came of a message, under the lease with which it left."""

    message: Message
    result: SendResult
    lease: Lease
    came_at: float = field(default_factory=elapsed)
    refusals: int = 0
    """How often the database would not take it."""

    @property
    def never_begun(self) -> bool:
        return self.result.error is not None and self.result.error.code == "not_started"

    @property
    def holds_others_back(self) -> bool:
        return bool(stopped_by(self.result.error, self.message.body))


class Senders:
    """The threads of one delivery.

    After forbidden content no other message of the same text is started, and after what concerns
    the whole account none at all, until `forget_stops` says that every claim knows of it.

    Attributes:
        under_way: how many messages were handed over whose answers were not collected yet.
    """

    def __init__(self, backend: BaseSMSBackend) -> None:
        self._backend = backend
        self._threads: ThreadPoolExecutor | None = None
        self._work: SimpleQueue[tuple[Message, SMS, Lease, float, set[str | None]]] = SimpleQueue()
        self._answers: SimpleQueue[Answer | BaseException] = SimpleQueue()
        self._stopped: set[str | None] = set()
        self._raised: list[BaseException] = []
        self._ending = Event()
        self.under_way = 0

    @property
    def are_together(self) -> bool:
        """Whether the backend has a way of its own to send several."""
        return type(self._backend).send_messages is not BaseSMSBackend.send_messages

    def hand_over(
        self, messages: Sequence[Message], lease: Lease, places: Sequence[float], *, is_last: bool
    ) -> None:
        """Send these messages, and return at once, unless one message is all that there is.

        A backend that sends several in its own way does so before this returns.

        Args:
            places: when each of them may begin, by `elapsed()`.
            is_last: nothing else waits to be sent.
        """
        alone = is_last and len(messages) == 1 and not self.under_way
        self.under_way += len(messages)
        if self.are_together:
            self._send_together(messages, lease, places[0])
        elif alone:
            self._send(messages[0], messages[0].as_sms(), lease, places[0], self._stopped)
        else:
            for message, place in zip(messages, places, strict=False):
                self._work.put((message, message.as_sms(), lease, place, self._stopped))
            self._begin(len(messages))

    def collect(self, seconds: float) -> list[Answer]:
        """Return the answers that have come; wait for the first of them, but not for longer."""
        found: list[Answer | BaseException] = []
        with suppress(Empty):
            found.append(
                self._answers.get(timeout=seconds) if seconds else self._answers.get_nowait()
            )
            while True:
                found.append(self._answers.get_nowait())
        self.under_way -= len(found)
        self._raised += [each for each in found if isinstance(each, BaseException)]
        return [each for each in found if isinstance(each, Answer)]

    def check(self) -> None:
        """Raise what ended a thread and is no error of a message, such as Ctrl-C."""
        if self._raised:
            raise self._raised[0]

    def forget_stops(self) -> None:
        """Let messages start again that are handed over from now on."""
        self._stopped = set()

    def end(self) -> None:
        """Start no further message; those under way go on, and their answers are collected."""
        self._ending.set()

    def close(self) -> None:
        """Wait for the threads to end."""
        if self._threads is not None:
            self._threads.shutdown()

    @property
    def _pool(self) -> ThreadPoolExecutor:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(
                self._backend.concurrency, thread_name_prefix="smsww"
            )
        return self._threads

    def _begin(self, count: int) -> None:
        """Have threads send so many; of what none has taken when that fails, nothing is begun."""
        try:
            for _ in range(count):
                self._pool.submit(self._send_next)
        except BaseException:  # no thread can be started, or the interpreter is about to end
            self.end()
            while self._send_next():
                pass
            raise

    def _send_next(self) -> bool:
        try:
            work = self._work.get_nowait()
        except Empty:
            return False
        self._send(*work)
        return True

    def _send(
        self,
        message: Message,
        sms: SMS,
        lease: Lease,
        place: float,
        stopped: set[str | None],
    ) -> None:
        try:
            result = self._backend.attempt(sms, self._deadline(lease, place), stopped)
        except BaseException as error:
            self._answers.put(error)
        else:
            self._answers.put(Answer(message, result, lease))

    def _deadline(self, lease: Lease, place: float) -> float:
        """Wait for the place, and return by when a request must begin; the past if none may."""
        if (seconds := place - elapsed()) > 0:
            self._ending.wait(seconds)
        return 0.0 if self._ending.is_set() else lease.deadline

    def _send_together(self, messages: Sequence[Message], lease: Lease, place: float) -> None:
        texts = [message.as_sms() for message in messages]
        try:
            deadline = self._deadline(lease, place)
            results = self._backend.send_messages(texts, deadline=deadline)
            if not all(isinstance(result, SendResult) for result in results):
                raise TypeError("send_messages() must return a SendResult for each message.")
            pairs = list(zip(messages, results, strict=True))
        except BaseException as error:
            self._raised.append(error)
            self.under_way -= len(messages)
            return
        for message, result in pairs:
            self._answers.put(Answer(message, result, lease))
