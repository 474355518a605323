"""The mixin for `manage.py test`."""

from __future__ import annotations

from typing import Any, ClassVar

from ..backends.locmem import SentSMS, outbox
from ..test_runs import declared
from .assertions import assert_sms_sent
from .deliveries import sms_callback
from .isolation import start_afresh


class SMSTestMixin:
    """Put it before Django's TestCase: `class ReminderTests(SMSTestMixin, TestCase)`.

    Each test starts with an empty outbox, and no message leaves, also under a runner that is not
    Django's.
    """

    smsoutbox: ClassVar[list[SentSMS]] = outbox
    sms_callback = staticmethod(sms_callback)

    @classmethod
    def setUpClass(cls) -> None:
        cls.enterClassContext(declared())  # type: ignore[attr-defined]
        super().setUpClass()  # type: ignore[misc]

    def run(self, result: Any = None) -> Any:
        """Run one test. Not in setUp(), which a subclass may define without calling this one."""
        start_afresh()
        try:
            return super().run(result)  # type: ignore[misc]
        finally:
            start_afresh()  # a class without this mixin may come next

    def assertSMSSent(self, *, count: int | None = None, **wanted: Any) -> list[SentSMS]:  # noqa: N802
        """Assert that messages with these fields were sent, as `assert_sms_sent` does."""
        return assert_sms_sent(count=count, **wanted)
