"""Caps and the guard against pumping: counted before messages leave, exactly, across processes."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from django.db import OperationalError, transaction
from django.utils import timezone

from django_smsww import (
    ContentRefused,
    InvalidSMS,
    InvalidSMSBackend,
    SendResult,
    SMSLimited,
    SMSOutcomeUnknown,
    SMSRefused,
    SMSUnavailable,
    send_mass_sms,
    send_sms,
)
from django_smsww.backends.handler import sms_backends
from django_smsww.environ import sms_url
from django_smsww.models import Counter, Message, MessageQuerySet, Suspension
from django_smsww.worker import limits
from django_smsww.worker.limits import DAILY, GUARDS, _cap
from django_smsww.worker.queue import deliver_due

from ..conftest import NUMBER, raises
from ..support.backends import ScriptedBackend

ROOT = Path(__file__).parents[2]
OTHER = "+34600000000"
NUMBERS = [f"+39333{n:07}" for n in range(200)]
HOUR = 3600
pytestmark = pytest.mark.django_db(transaction=True)


def sweep():
    return deliver_due(sms_backends["default"], using="default")


def today():
    cap = _cap(sms_backends["default"], DAILY, NUMBER, None, limits.database_now("default"))
    return Counter.objects.used(cap.scope, cap.begins)


@pytest.fixture
def at(monkeypatch):
    """Return a function that sets the clock by which caps are counted."""

    def set_clock(*parts):
        moment = datetime(*parts, tzinfo=UTC)
        monkeypatch.setattr("django_smsww.worker.limits.database_now", lambda using: moment)
        monkeypatch.setattr("django_smsww.worker.admission.database_now", lambda using: moment)
        return moment

    return set_clock


# The cap of a day


def test_what_is_beyond_the_cap_of_the_day_raises_and_is_not_sent(gateway):
    gateway.configure(max_segments_per_day=3)
    send_sms("x" * 161, NUMBER)
    with pytest.raises(SMSLimited, match=r"max_segments_per_day \(3\).*Europe/Rome") as caught:
        send_sms("x" * 161, NUMBER)
    message = caught.value.message
    assert (message.state, message.error, message.error_code, message.attempts) == (
        "FAILED",
        "SMSLimited",
        "max_segments_per_day",
        0,
    )
    assert send_sms("Short", NUMBER).state == "NEW"
    assert (today(), len(gateway.sent)) == (3, 2)


def test_the_day_ends_at_midnight_of_the_project(gateway, at):
    gateway.configure(max_segments_per_day=1)
    at(2026, 7, 1, 20, 0)  # 22:00 in Rome
    send_sms("Hello", NUMBER)
    with pytest.raises(SMSLimited, match="after 2026-07-02 00:00 Europe/Rome") as caught:
        send_sms("Hello", NUMBER)
    assert caught.value.retry_after == 2 * HOUR
    at(2026, 7, 1, 22, 0)
    assert send_sms("Hello", NUMBER).state == "NEW"


def test_the_day_of_a_project_without_time_zones_ends_at_midnight_too(gateway, settings):
    settings.USE_TZ = False
    gateway.configure(max_segments_per_day=1)
    send_sms("Hello", NUMBER)
    with pytest.raises(SMSLimited) as caught:
        send_sms("Hello", NUMBER)
    midnight = datetime.combine(datetime.now() + timedelta(days=1), datetime.min.time())
    assert abs(caught.value.retry_after - (midnight - datetime.now()).total_seconds()) < 5


def test_a_day_on_which_the_clock_changes_has_its_own_length(gateway, at):
    gateway.configure(max_segments_per_day=1)
    at(2026, 10, 24, 22, 0)  # midnight in Rome, and 25 hours to the next
    send_sms("Hello", NUMBER)
    with pytest.raises(SMSLimited) as caught:
        send_sms("Hello", NUMBER)
    assert caught.value.retry_after == 25 * HOUR


def test_queued_messages_beyond_the_cap_wait_for_the_next_day(gateway, at):
    gateway.configure(max_segments_per_day=2, queue=True)
    at(2026, 7, 1, 12, 0)
    later = timezone.now() + timedelta(days=3000)
    send_mass_sms("Hello", NUMBERS[:5], expires_at=later)
    assert (sweep(), len(gateway.sent)) == (5, 2)
    waiting = Message.objects.queued()
    assert {row.next_attempt_at for row in waiting} == {datetime(2026, 7, 1, 22, 0, tzinfo=UTC)}
    assert {(row.error, row.attempts, row.lease_token) for row in waiting} == {
        ("SMSLimited", 0, None)
    }
    at(2026, 7, 1, 22, 0)
    Message.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=1))
    sweep()
    assert len(gateway.sent) == 4


def test_a_queued_message_does_not_wait_longer_than_it_lives(gateway):
    gateway.configure(max_segments_per_day=1, queue=True)
    soon = timezone.now() + timedelta(seconds=2)
    send_mass_sms("Hello", NUMBERS[:2], expires_at=soon)
    sweep()
    assert Message.objects.queued().get().next_attempt_at == soon


def test_a_text_larger_than_the_cap_of_a_day_is_not_valid(gateway):
    gateway.configure(max_segments_per_day=1)
    with pytest.raises(InvalidSMS, match="max_segments_per_day"):
        send_sms("x" * 161, NUMBER)
    assert send_sms("x" * 161, NUMBER, dry_run=True).state == "VALIDATED"


def test_each_alias_and_environment_has_a_cap_of_its_own(gateway):
    for environment in ("production", "staging"):
        gateway.configure(max_segments_per_day=1, environment=environment)
        assert send_sms("Hello", NUMBER).state == "NEW"


@pytest.mark.parametrize(
    ("error", "counted"),
    [
        (SMSUnavailable(), 0),
        (SMSRefused(code="2011"), 0),
        (ContentRefused(code="2044"), 1),
        (SMSOutcomeUnknown(), 1),
        (RuntimeError(), 1),
    ],
)
def test_what_certainly_cost_nothing_is_given_back(gateway, error, counted):
    gateway.configure(max_segments_per_day=5, max_per_number=(5, HOUR))
    gateway.answer = raises(error)
    send_mass_sms("Hello", [NUMBER])
    assert list(Counter.objects.values_list("used", flat=True)) == [counted] * 2


def test_what_was_taken_and_not_begun_is_given_back(gateway):
    gateway.configure(max_segments_per_day=50, concurrency=1)
    gateway.answer = raises(ContentRefused(code="2044"))
    send_mass_sms("Forbidden", NUMBERS[:10])
    assert (today(), len(gateway.sent)) == (1, 1)


def test_what_a_suspension_holds_back_is_not_counted(gateway):
    gateway.configure(max_segments_per_day=50)
    Suspension.objects.pause("default", "")
    send_mass_sms("Hello", NUMBERS[:3])
    assert today() == 0


@pytest.mark.parametrize("count", [1, 3])
def test_what_was_cancelled_between_counting_and_claiming_is_given_back(
    gateway, monkeypatch, count
):
    claim = MessageQuerySet.claim

    def cancel_first(rows, *args):
        Message.objects.filter(recipient__in=NUMBERS[:count]).cancel()
        return claim(rows, *args)

    monkeypatch.setattr(MessageQuerySet, "claim", cancel_first)
    gateway.configure(max_segments_per_day=50)
    send_mass_sms("Hello", NUMBERS[:3])
    assert (today(), len(gateway.sent)) == (3 - count, 3 - count)


def test_what_was_counted_and_could_not_be_claimed_is_given_back(gateway, monkeypatch):
    def locked(rows, *args):
        raise OperationalError("database is locked")

    gateway.configure(max_per_number=(1, HOUR))
    with monkeypatch.context() as patch:
        patch.setattr(MessageQuerySet, "claim", locked)
        with pytest.raises(OperationalError):
            send_sms("Hello", NUMBER)
    assert send_sms("Hello", NUMBER).state == "NEW"


def test_a_dry_run_counts_nowhere(gateway):
    gateway.configure(max_segments_per_day=1, max_per_number=(1, HOUR))
    for _ in range(3):
        assert send_sms("Hello", NUMBER, dry_run=True).state == "VALIDATED"
    assert not Counter.objects.exists()


# The guard


@pytest.fixture
def users():
    return [get_user_model().objects.create(username=name) for name in "ab"]


GUARDED = [
    ("max_per_number", lambda users: (NUMBER, users[0]), lambda users: (OTHER, users[0])),
    ("max_per_country", lambda users: (NUMBER, users[0]), lambda users: (OTHER, users[0])),
    ("max_per_user", lambda users: (NUMBER, users[0]), lambda users: (NUMBER, users[1])),
    ("max_per_user", lambda users: (NUMBER, users[0]), lambda users: (NUMBER, None)),
]


@pytest.mark.parametrize(("option", "flooding", "other"), GUARDED)
def test_a_guard_stops_a_flood_and_nobody_else(gateway, users, option, flooding, other):
    gateway.configure(**{option: (2, HOUR)})
    number, user = flooding(users)
    for _ in range(2):
        send_sms("Code", number, created_by=user)
    with pytest.raises(SMSLimited) as caught:
        send_sms("Code", number, created_by=user)
    assert (caught.value.code, 0 < caught.value.retry_after <= HOUR) == (option, True)
    assert NUMBER not in str(caught.value)
    number, user = other(users)
    assert send_sms("Code", number, created_by=user).state == "NEW"


def test_a_flood_that_a_guard_stops_leaves_no_rows(gateway):
    gateway.configure(max_per_number=(1, HOUR))
    send_sms("Code", NUMBER)
    for _ in range(3):
        with pytest.raises(SMSLimited) as caught:
            send_sms("Code", NUMBER)
        assert caught.value.message is None
    assert Message.objects.count() == 1


def test_when_the_window_is_over_a_guard_lets_go(gateway, at):
    gateway.configure(max_per_number=(1, 600))
    at(2026, 7, 1, 12, 3)
    send_sms("Code", NUMBER)
    with pytest.raises(SMSLimited, match="in 420 seconds") as caught:
        send_sms("Code", NUMBER)
    assert caught.value.retry_after == 420
    at(2026, 7, 1, 12, 10)
    assert send_sms("Code", NUMBER).state == "NEW"


def test_a_message_for_later_is_counted_when_it_leaves(gateway):
    gateway.configure(max_per_number=(1, HOUR))
    send_sms("Code", NUMBER)
    message = send_sms("Code", NUMBER, send_at=timezone.now() + timedelta(days=1))
    assert (message.state, Counter.objects.get().used) == ("QUEUED", 1)


def test_a_key_still_finds_its_row_when_a_guard_is_shut(gateway):
    gateway.configure(max_per_number=(1, HOUR))
    first = send_sms("Code", NUMBER, key="code-1")
    assert send_sms("Code", NUMBER, key="code-1") == first


def test_in_a_mass_send_those_past_a_guard_are_failed(gateway):
    gateway.configure(max_per_country=(2, HOUR))
    rows = send_mass_sms("Hello", [*NUMBERS[:4], OTHER])
    assert [row.state for row in rows] == ["NEW", "NEW", "FAILED", "FAILED", "NEW"]
    assert {row.error_code for row in rows[2:4]} == {"max_per_country"}


def test_queued_messages_past_a_guard_are_failed_and_do_not_wait(gateway):
    gateway.configure(max_per_number=(1, HOUR), queue=True)
    for _ in range(2):
        send_sms("Code", NUMBER)  # nothing has left yet, so nothing is counted
    sweep()
    assert sorted(Message.objects.values_list("state", flat=True)) == ["FAILED", "NEW"]


def test_a_message_that_one_cap_stops_uses_up_no_other(gateway):
    gateway.configure(max_per_number=(9, HOUR), max_segments_per_day=1)
    send_mass_sms("Hello", NUMBERS[:2])
    used = dict(Counter.objects.values_list("scope", "used"))
    assert sorted(used.values()) == [0, 1, 1]


def test_a_call_in_a_transaction_waits_for_no_counter(gateway):
    gateway.configure(max_per_number=(1, HOUR))
    with transaction.atomic():
        message = send_sms("Code", NUMBER)
        assert not Counter.objects.exists()
    message.refresh_from_db()
    assert (message.state, Counter.objects.get().used) == ("NEW", 1)


def test_counters_show_no_numbers(gateway):
    gateway.configure(max_per_number=(1, HOUR), max_per_country=(5, HOUR))
    send_sms("Code", NUMBER)
    scopes = " ".join(Counter.objects.values_list("scope", flat=True))
    assert NUMBER[3:] not in scopes
    assert "country:default::IT" in scopes


def test_scopes_fit_their_column(gateway):
    name = "x" * 64
    options = dict.fromkeys(GUARDS, (1, 1)) | {DAILY: 1}
    backend = ScriptedBackend(alias=name, environment=name, **options)
    caps = [_cap(backend, option, NUMBER, 1, timezone.now()) for option in options]
    assert max(len(cap.scope) for cap in caps) <= Counter._meta.get_field("scope").max_length


# Fines


@pytest.mark.parametrize(
    ("route", "priced", "said", "penalty"),
    [
        ("WW", "0.05", None, "2"),
        ("IT", "0.05", None, "0.1"),
        ("IT", "0.05", "0.24", "0.24"),
        ("IT", None, None, None),
        ("ES", None, None, None),
    ],
)
def test_the_fine_for_forbidden_content_is_estimated(
    gateway, monkeypatch, make_message, route, priced, said, penalty
):
    monkeypatch.setattr(gateway, "route_for", lambda self, sms: route)
    make_message(state="DELIVERED", route="IT", price=priced)
    result = SendResult(total_price=said and Decimal(said), error=ContentRefused(code="2050"))
    gateway.answer = staticmethod(lambda sms: result)
    with pytest.raises(ContentRefused) as caught:
        send_sms("x" * 161, NUMBER)
    fined = Message.objects.get(pk=caught.value.message.pk)
    assert fined.penalty == (penalty and Decimal(penalty))
    assert not Message.objects.filter(pk=fined.pk).resendable().exists()


def test_a_dry_run_of_forbidden_content_is_not_fined(gateway):
    gateway.answer = raises(ContentRefused(code="2044"))
    with pytest.raises(ContentRefused):
        send_sms("Forbidden", NUMBER, dry_run=True)
    assert Message.objects.get().penalty is None


# The options


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"max_segments_per_day": 0}, "'max_segments_per_day'] must be None or an integer from 1"),
        ({"max_segments_per_day": True}, "must be None or an integer"),
        ({"max_per_number": 5}, r"'max_per_number'] must be None or a pair such as (5, 3600)"),
        ({"max_per_number": (5,)}, "pair such as"),
        ({"max_per_country": (0, 60)}, "pair such as"),
        ({"max_per_user": (5, 32 * 86400)}, "up to 31 days"),
        ({"max_per_users": (5, 60)}, "Did you mean 'max_per_user'"),
    ],
)
def test_an_option_that_cannot_be_used_says_what_to_write(gateway, options, text):
    gateway.configure(**options)
    with pytest.raises(InvalidSMSBackend) as caught:
        sms_backends["default"]
    assert text in str(caught.value)


def test_limits_can_be_written_in_a_url():
    url = "locmem://?max_per_number=5/3600&max_segments_per_day=900"
    options = sms_url(url)["OPTIONS"]
    assert options == {"max_per_number": (5, 3600), "max_segments_per_day": 900}


# Races, in processes of their own and on the kind of database that the suite runs on

EIGHT = """
import os, sys
import django
django.setup()
from django.core.management import call_command
from django.db import connection
from django_smsww.models import Counter
call_command("migrate", verbosity=0)
connection.close()

def race(work):
    children = []
    for _ in range(8):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(writer, str(work()).encode())
            os._exit(0)
        os.close(writer)
        children.append((child, reader))
    counts = [int(os.read(reader, 100)) for _, reader in children]
    endings = [os.waitpid(child, 0)[1] for child, _ in children]
    print(sum(counts), *endings, *sorted(set(Counter.objects.values_list("used", flat=True))))
"""

TAKE = """
from datetime import datetime, UTC

def work():
    window = datetime(2026, 7, 1, tzinfo=UTC)
    taken = 0
    for n in range(60):
        if Counter.objects.take("race", window, 3, 400):
            taken += 3
            if n % 4 == 0:
                Counter.objects.give_back("race", window, 3)
                taken -= 3
    return taken

race(work)
"""

SEND = """
from django.conf import settings
from django_smsww import SMSLimited, send_sms
settings.SMSWW = {"default": {"BACKEND": "tests.support.backends.ScriptedBackend", "OPTIONS": {
    "max_per_number": (5, 86400 * 31), "max_segments_per_day": 30}}}

def work():
    sent = 0
    for n in range(40):
        try:
            send_sms("Code", f"+3933312345{n % 4:02}")
        except SMSLimited:
            continue
        sent += 1
    return sent

race(work)
"""


@pytest.fixture
def run_eight(new_database):
    """Return a function that runs code in eight processes and returns the numbers they print."""

    def run(code):
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.faults.settings",
            "DATABASE_URL": new_database,
        }
        done = subprocess.run(
            [sys.executable, "-c", EIGHT + code],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.stderr == ""
        return [int(number) for number in done.stdout.split()]

    return run


@pytest.mark.slow
def test_a_cap_holds_exactly_under_eight_racing_processes(run_eight):
    # 400 is no multiple of 3, and eight times sixty attempts ask for more than twice as much.
    assert run_eight(TAKE) == [399, *[0] * 8, 399]


@pytest.mark.slow
def test_a_guard_holds_exactly_under_eight_senders(run_eight):
    # Four numbers, five times each; and all of it in the count of the day.
    assert run_eight(SEND) == [20, *[0] * 8, 5, 20]
