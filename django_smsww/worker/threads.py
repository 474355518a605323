"""The threads that send the messages of a worker, and return the results.

The threads share one queue, so while one thread waits for a slow request, the other threads send
the next messages. The threads do not use the database: the worker writes the results.
"""

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
"""The error code of a queued row that the gateway refused before the pause of its alias ended.

If the gateway refuses the row after the pause, too, the cause is the message, not the account.
"""


@dataclass(slots=True)
class MessageResult:
    """The result of one message, and the lease under which it was sent."""

    message: Message
    result: SendResult
    lease: Lease
    came_at: float = field(default_factory=elapsed)
    refusals: int = 0  # how often the database refused to store the result

    @property
    def error(self) -> SMSError | None:
        return self.result.error

    @property
    def was_not_started(self) -> bool:
        return self.error is not None and self.error.code == "not_started"

    @property
    def is_alone(self) -> bool:
        """Whether the gateway refuses only this message, and not all messages of the account."""
        is_refused = isinstance(self.error, AccessRefused)
        return is_refused and self.message.error_code == REFUSED_BEFORE

    @property
    def proves_service(self) -> bool:
        """Whether this result proves that the gateway handles requests of the account."""
        return self.error is None or isinstance(self.error, SMSRefused)

    @property
    def stop(self) -> SMSError | None:
        """The error that may also stop other messages, or None."""
        return None if self.is_alone else self.result.stop

    @property
    def stopped_texts(self) -> set[str | None]:
        """The texts that must not be sent after this result.

        If the set contains None, no text at all may be sent.
        """
        return stopped_by(self.result.stop, self.message.body)


class SendingThreads:
    """The threads that send the messages of one worker.

    After forbidden content, the threads send no message with the same text. After an error of the
    account or an HTTP 429, they send no message at all. `forget_stops()` ends these stops.
    """

    def __init__(self, backend: BaseSMSBackend) -> None:
        self._backend = backend
        self._pool: ThreadPoolExecutor | None = None
        self._work: SimpleQueue[tuple[Message, Lease, float, set[str | None]]] = SimpleQueue()
        self._results: SimpleQueue[MessageResult | BaseException] = SimpleQueue()
        self._stopped: set[str | None] = set()
        self.raised: list[BaseException] = []  # those of no message, such as Ctrl-C
        self._ending = Event()
        self.under_way = 0  # messages whose results `collect()` has not returned yet

    @property
    def send_together(self) -> bool:
        """Whether the backend has its own `send_messages()` for several messages at once."""
        return type(self._backend).send_messages is not BaseSMSBackend.send_messages

    def send(
        self, messages: Sequence[Message], lease: Lease, starts: Sequence[float], *, is_last: bool
    ) -> None:
        """Pass these messages to the threads, and return without waiting for the requests.

        If the backend has its own `send_messages()`, or if the worker has only one message left,
        the calling thread makes the request itself, and this method returns after the request.

        Args:
            starts: the earliest start time of each request, as a value of `elapsed()`.
            is_last: True if no other message waits to be sent.
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
        """Return the results that have arrived; if there are none, wait up to `seconds` for one."""
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
        if self.raised:
            raise self.raised[0]

    def forget_stops(self) -> None:
        """Forget the stopped texts, but only for messages that `send()` gets from now on.

        Messages that already wait for a thread stay stopped. Before this call, the caller must
        commit a suspension of each stopped text, so that `admit()` stops these texts instead.
        """
        self._stopped = set()

    def stop(self) -> None:
        """Start no more requests; `collect()` still returns the results of running requests."""
        self._ending.set()

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    def _start_threads(self, count: int) -> None:
        """Let threads send this number of waiting messages.

        If no thread can be started, report the waiting messages as not sent, and raise the error.
        """
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
        """Wait until the start time. Return the latest time to begin; 0.0 after `stop()`."""
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
