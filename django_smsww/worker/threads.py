"""The threads that carry messages to a backend, and bring back its results.

They share one queue of work, so no message waits for another one's slow request. No thread
touches the database: the worker that hands the messages over also writes the results down.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import partial
from queue import Empty, SimpleQueue
from threading import Event

from ..backends.base import BaseSMSBackend, stopped_by
from ..clock import elapsed
from ..exceptions import AccessRefused, SMSError, SMSRefused
from ..gateway.tracing import trace_sending
from ..models import Message
from ..models.lease import Lease
from ..sms import SendResult

REFUSED_BEFORE = "refused_before"
"""The error code of a row that was refused in a pause which another message has ended."""


@dataclass(slots=True)
class MessageResult:
    """The result of one message, and the lease under which the message left.

    Attributes:
        refusals: how often the database did not take it.
    """

    message: Message
    result: SendResult
    lease: Lease
    came_at: float = field(default_factory=elapsed)
    refusals: int = 0

    @property
    def error(self) -> SMSError | None:
        return self.result.error

    @property
    def was_not_started(self) -> bool:
        return self.error is not None and self.error.code == "not_started"

    @property
    def is_alone(self) -> bool:
        """Whether the message is refused again while others are accepted, so it is at fault."""
        is_refused = isinstance(self.error, AccessRefused)
        return is_refused and self.message.error_code == REFUSED_BEFORE

    @property
    def proves_service(self) -> bool:
        """Whether the gateway takes requests of this account."""
        return self.error is None or isinstance(self.error, SMSRefused)

    @property
    def stop(self) -> SMSError | None:
        """The error that makes other messages wait."""
        return None if self.is_alone else self.result.stop

    @property
    def stopped_texts(self) -> set[str | None]:
        """The texts that must not be sent now; None stands for all texts."""
        return stopped_by(self.result.stop, self.message.body)


class SendingThreads:
    """The threads of one worker.

    After forbidden content they start no other message of the same text. After an error that
    concerns the whole account they start none at all. `forget_stops` ends both.

    Attributes:
        under_way: how many messages `send()` got, less the results that were collected.
        raised: exceptions of the threads that belong to no message, such as Ctrl-C.
    """

    def __init__(self, backend: BaseSMSBackend) -> None:
        self._backend = backend
        self._pool: ThreadPoolExecutor | None = None
        self._work: SimpleQueue[tuple[Message, Lease, float, set[str | None]]] = SimpleQueue()
        self._results: SimpleQueue[MessageResult | BaseException] = SimpleQueue()
        self._stopped: set[str | None] = set()
        self.raised: list[BaseException] = []
        self._ending = Event()
        self.under_way = 0

    @property
    def send_together(self) -> bool:
        """Whether the backend defines `send_messages()` itself."""
        return type(self._backend).send_messages is not BaseSMSBackend.send_messages

    def send(
        self, messages: Sequence[Message], lease: Lease, starts: Sequence[float], *, is_last: bool
    ) -> None:
        """Have threads send these messages, and return at once.

        One message alone is sent in the calling thread. So are the messages of a backend that
        defines `send_messages()` itself.

        Args:
            starts: when each of them may begin, by `elapsed()`.
            is_last: nothing else waits to be sent.
        """
        is_alone = is_last and len(messages) == 1 and not self.under_way
        self.under_way += len(messages)
        if self.send_together:
            self._send_together(messages, lease, starts[0])
        elif is_alone:
            self._send_one(messages[0], lease, starts[0], self._stopped)
        else:
            for message, start in zip(messages, starts, strict=False):
                self._work.put((message, lease, start, self._stopped))
            self._start_threads(len(messages))

    def collect(self, seconds: float) -> list[MessageResult]:
        """Return the results that have come; wait at most so many seconds for the first one."""
        found: list[MessageResult] = []
        with suppress(Empty):
            while True:
                each = self._results.get(block=seconds > 0, timeout=seconds)
                self.under_way -= 1
                seconds = 0.0
                if isinstance(each, BaseException):
                    self.raised.append(each)
                else:
                    found.append(each)
        return found

    def raise_error(self) -> None:
        """Raise a thread's exception that belongs to no message, such as Ctrl-C."""
        if self.raised:
            raise self.raised[0]

    def forget_stops(self) -> None:
        """Forget which texts were stopped, for the messages that `send()` gets from now on.

        Call this after the suspensions are committed: from then on, the check before each block
        (see admission.py) holds their messages back.
        """
        self._stopped = set()

    def stop(self) -> None:
        """Start no further message; requests under way go on, and their results are collected."""
        self._ending.set()

    def close(self) -> None:
        """Wait for the threads to end."""
        if self._pool is not None:
            self._pool.shutdown()

    def _start_threads(self, count: int) -> None:
        """Wake or start a thread for each message; if that fails, start none of the others."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._backend.concurrency, thread_name_prefix="smsww")
        try:
            for _ in range(count):
                # The context carries traces and request ids.
                self._pool.submit(copy_context().run, self._send_next)
        except BaseException:  # no thread can be started, or the interpreter is about to end
            self.stop()
            while not self._work.empty():
                self._send_next()
            raise

    def _send_next(self) -> None:
        with suppress(Empty):
            self._send_one(*self._work.get_nowait())

    def _send_one(
        self, message: Message, lease: Lease, start: float, stopped: set[str | None]
    ) -> None:
        try:
            deadline = self._deadline(lease, start)
            attempt = partial(self._backend.attempt, message.as_sms(), deadline, stopped)
            result = trace_sending(
                attempt,
                reference=str(message.reference),
                alias=message.alias,
                segments=message.segments or 0,
            )
        except BaseException as error:
            self._results.put(error)
        else:
            self._results.put(MessageResult(message, result, lease))

    def _deadline(self, lease: Lease, start: float) -> float:
        """Wait for the start; return the time by which a request must begin, 0 if it must not."""
        if (seconds := start - elapsed()) > 0:
            self._ending.wait(seconds)
        return 0.0 if self._ending.is_set() else lease.deadline

    def _send_together(self, messages: Sequence[Message], lease: Lease, start: float) -> None:
        texts = [message.as_sms() for message in messages]
        try:
            deadline = self._deadline(lease, start)
            results = self._backend.send_messages(texts, deadline=deadline)
            if not all(isinstance(result, SendResult) for result in results):
                raise TypeError("send_messages() must return a SendResult for each message.")
            pairs = list(zip(messages, results, strict=True))
        except BaseException as error:
            self.raised.append(error)
            self.under_way -= len(messages)
            return
        for message, result in pairs:
            self._results.put(MessageResult(message, result, lease))
