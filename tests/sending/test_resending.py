"""Many messages are sent once more after an outage, each once."""

import subprocess
import sys
from datetime import timedelta
from decimal import Decimal
from io import StringIO
from itertools import count
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from django_smsww import SendResult, SMSBackendDoesNotExist, State
from django_smsww.models import Batch, Message, Suppression
from django_smsww.sending.api import resend
from django_smsww.sending.rows import RowWriter

from ..conftest import NUMBER
from ..support.processes import ROOT, environment_of, manage

OTHER = "+34612345678"
pytestmark = pytest.mark.django_db


@pytest.fixture
def failed(make_message, gateway):
    """Return a function that stores a FAILED message of an outage."""
    return lambda **columns: make_message(
        **{"state": State.FAILED, "error": "SMSUnavailable", "tag": "news", "segments": 1} | columns
    )


def command(*arguments):
    output = StringIO()
    try:
        call_command("smsww_resend", *arguments, "--no-input", stdout=output)
    finally:
        command.said = output.getvalue()
    return output.getvalue()


def new_rows():
    return Message.objects.filter(resend_of__isnull=False).order_by("pk")


# Message.objects.filter(…).resend()


def test_each_is_queued_once_as_a_message_of_one_batch(failed, gateway, django_user_model):
    olds = [failed(body=f"Text {n}", priority=n) for n in range(3)]
    user = django_user_model.objects.create(username="ann")
    report = Message.objects.filter(tag="news").resend(created_by=user)
    assert (report.queued, report.failed, report.skipped) == (3, 0, 0)
    news = list(new_rows())
    assert [row.resend_of for row in news] == olds
    assert [(row.body, row.priority, row.tag) for row in news] == [
        (row.body, row.priority, "news") for row in olds
    ]
    assert {(row.state, row.batch, row.created_by) for row in news} == {
        ("QUEUED", report.batch, user)
    }
    assert gateway.sent == []
    again = Message.objects.filter(tag="news", state="FAILED").resend()
    assert (again.queued, again.skipped) == (0, 3)


@pytest.mark.django_db(transaction=True)
def test_a_worker_sends_them(failed, gateway):
    failed()
    Message.objects.filter(tag="news").resend()
    call_command("smsww_worker", "--once", stdout=StringIO())
    assert [sms.recipient for sms in gateway.sent] == [NUMBER]


@pytest.mark.parametrize("state", State)
def test_what_must_not_be_resent_is_skipped(failed, state):
    failed(state=state)
    can_be = state in ("FAILED", "CANCELLED", "UNDELIVERABLE", "EXPIRED", "REJECTED")
    assert Message.objects.filter(tag="news").resend().queued == can_be
    asked_for = Message.objects.filter(state="DELIVERED").resend(delivered=True)
    assert asked_for.queued == (state == "DELIVERED")


def test_a_number_on_the_do_not_send_list_fails_at_once_and_the_others_leave(failed):
    Suppression.objects.create(recipient=OTHER)
    failed()
    failed(recipient=OTHER)
    report = Message.objects.filter(tag="news").resend()
    assert (report.queued, report.failed) == (1, 1)
    assert new_rows().get(recipient=OTHER).error_code == "suppressed"


@pytest.mark.parametrize("faster", range(5))
def test_what_another_resends_meanwhile_is_not_sent_twice(failed, monkeypatch, faster):
    olds, calls = [failed() for _ in range(5)], count()
    insert = RowWriter._insert

    def late(self, rows):
        if next(calls) == 0:
            resend(olds[faster])
        return insert(self, rows)

    monkeypatch.setattr(RowWriter, "_insert", late)
    report = Message.objects.filter(state="FAILED").resend()
    assert (report.queued, report.skipped) == (4, 1)
    assert Batch.objects.get(reference=report.batch).size == 4
    assert sorted(new_rows().values_list("resend_of", flat=True)) == [row.pk for row in olds]


def test_what_a_callback_calls_delivered_meanwhile_is_left(failed, monkeypatch):
    old = failed()
    insert = RowWriter._insert

    def late(self, rows):
        old.accept(SendResult(provider_id="p1", state="DELIVERED"))
        return insert(self, rows)

    monkeypatch.setattr(RowWriter, "_insert", late)
    assert Message.objects.filter(state="FAILED").resend().skipped == 1
    assert not new_rows().exists()


def test_an_alias_that_is_gone_queues_nothing(failed):
    failed()
    failed(alias="gone")
    with pytest.raises(SMSBackendDoesNotExist):
        Message.objects.filter(tag="news").resend()
    assert not new_rows().exists()


def test_nobody_resends_the_whole_table_by_mistake():
    with pytest.raises(AttributeError):
        Message.objects.resend()


# smsww_resend


def test_a_dry_run_counts_and_prices_them(failed):
    failed(state=State.DELIVERED, country="IT", route="WW", price=Decimal("0.03"), tag="")
    failed(state=State.DELIVERED, country="IT", route="WW", price=Decimal("0.05"), tag="")
    failed(route="WW", segments=2)
    failed(route="WW", country="ES", recipient=OTHER)
    assert command("--tag", "news", "--dry-run").splitlines() == [
        "2 messages, 3 segments (ES 1, IT 1), about 0.10 EUR at the last known prices; "
        "the price of 1 is not known.",
        "Nothing was queued.",
    ]
    assert not new_rows().exists()


BATCH = uuid4()
ARGUMENTS = [
    ("--tag", "news"),
    ("--batch", str(BATCH)),
    ("--error", "SMSUnavailable"),
    ("--error", "expired_unsent"),
    ("--since", "2026-03-01", "--until", "2026-03-02T12:00"),
]


@pytest.mark.parametrize("arguments", ARGUMENTS)
def test_messages_are_named_by_tag_batch_error_and_time(failed, arguments):
    there = timezone.datetime(2026, 3, 2, 10, 59, tzinfo=timezone.get_default_timezone())
    named = {"batch": BATCH, "error_code": "expired_unsent", "created_at": there}
    other = {"tag": "", "error": "SMSRefused", "created_at": there + timedelta(days=1)}
    old = failed(**named)
    failed(**other)
    assert "1 message queued as batch" in command(*arguments)
    assert [row.resend_of for row in new_rows()] == [old]


def test_it_leaves_those_of_another_deployment_and_what_a_person_cancelled(failed):
    failed(environment="elsewhere")
    cancelled = failed(state=State.CANCELLED)
    with pytest.raises(CommandError, match="nothing to resend"):
        command("--tag", "news")
    command("--tag", "news", "--state", "CANCELLED")
    assert [row.resend_of for row in new_rows()] == [cancelled]


def test_it_ends_with_an_error_where_some_fail_at_once(failed):
    failed()
    failed(recipient=OTHER)
    Suppression.objects.create(recipient=OTHER)
    with pytest.raises(CommandError, match="1 failed immediately") as caught:
        command("--tag", "news")
    assert caught.value.returncode == 1
    assert "1 message queued" in command.said


def test_it_asks_first(failed, monkeypatch):
    failed()
    monkeypatch.setattr("builtins.input", lambda question: "no")
    with pytest.raises(CommandError, match="Nothing was queued"):
        call_command("smsww_resend", "--tag", "news", stdout=StringIO())
    assert not new_rows().exists()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "Say which messages"),
        (("--since", "yesterday"), "write a day"),
        (("--since", "2026-02-31"), "write a day"),
        (("--tag", "news", "--using", "gone"), "gone"),
        (("--tag", "news", "--state", "DELIVERED"), "invalid choice"),
    ],
)
def test_wrong_use_says_what_to_write(arguments, text):
    with pytest.raises(CommandError, match=text):
        command(*arguments)


FILL = """
import django; django.setup()
from django.core.management import call_command
from django.utils import timezone
from django_smsww import sms_backends
from django_smsww.models import Message
call_command("migrate", verbosity=0)
now = timezone.now()
Message.objects.bulk_create(
    Message(alias="default", recipient="+393331234567", body="x", state="FAILED", segments=1,
            error="SMSUnavailable", tag="news", expires_at=now, finished_at=now,
            environment=sms_backends.default.environment)
    for _ in range(600)
)
"""
SHOW = """
import django; django.setup()
from django_smsww.models import Message
news = Message.objects.filter(state="QUEUED")
print(news.count(), news.values("resend_of").distinct().count())
"""


@pytest.mark.slow
def test_two_commands_at_once_resend_each_message_once(new_database):
    manage(new_database, code=FILL)
    command = [sys.executable, "-m", "django", "smsww_resend", "--tag", "news", "--no-input"]
    environment = environment_of(new_database)
    both = [subprocess.Popen(command, cwd=ROOT, env=environment, stderr=-1) for _ in range(2)]
    for process in both:
        process.communicate(timeout=60)
    assert manage(new_database, code=SHOW).split() == ["600", "600"]
