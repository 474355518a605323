"""What a project does with the public surface. It is read by type checkers, and never run."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, assert_type
from uuid import UUID

from django.dispatch import receiver
from django.utils.translation import gettext_lazy

from django_smsww import (
    SMS,
    AccessRefused,
    AccountBlocklisted,
    ContentRefused,
    InsufficientCredit,
    InvalidSMS,
    InvalidSMSBackend,
    InvalidToken,
    Secret,
    SendResult,
    SMSBackendDoesNotExist,
    SMSError,
    SMSLimited,
    SMSOutcomeUnknown,
    SMSRefused,
    SMSUnavailable,
    State,
    apply_result,
    asend_mass_sms,
    asend_sms,
    iter_send,
    render_sms,
    send_mass_sms,
    send_messages,
    send_sms,
    sms_backends,
)
from django_smsww.backends.base import BaseSMSBackend
from django_smsww.environ import sms_url
from django_smsww.models import Message, Outcome
from django_smsww.segments import (
    SegmentCount,
    count_segments,
    guilty_characters,
    replace_characters,
    split_segments,
)
from django_smsww.signals import message_failed, message_sent, message_state_changed
from django_smsww.testing import SMSTestMixin, assert_sms_sent, outbox, sms_callback

SMSWW: dict[str, dict[str, Any]] = {
    "default": sms_url("openapi://TOKEN@production"),
    "other": {"OPTIONS": {"token": Secret("TOKEN")}},
}


def send(moment: datetime) -> None:
    message = send_sms("Hello", "+393331234567", "Acme", key="one", custom={"user": 1})
    assert_type(message, Message)
    assert_type(message.reference, UUID)
    assert_type(message.state, str)
    assert_type(message.total_price, Decimal | None)
    assert_type(message.delivered_at, datetime | None)
    later = send_sms(
        render_sms("sms/text.txt", {"name": "Ada"}, language="it"),
        "+393331234567",
        using="other",
        dry_run=False,
        fail_on_multiple_messages=True,
        tag="reminder",
        sensitive=True,
        queue=True,
        send_at=moment,
        expires_at=moment + timedelta(hours=1),
        priority=1,
        created_by=None,
    )
    assert later.state == State.QUEUED


class Telephone:
    as_e164 = "+393331234567"


def apply(message: Message) -> None:
    assert_type(apply_result(message.reference, SendResult(state="DELIVERED")), Outcome)
    assert_type(apply_result("id", SendResult(state="DELIVERED"), using="other"), Outcome)


def send_to_many(numbers: list[str]) -> None:
    assert_type(send_mass_sms("Hello", numbers, preflight=True), list[Message])
    assert_type(send_mass_sms("Hello", [Telephone(), gettext_lazy("+393331234567")]), list[Message])
    assert_type(send_messages([SMS("Hello", number) for number in numbers]), list[Message])
    assert_type(iter_send(SMS("Hello", number, tag="x") for number in numbers), Iterator[Message])


async def send_asynchronously() -> None:
    assert_type(await asend_sms("Hello", "+393331234567", tag="x"), Message)
    assert_type(await asend_mass_sms("Hello", ["+393331234567"]), list[Message])


def decide() -> str:
    try:
        send_sms("Hello", "+393331234567")
    except SMSLimited as error:
        return f"wait for {error.retry_after}"
    except ContentRefused as error:
        return f"write another text: {error.code}"
    except SMSRefused as error:
        return f"{error.status} {error.detail}"
    except SMSUnavailable as error:
        return f"try again after {error.retry_after}"
    except SMSOutcomeUnknown as error:
        return "" if error.message is None else str(error.message.reference)
    return ""


def explain(error: SMSError) -> str:
    if isinstance(error, (InvalidToken, AccessRefused, InsufficientCredit, AccountBlocklisted)):
        return error.code
    return str(error) if isinstance(error, InvalidSMS) else error.detail


def look_up(alias: str) -> BaseSMSBackend | None:
    try:
        backend = sms_backends[alias]
    except SMSBackendDoesNotExist:
        return None
    except InvalidSMSBackend as error:
        raise RuntimeError(str(error)) from error
    assert_type(backend, BaseSMSBackend)
    assert_type(list(sms_backends), list[str])
    return backend


class Backend(BaseSMSBackend):
    def __init__(self, *, domain: str = "", **options: Any) -> None:
        super().__init__(**options)
        self.domain = domain

    def send(self, sms: SMS) -> SendResult:
        return SendResult(provider_id=str(sms.reference), state="NEW", price=Decimal("0.05"))

    def fetch(self, provider_id: str) -> SendResult | None:
        return None


def count(text: str) -> None:
    counted = count_segments(text)
    assert_type(counted, SegmentCount)
    assert_type((counted.encoding, counted.characters, counted.segments), tuple[str, int, int])
    assert_type(split_segments(replace_characters(text)), list[str])
    assert_type(guilty_characters(text), tuple[str, ...])


@receiver([message_sent, message_failed, message_state_changed])
def hear(sender: type[Message], message: Message, state: State, using: str, **kwargs: Any) -> None:
    assert_type(message.custom, Any)


def check_outbox(message: Message) -> None:
    assert_type(assert_sms_sent(recipient="+393331234567", count=1)[0].body, str)
    assert outbox[0].sent_using == "default"
    assert sms_callback(message, "DELIVERED", times=2).status_code == 200


class Case(SMSTestMixin):
    def check(self) -> None:
        self.assertSMSSent(body="Hello")
