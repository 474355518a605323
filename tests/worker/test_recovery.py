"""After a pause one message tries for all: refused configurations, outages, and who tries."""

import threading
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.models import F
from django.utils import timezone

from django_smsww import (
    AccessRefused,
    SMSOutcomeUnknown,
    SMSRefused,
    SMSUnavailable,
    send_mass_sms,
    send_sms,
)
from django_smsww.backends.handler import sms_backends
from django_smsww.models import Counter, Event, Message, Suspension
from django_smsww.models.suspension import FAILURES
from django_smsww.worker.queue import deliver_due

from ..conftest import NUMBER, raises
from ..support.people import EVERYTHING, admin_url, browser_of, staff

NUMBERS = [f"+39333{n:07}" for n in range(200)]
LOST = SMSUnavailable(code="503", status=503)
REFUSED = AccessRefused(status=404)
pytestmark = pytest.mark.django_db(transaction=True)


def queued(gateway, count=30, **options):
    gateway.configure(queue=True, **options)
    return send_mass_sms("Hello", NUMBERS[:count], preflight=False)


def sweep():
    return deliver_due(sms_backends["default"], using="default")


def states():
    found = list(Message.objects.values_list("state", flat=True))
    return {state: found.count(state) for state in set(found)}


def minutes_later(minutes=1):
    """Move the times in the database back, as if so many minutes had gone by."""
    span = timedelta(minutes=minutes)
    Suspension.objects.exclude(until=None).update(until=F("until") - span)
    queued_rows = Message.objects.filter(state="QUEUED")
    queued_rows.update(next_attempt_at=F("next_attempt_at") - span)


def requests_in(gateway, minutes, step=1):
    """Sweep once a minute, or more rarely; return the number of requests."""
    before = len(gateway.sent)
    for _ in range(0, minutes, step):
        sweep()
        minutes_later(step)
    return len(gateway.sent) - before


def refusing(gateway, error, *numbers):
    """Raise this error for these numbers, and accept the others."""
    accept = gateway.answer

    def answer(sms):
        if sms.recipient in numbers:
            raise error
        return accept(sms)

    gateway.answer = staticmethod(answer)


# A refused configuration


def test_a_refusal_of_the_site_pauses_and_ends_no_message(gateway, caplog):
    rows = queued(gateway, concurrency=4)
    gateway.answer = raises(REFUSED)
    assert requests_in(gateway, 60, step=4) < 15
    assert states() == {"QUEUED": 30}
    codes = set(Message.objects.values_list("error_code", flat=True))
    assert codes == {"access_refused", "suspended"}
    [suspension] = Suspension.objects.all()
    assert (suspension.error, suspension.reason) == ("AccessRefused", "HTTP 404")
    said = "Check the scopes of the token, the host and its path"
    assert caplog.text.count(said) == suspension.times
    output = StringIO()
    sweep()
    with pytest.raises(SystemExit):
        call_command("smsww_status", "--offline", stdout=output)
    assert f"An error paused the alias (AccessRefused HTTP 404). {said}" in output.getvalue()
    assert len(rows) == 30


def by_command():
    call_command("smsww_resume", "default", stdout=StringIO())


def by_admin():
    name = "suspension_resume"
    address = admin_url(name, Suspension.objects.get().pk)
    browser_of(staff(*EVERYTHING)).post(address, {"post": "yes"})


@pytest.mark.parametrize("resume", [by_command, by_admin])
def test_a_person_who_resumes_has_all_leave_at_once(gateway, resume):
    queued(gateway, concurrency=4)
    accept, gateway.answer = gateway.answer, raises(REFUSED)
    requests_in(gateway, 5)
    gateway.answer = staticmethod(accept)
    resume()
    sweep()
    assert states() == {"NEW": 30}


def test_a_person_who_resumes_too_early_loses_no_message(gateway):
    queued(gateway, 10, concurrency=4)
    gateway.answer = raises(REFUSED)
    for _ in range(4):
        sweep()
        by_command()
    assert states() == {"QUEUED": 10}


def test_a_caller_hears_of_it_and_may_repeat_the_key(gateway):
    accept, gateway.answer = gateway.answer, raises(REFUSED)
    for _ in range(2):
        with pytest.raises(AccessRefused):
            send_sms("Hello", NUMBER, key="once")
    assert len(gateway.sent) == 1
    minutes_later()
    gateway.answer = staticmethod(accept)
    assert send_sms("Hello", NUMBER, key="once").state == "NEW"
    assert not Suspension.objects.exists()


def test_when_the_probe_is_accepted_all_others_leave_at_once(gateway):
    queued(gateway, concurrency=4)
    accept, gateway.answer = gateway.answer, raises(REFUSED)
    requests_in(gateway, 4)
    gateway.answer = staticmethod(accept)
    minutes_later(5)
    sweep()
    sweep()
    assert states() == {"NEW": 30}
    assert not Suspension.objects.exists()


@pytest.mark.parametrize("place", [0, 7])
def test_a_message_that_alone_is_refused_ends_and_blocks_nobody(gateway, place):
    rows = queued(gateway, concurrency=4)
    refusing(gateway, REFUSED, NUMBERS[place])
    assert requests_in(gateway, 3) == 31
    assert states() == {"NEW": 29, "FAILED": 1}
    row = Message.objects.get(pk=rows[place].pk)
    assert (row.state, row.error, row.error_code) == ("FAILED", "AccessRefused", "access_refused")
    assert Event.objects.filter(message=row).count() == row.attempts == 2
    assert not Suspension.objects.exists()


def test_a_refused_message_without_others_waits_for_one(gateway):
    [row] = queued(gateway, 1)
    refusing(gateway, REFUSED, NUMBERS[0])
    requests_in(gateway, 60, step=4)
    assert states() == {"QUEUED": 1}
    send_sms("Hello", NUMBER)
    requests_in(gateway, 6)
    row.refresh_from_db()
    assert (row.state, states()) == ("FAILED", {"FAILED": 1, "NEW": 1})


def test_several_that_are_refused_end_one_by_one(gateway):
    queued(gateway, 10, concurrency=1)
    refusing(gateway, REFUSED, *NUMBERS[:3])
    requests_in(gateway, 12)
    assert states() == {"NEW": 7, "FAILED": 3}


# An outage


def test_an_outage_costs_few_requests_and_all_leave_soon_after(gateway):
    queued(gateway, 40, concurrency=16)
    accept, gateway.answer = gateway.answer, raises(LOST)
    assert requests_in(gateway, 30, step=3) < 50
    gateway.answer = staticmethod(accept)
    requests_in(gateway, 2)
    assert states() == {"NEW": 40}
    assert not Suspension.objects.exists()


def test_a_probe_that_fails_for_hours_ends_no_message(gateway):
    gateway.configure(queue=True)
    message = send_sms("Hello", NUMBER)
    gateway.answer = raises(LOST)
    assert requests_in(gateway, 240, step=8) > 20
    message.refresh_from_db()
    assert message.state == "QUEUED"
    assert Event.objects.filter(message=message).count() == message.attempts


def test_failures_in_a_row_are_counted_over_calls(gateway):
    gateway.answer = raises(LOST)
    for _ in range(FAILURES + 3):
        with pytest.raises(SMSUnavailable):
            send_sms("Hello", NUMBER)
    assert len(gateway.sent) == FAILURES
    # What made no request says so, and not that the gateway could not be reached.
    rows = Message.objects.order_by("pk").values_list("attempts", "error_code")
    assert [*rows] == [(1, "503")] * FAILURES + [(0, "suspended")] * 3


@pytest.mark.parametrize("other", [None, SMSRefused(code="2011", status=422)])
def test_a_message_that_gets_through_begins_the_count_anew(gateway, other):
    accept = gateway.answer
    for _ in range(3):
        gateway.answer = raises(LOST)
        for _ in range(FAILURES - 1):
            with pytest.raises(SMSUnavailable):
                send_sms("Hello", NUMBER)
        gateway.answer = raises(other) if other else staticmethod(accept)
        try:
            send_sms("Hello", NUMBER)
        except SMSRefused:
            assert other
    assert len(gateway.sent) == 3 * FAILURES
    assert not Suspension.objects.exists()


@pytest.mark.parametrize(
    "error", [SMSUnavailable(status=429, retry_after=60), SMSOutcomeUnknown(status=502)]
)
def test_neither_a_429_nor_an_unknown_outcome_pauses(gateway, error):
    queued(gateway, 2 * FAILURES, concurrency=1)
    gateway.answer = raises(error)
    for _ in range(FAILURES):
        Counter.objects.all().delete()  # the back-off is over
        sweep()
    assert len(gateway.sent) >= FAILURES
    assert not Suspension.objects.exists()


def test_a_gateway_that_says_how_long_is_left_alone_so_long(gateway):
    gateway.answer = raises(SMSUnavailable(status=503, retry_after=600))
    send_mass_sms("Hello", NUMBERS[:20])
    left = Suspension.objects.get().until - timezone.now()
    assert timedelta(seconds=590) < left < timedelta(seconds=601)


def test_a_count_is_no_suspension_for_people(gateway):
    browser = browser_of(staff(*EVERYTHING))
    gateway.answer = raises(LOST)
    with pytest.raises(SMSUnavailable):
        send_sms("Hello", NUMBER)
    page = admin_url("suspension_changelist")
    assert list(browser.get(page).context["cl"].queryset) == []
    assert not Suspension.objects.resume("default", "")
    Suspension.objects.update(times=1, until=timezone.now() + timedelta(minutes=1))
    assert len(browser.get(page).context["cl"].queryset) == 1


# Who tries


def paused(error="SMSUnavailable"):
    past = timezone.now() - timedelta(seconds=1)
    return Suspension.objects.create(alias="default", error=error, until=past)


def in_threads(count, function):
    """Call it in several threads at once, each with its own connection; return the results."""
    if connection.vendor == "sqlite":
        pytest.skip("a database in memory has one connection at a time")
    results, together = [], threading.Barrier(count)

    def run():
        try:
            together.wait(10)
            results.append(function())
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return results


def test_of_several_who_would_try_one_wins():
    paused()
    now = timezone.now()
    won = in_threads(4, lambda: Suspension.objects.win_probe(now))
    assert sorted(won) == [False, False, False, True]


def test_while_one_worker_tries_the_others_send_nothing(gateway):
    queued(gateway, 20, concurrency=4)
    paused()
    accept, seen = gateway.answer, []

    def answer(sms):
        if not seen:
            seen.append(in_threads(2, sweep))
            seen.append(len(gateway.sent))
        return accept(sms)

    gateway.answer = staticmethod(answer)
    sweep()
    assert seen == [[0, 0], 1]
    assert states() == {"NEW": 20}


def test_workers_that_look_at_once_make_one_request_while_the_gateway_is_away(gateway):
    queued(gateway, 20, concurrency=4)
    paused()
    gateway.answer = raises(LOST)
    in_threads(3, sweep)
    assert len(gateway.sent) == 1
    assert (Suspension.objects.get().times, states()) == (2, {"QUEUED": 20})


@pytest.mark.parametrize(
    ("error", "state", "sent"), [(None, {"NEW": 40}, 40), (LOST, {"FAILED": 40}, 1)]
)
def test_a_call_that_sends_many_waits_for_its_first_message(gateway, error, state, sent):
    gateway.configure(concurrency=4)
    paused()
    if error:
        gateway.answer = raises(error)
    send_mass_sms("Hello", NUMBERS[:40], preflight=False)
    assert (states(), len(gateway.sent)) == (state, sent)


def test_a_message_that_cannot_leave_lets_another_try(gateway):
    rows = queued(gateway, 5, concurrency=1)
    paused()
    Message.objects.filter(pk=rows[0].pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    Message.objects.exclude(pk=rows[0].pk).update(attempts=1)
    sweep()
    assert states() == {"FAILED": 1, "NEW": 4}


def test_a_winner_that_dies_delays_the_others_for_a_minute(gateway):
    queued(gateway, 5)
    paused()
    assert Suspension.objects.win_probe(timezone.now())
    assert (sweep(), gateway.sent) == (0, [])
    minutes_later()
    sweep()
    assert states() == {"NEW": 5}


def test_a_pause_by_hand_is_probed_by_nobody(gateway):
    Suspension.objects.pause("default", "")
    assert not Suspension.objects.win_probe(timezone.now() + timedelta(days=1))


def test_a_dry_run_probes_too(gateway):
    gateway.configure(dry_run=True)
    paused()
    assert send_sms("Hello", NUMBER).state == "VALIDATED"
    assert not Suspension.objects.exists()
