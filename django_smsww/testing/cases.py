from typing import Any, ClassVar

from ..backends.locmem import SentSMS, outbox
from ..test_runs import declared, start_afresh
from .assertions import assert_sms_sent
from .deliveries import sms_callback


class SMSTestMixin:
    """A mixin for test classes: `class ReminderTests(SMSTestMixin, TestCase)`.

    Each test starts with an empty outbox. Under every test runner, messages go to the outbox and
    are not sent.
    """

    smsoutbox: ClassVar[list[SentSMS]] = outbox
    sms_callback = staticmethod(sms_callback)

    @classmethod
    def setUpClass(cls) -> None:
        cls.enterClassContext(declared())  # type: ignore[attr-defined]
        super().setUpClass()  # type: ignore[misc]

    def run(self, result: Any = None) -> Any:
        # Not in setUp(), which a subclass may define without calling super().
        start_afresh()
        try:
            return super().run(result)  # type: ignore[misc]
        finally:
            start_afresh()  # a class without this mixin may come next

    def assertSMSSent(self, *, count: int | None = None, **wanted: Any) -> list[SentSMS]:  # noqa: N802
        return assert_sms_sent(count=count, **wanted)
