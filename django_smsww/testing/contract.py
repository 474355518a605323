"""The tests that every backend must pass, for authors of backends."""

from contextlib import AbstractContextManager, ExitStack
from typing import Any, ClassVar
from unittest import SkipTest

from django.db import connections

from ..backends.base import BaseSMSBackend
from ..clock import elapsed
from ..exceptions import InvalidSMSBackend, SMSError, SMSOutcomeUnknown, SMSUnavailable
from ..sms import SMS, SendResult

MANY = 20
SHARED_OPTIONS = {
    "sender": "Acme",
    "dry_run": True,
    "fail_on_multiple_messages": True,
    "max_segments": 3,
    "max_segments_per_day": 100,
    "max_per_number": (5, 3600),
    "replace_characters": True,
    "queue": True,
    "concurrency": 2,
    "environment": "contract",
    "redirect_to": "+393331234567",
}
"""Options that each backend must accept and pass to BaseSMSBackend."""


class SMSBackendTestMixin:
    """A mixin for the tests of a backend: set the class and the options of your backend.

        class BackendTests(SMSBackendTestMixin, SimpleTestCase):
            backend_class = SMSBackend
            options = {"token": "the-token"}

    Replace the provider by a fake that accepts each message, for example in `setUp()`.
    """

    backend_class: ClassVar[type[BaseSMSBackend]]
    options: ClassVar[dict[str, Any]] = {}
    recipient: ClassVar[str] = "+393331234567"
    body: ClassVar[str] = "The text of the contract"

    def unreachable(self) -> AbstractContextManager[Any]:
        """Return a context manager in which no connection to the provider can be opened."""
        raise SkipTest("Define unreachable() to test it.")

    def interrupted(self) -> AbstractContextManager[Any]:
        """Return a context manager in which a request is sent, but no answer arrives."""
        raise SkipTest("Define interrupted() to test it.")

    # Options

    def test_options_of_every_backend_are_taken(self: Any) -> None:
        backend = self._backend(**SHARED_OPTIONS)
        taken = {name: getattr(backend, name) for name in SHARED_OPTIONS}
        self.assertEqual(taken, SHARED_OPTIONS, "__init__() must pass **options on")

    def test_unknown_option_is_refused(self: Any) -> None:
        with self.assertRaises(InvalidSMSBackend):
            self._backend(no_such_option=1)

    # Sending

    def test_accepted_message_has_an_id(self: Any) -> None:
        result = self._send(self._backend())
        self.assertIsInstance(result, SendResult, "send() must return a SendResult")
        self.assertIsNone(result.error, "the stand-in must accept the message")
        self.assertTrue(0 < len(result.provider_id) <= 64, "provider_id must have 1 to 64 letters")

    def test_backend_works_again_after_it_was_closed(self: Any) -> None:
        backend = self._backend()
        for _ in range(2):
            with backend:
                self.assertIsNone(self._send(backend).error)

    def test_many_messages_leave_in_threads_with_ids_of_their_own(self: Any) -> None:
        messages = [self._sms(f"{self.body} {number}") for number in range(MANY)]
        results = self._backend().send_messages(messages)
        self.assertEqual([result.error for result in results], [None] * MANY)
        self.assertEqual(len({result.provider_id for result in results}), MANY)

    def test_nothing_starts_after_the_deadline(self: Any) -> None:
        results = self._backend().send_messages([self._sms()], deadline=elapsed())
        codes = [result.error and result.error.code for result in results]
        self.assertEqual(codes, ["not_started"])

    def test_sending_leaves_the_database_alone(self: Any) -> None:
        def refuse(execute: Any, sql: str, *args: Any) -> None:
            raise AssertionError("send() must not use the database: it runs in threads")

        with ExitStack() as stack:
            for connection in connections.all():
                stack.enter_context(connection.execute_wrapper(refuse))
            backend = self._backend()
            backend.send(backend.prepare(self._sms()))

    def test_dry_run_has_no_id(self: Any) -> None:
        backend = self._backend()
        if not backend.supports_dry_run:
            raise SkipTest("supports_dry_run is False.")
        dry_run = self._sms().replace(dry_run=True)
        [result] = backend.send_messages([backend.prepare(dry_run)])
        self.assertEqual((result.error, result.provider_id), (None, ""))

    # Errors

    def test_unreachable_provider_certainly_sent_nothing(self: Any) -> None:
        with self.unreachable():
            self._assert_error(SMSUnavailable)

    def test_interrupted_request_leaves_the_outcome_unknown(self: Any) -> None:
        with self.interrupted():
            self._assert_error(SMSOutcomeUnknown)

    def _assert_error(self: Any, kind: type[SMSError]) -> None:
        error = self._send(self._backend()).error
        self.assertIsInstance(error, kind)
        for private in (self.recipient, self.recipient[1:], self.body):
            self.assertNotIn(private, f"{error!r} {error} {error.detail}")

    # Look-ups

    def test_sent_message_can_be_looked_up(self: Any) -> None:
        backend = self._backend()
        if not backend.supports_fetch:
            raise SkipTest("The backend defines no fetch().")
        provider_id = self._send(backend).provider_id
        self.assertEqual(backend.fetch(provider_id).provider_id, provider_id)
        self.assertIsNone(backend.fetch("no-such-id"), "fetch() must return None for no message")

    def test_sent_message_is_listed_once(self: Any) -> None:
        backend = self._backend()
        if not backend.supports_fetch_page:
            raise SkipTest("The backend defines no fetch_page().")
        provider_id = self._send(backend).provider_id
        listed = [entry.provider_id for entry in backend.fetch_page(0, 100)]
        self.assertEqual(listed.count(provider_id), 1)
        self.assertLessEqual(len(backend.fetch_page(0, 1)), 1, "limit must be kept")

    # Helpers

    def _backend(self: Any, **options: Any) -> BaseSMSBackend:
        return self.backend_class(alias="contract", **self.options | options)

    def _sms(self: Any, body: str = "") -> SMS:
        return SMS(body or self.body, self.recipient)

    def _send(self: Any, backend: BaseSMSBackend) -> SendResult:
        [result] = backend.send_messages([backend.prepare(self._sms())])
        return result
