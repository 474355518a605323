"""Real sending in a test run."""

from __future__ import annotations

from django.test.utils import TestContextDecorator

from .. import test_runs


class real_sms(TestContextDecorator):  # noqa: N801  a decorator is called as Django calls its own
    """Send through the backends that the settings name, as outside of tests.

    Use it as a context manager, or as a decorator of a function, a coroutine or a TestCase:

        with real_sms():
            send_sms("Hello", "+393331234567")  # this request reaches the host of the alias
    """

    def enable(self) -> None:
        test_runs.begin("real")

    def disable(self) -> None:
        test_runs.end("real")
