from django.test.utils import TestContextDecorator

from .. import test_runs


class real_sms(TestContextDecorator):  # noqa: N801  a decorator is called as Django calls its own
    """Really send messages in a test, through the backends of the SMSWW setting.

    This is a context manager, and a decorator for a function, a coroutine or a TestCase:

        with real_sms():
            send_sms("Hello", "+393331234567")  # this request reaches the host of the alias
    """

    def enable(self) -> None:
        test_runs.begin("real")

    def disable(self) -> None:
        test_runs.end("real")
