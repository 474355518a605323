"""The messages of the demo, each with the state in which it must end."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from io import StringIO
from typing import Any
from uuid import uuid4

from django.core.management import call_command
from django.db import transaction

from django_smsww import SMSError, State, send_mass_sms, send_sms
from django_smsww.models import Message

BODY = "Your report is ready."


@dataclass(frozen=True, slots=True)
class Case:
    """One message, and the state in which it must end.

    The last three digits of the number choose what the simulator does with the message:
    `manage.py smsww_simulator --numbers` lists them.
    """

    title: str
    recipient: str
    state: State
    body: str = BODY
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sent:
    """A row of the history, and its case."""

    case: Case
    message: Message


SINGLE = (
    Case("Plain", "+393331234500", State.DELIVERED),
    Case("Emoji: UCS-2, 3 segments", "+34612345678", State.DELIVERED, "Pronto! 🎉 " * 13),
    Case(
        "Sensitive: text forgotten",
        "+393331234501",
        State.DELIVERED,
        "Your code is 493817.",
        {"sensitive": True},
    ),
    Case("Undeliverable", "+393331234901", State.UNDELIVERABLE),
    Case("Expired after 48 hours", "+393331234902", State.EXPIRED),
    Case("Rejected by the network", "+393331234903", State.REJECTED),
    Case("Telephone switched off", "+393331234904", State.PENDING),
    Case("Accepted, not called back", "+393331234905", State.NEW),
    Case("Dry run", "+393331234500", State.VALIDATED, options={"dry_run": True}),
    Case(
        "Dry run: forbidden words",
        "+393331234500",
        State.FAILED,
        "A text with a forbidden-word in it.",
        {"dry_run": True},
    ),
    Case("Refused: sender", "+393331234500", State.FAILED, options={"sender": "NotApproved"}),
    Case("Unavailable: not sent", "+393331234916", State.FAILED),
    Case("Error, not accepted", "+393331234913", State.UNKNOWN),
    Case("Error, but accepted", "+393331234912", State.DELIVERED),
    Case("Never answered, but accepted", "+393331234911", State.DELIVERED),
    Case("Callbacks out of order", "+393331234928", State.DELIVERED),
    Case("Forged callbacks", "+393331234930", State.DELIVERED),
)
AT_COMMIT = Case("Sent when committed", "+393331234502", State.DELIVERED)
ROLLED_BACK = "+393331234503"
QUEUED = Case("Queued, for a worker", "+393331234504", State.DELIVERED)
MASS = (
    Case("Mass", "+393331234510", State.DELIVERED),
    Case("Mass", "+34612345511", State.DELIVERED),
    Case("Mass: no valid number", "333 1234512", State.FAILED),
    Case("Mass: undeliverable", "+393331235901", State.UNDELIVERABLE),
    Case("Mass: repeated number", "+393331234510", State.DELIVERED),
)
TOTAL = len(SINGLE) + 2 + len(MASS)


def send_everything() -> Iterator[Sent]:
    """Send the messages one after the other, and yield each one."""
    for case in SINGLE:
        yield Sent(case, send_one(case))
    yield Sent(AT_COMMIT, send_at_commit())
    roll_back()
    yield Sent(QUEUED, send_by_worker())
    yield from send_mass()


def send_one(case: Case) -> Message:
    """Send one message, and return its row, even if the sending failed."""
    # Call twice, like a task that is retried: the key makes one message of the two calls.
    key = str(uuid4())
    for _ in range(2):
        try:
            message = send_sms(case.body, case.recipient, tag=case.title, key=key, **case.options)
        except SMSError as error:
            if error.message is None:
                raise
            message = error.message
    return message


def send_at_commit() -> Message:
    """Send in a transaction; the message leaves at the commit."""
    with transaction.atomic():
        return send_sms(AT_COMMIT.body, AT_COMMIT.recipient, tag=AT_COMMIT.title)


def roll_back() -> None:
    """Send in a transaction, and roll it back: no message leaves, and no row stays."""
    with transaction.atomic():
        send_sms(BODY, ROLLED_BACK, tag="Rolled back")
        transaction.set_rollback(True)


def send_by_worker() -> Message:
    """Queue a message, and let the worker send it."""
    message = send_sms(QUEUED.body, QUEUED.recipient, tag=QUEUED.title, queue=True)
    call_command("smsww_worker", "--once", stdout=StringIO())
    return message


def send_mass() -> list[Sent]:
    """Send one text to many numbers; the rows come in the order of the numbers."""
    messages = send_mass_sms("Maintenance at 22:00.", [case.recipient for case in MASS], tag="Mass")
    return [Sent(case, message) for case, message in zip(MASS, messages, strict=True)]
