"""A process that sends, and is killed at a named step: `python -m tests.faults.worker ACTION …`.

Run from the test suite only, with DATABASE_URL, GATEWAY and, for the killing, STEP.
"""

from __future__ import annotations

import os
import select
import signal
import sys

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.faults.settings")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def before(owner, name):
    """Die when this function is called."""

    def dying(*args, **kwargs):
        die()

    setattr(owner, name, dying)


def after(owner, name):
    """Die when this function returns."""
    original = getattr(owner, name)

    def dying(*args, **kwargs):
        original(*args, **kwargs)
        die()

    setattr(owner, name, dying)


def when_answer_is_on_the_wire(connection_class):
    """Die when the first bytes of the answer have come, and none of them was read."""

    def dying(connection):
        select.select([connection.sock], [], [], 10)
        die()

    connection_class.getresponse = dying


def arrange(step: str) -> None:
    """Arrange for this process to die at this step."""
    from django_smsww import connections
    from django_smsww.backends.openapi import SMSBackend
    from django_smsww.delivery import _Delivery
    from django_smsww.models import MessageQuerySet
    from django_smsww.outgoing import Outgoing

    steps = {
        "row written": lambda: after(Outgoing, "store"),
        "leased": lambda: after(MessageQuerySet, "take"),
        "SENDING committed": lambda: after(MessageQuerySet, "claim"),
        "connected": lambda: after(connections._Observed, "connect"),
        "last byte written": lambda: before(connections._Observed, "getresponse"),
        "answer on the wire": lambda: when_answer_is_on_the_wire(connections._Observed),
        "answer read": lambda: after(SMSBackend, "send"),
        "before the flush": lambda: before(_Delivery, "record"),
        "after the flush": lambda: after(_Delivery, "record"),
    }
    steps[step]()


def send(*numbers: str) -> None:
    from django_smsww import send_sms

    for number in numbers:
        send_sms("Hello", number, key=f"fault-{number}")


def sweep() -> None:
    """Go on where the dead left off, as if their leases were over."""
    from datetime import timedelta

    from django.utils import timezone

    from django_smsww import sms_backends
    from django_smsww.delivery import deliver_due
    from django_smsww.models import Message

    past = timezone.now() - timedelta(seconds=1)
    Message.objects.exclude(lease_until=None).update(lease_until=past)
    Message.objects.update(next_attempt_at=past)
    while deliver_due(sms_backends["default"], using="default"):
        pass


def show() -> None:
    from django_smsww.models import Message

    for message in Message.objects.order_by("pk"):
        print(message.reference, message.state, message.attempts, message.error_code or "-")


def migrate() -> None:
    from django.core.management import call_command

    call_command("migrate", verbosity=0)


ACTIONS = {"send": send, "sweep": sweep, "show": show, "migrate": migrate}

if __name__ == "__main__":
    django.setup()
    if "STEP" in os.environ:
        arrange(os.environ["STEP"])
    ACTIONS[sys.argv[1]](*sys.argv[2:])
