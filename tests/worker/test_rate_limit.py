"""No faster than the account allows, whoever else is sending, and evenly."""

import threading
from collections import Counter as Tally
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from django.db import connections
from django.utils import timezone

from django_smsww import SendResult, SMSUnavailable, send_mass_sms, send_sms
from django_smsww.backends import openapi
from django_smsww.backends.handler import sms_backends
from django_smsww.clock import elapsed
from django_smsww.models import Counter, Message, Suspension
from django_smsww.worker import rate_limit, worker
from django_smsww.worker.queue import deliver, deliver_due
from django_smsww.worker.rate_limit import RESERVE_SECONDS, RateLimit

from ..conftest import NUMBER

NUMBERS = [f"+39333{n:07}" for n in range(60)]
pytestmark = pytest.mark.django_db(transaction=True)


def noting(times, answer=None):
    """Return an answer that notes when it was asked."""

    def note(sms):
        times.append(elapsed())
        return (answer or accept)(sms)

    return staticmethod(note)


def accept(sms):
    return SendResult(provider_id=f"id-{sms.reference}", state="NEW")


def new_limit():
    return RateLimit(sms_backends["default"], "default")


@pytest.fixture
def at(monkeypatch):
    """Return a function that stops the clocks at a moment of UTC."""

    def stop(*moment):
        now = datetime(*moment, tzinfo=UTC)
        monkeypatch.setattr("django_smsww.worker.rate_limit.database_now", lambda using: now)

    return stop


def test_requests_begin_evenly_and_no_faster(gateway):
    gateway.configure(rate_limit="50/s")
    times, begun = [], elapsed()
    gateway.answer = noting(times)
    send_mass_sms("Hello", NUMBERS[:30], preflight=False)
    # A thread may be late, but none is early: each has a place of its own.
    early = [n for n, moment in enumerate(sorted(times)) if moment < begun + n / 50 - 0.001]
    assert (len(times), early) == (30, [])


def test_two_workers_never_have_the_same_place(gateway):
    gateway.configure(rate_limit="100/s")
    one, other = new_limit(), new_limit()
    places = sorted([*one.reserve(20), *other.reserve(20), *one.reserve(20)])
    gaps = [after - before for before, after in pairwise(places)]
    assert len(places) == 60
    assert places[-1] - places[0] > 59 / 100 - 0.01
    assert min(gaps) > 0.009


def test_no_place_is_further_ahead_than_a_moment(gateway):
    gateway.configure(rate_limit="20/s")
    limit = new_limit()
    begun = elapsed()
    places = [place for _ in range(10) for place in limit.reserve(64)]
    assert max(places) - begun < 2 * RESERVE_SECONDS + 0.1
    assert (len(places), limit.wait > 0) == (40, True)


def test_a_slow_rate_gives_one_place_at_a_time(gateway):
    gateway.configure(rate_limit="1/m")
    limit = new_limit()
    assert len(limit.reserve(10)) == 1
    assert limit.reserve(10) == []
    assert 58 < limit.wait < 60


def test_places_are_shared_through_the_database_by_threads_that_race(gateway):
    if connections["default"].vendor == "sqlite":
        pytest.skip("a database in memory has one connection at a time")
    gateway.configure(rate_limit="2000/s")
    places, lock = [], threading.Lock()

    def reserve():
        mine = [place for _ in range(5) for place in new_limit().reserve(20)]
        connections.close_all()
        with lock:
            places.extend(mine)

    threads = [threading.Thread(target=reserve) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(places) == 800
    # Each process tells its own time from the database's, so by some milliseconds they differ.
    assert max(places) - min(places) > 800 / 2000 - 0.1
    assert Counter.objects.filter(scope__startswith="rate:").count() == 1


def test_a_429_holds_everybody_back_for_as_long_as_it_says(gateway):
    gateway.configure(queue=True, concurrency=2)
    send_mass_sms("Hello", NUMBERS[:20], preflight=False)

    times = []

    def answer(sms):
        times.append(elapsed())
        if len(times) == 1:
            raise SMSUnavailable(status=429, retry_after=1)
        return accept(sms)

    gateway.answer = staticmethod(answer)
    deliver_due(sms_backends["default"], using="default")
    early = [moment for moment in times if moment < times[0] + 0.5]
    assert len(early) <= 2  # those under way together
    assert min(times[len(early) :]) >= times[0] + 0.7
    assert Tally(Message.objects.values_list("state", flat=True)) == {"NEW": 19, "QUEUED": 1}
    assert new_limit().wait == 0


def test_another_process_hears_of_a_429(gateway):
    new_limit().back_off(60)
    assert new_limit().reserve(1) == []
    gateway.configure(rate_limit="100/s")
    other = new_limit()
    assert other.reserve(1) == []
    assert 58 < other.wait < 60


def test_who_waits_for_one_message_is_told_to_come_again(gateway):
    new_limit().back_off(60)
    with pytest.raises(SMSUnavailable) as caught:
        send_sms("Hello", NUMBER, key="k")
    assert (caught.value.code, caught.value.message.state) == ("too_fast", "FAILED")
    assert 50 < caught.value.retry_after < 60
    Counter.objects.all().delete()
    assert send_sms("Hello", NUMBER, key="k").state == "NEW"


def test_the_first_of_many_waits_as_long_as_the_others(gateway, monkeypatch):
    monkeypatch.setattr(worker, "LONGEST_PAUSE_SECONDS", 0.1)
    monkeypatch.setattr(rate_limit, "RESERVE_SECONDS", 0.1)
    gateway.configure(concurrency=1)
    new_limit().back_off(0.5)
    rows = send_mass_sms("Hello", NUMBERS[:3], preflight=False)
    assert [row.state for row in rows] == ["NEW"] * 3


def test_what_is_kept_back_while_the_gateway_rests_is_told_all_the_same(gateway, monkeypatch):
    monkeypatch.setattr(worker, "LEASE_CHECK_SECONDS", 0.1)
    Suspension.objects.pause("default", "", reason="Too dear")
    new_limit().back_off(300)
    with pytest.raises(SMSUnavailable) as caught:
        send_sms("Hello", NUMBER)
    assert caught.value.code == "suspended"
    rows = send_mass_sms("Hello", NUMBERS[:20], preflight=False)
    assert {row.error_code for row in rows} == {"suspended"}


def test_a_rest_does_not_end_at_midnight(gateway, at):
    at(2026, 7, 1, 23, 59, 30)
    new_limit().back_off(60)
    at(2026, 7, 2, 0, 0, 10)
    limit = new_limit()
    assert limit.reserve(1) == []
    assert 18 < limit.wait < 20
    at(2026, 7, 2, 0, 0, 31)
    assert len(new_limit().reserve(1)) == 1


@pytest.mark.parametrize(("limit", "seconds"), [("50/s", 1), ("1/s", 1), ("2/m", 31)])
def test_two_days_never_have_the_same_place_and_each_has_its_own(gateway, at, limit, seconds):
    gateway.configure(rate_limit=limit)
    at(2026, 7, 1, 23, 59, 59)
    while new_limit().reserve(64):
        pass
    at(2026, 7, 2, 0, 0, 0)
    assert new_limit().reserve(1) == []
    at(2026, 7, 2, 0, 0, seconds)
    assert len(new_limit().reserve(1)) == 1


def test_without_a_limit_nothing_is_counted(gateway):
    send_mass_sms("Hello", NUMBERS, preflight=False)
    assert not Counter.objects.exists()


def test_what_waits_for_its_place_does_not_outlive_a_stop(gateway):
    gateway.configure(queue=True, rate_limit="2/s", concurrency=4)
    send_mass_sms("Hello", NUMBERS[:10], preflight=False)
    begun = timezone.now()
    taken = deliver_due(sms_backends["default"], using="default", stop=lambda: bool(gateway.sent))
    assert timezone.now() - begun < timedelta(seconds=5)
    assert taken == len(gateway.sent) < 5


def test_aliases_of_one_account_share_its_rate_and_no_token_is_told():
    options = {"token": "secret-token", "host": "sandbox"}
    one, other = (openapi.SMSBackend(alias=alias, **options) for alias in "ab")
    third = openapi.SMSBackend(alias="a", token="another", host="sandbox")
    assert one.rate_scope == other.rate_scope != third.rate_scope
    assert "secret" not in one.rate_scope


def test_a_worker_does_not_wait_for_long_and_gives_its_rows_back(gateway):
    gateway.configure(queue=True, concurrency=1)
    send_mass_sms("Hello", NUMBERS[:20], preflight=False)

    def answer(sms):
        raise SMSUnavailable(status=429, retry_after=60)

    gateway.answer = staticmethod(answer)
    begun = elapsed()
    assert deliver_due(sms_backends["default"], using="default") == 1
    assert deliver_due(sms_backends["default"], using="default") == 0
    assert (len(gateway.sent), elapsed() - begun < 5) == (1, True)
    assert Message.objects.filter(state="QUEUED", lease_token=None).count() == 20


def test_a_task_does_not_wait_for_long_either(gateway):
    rows = send_mass_sms("Hello", NUMBERS[:20], queue=True, preflight=False)
    new_limit().back_off(60)
    deliver(sms_backends["default"], [row.pk for row in rows], using="default")
    assert gateway.sent == []
    assert Message.objects.filter(state="QUEUED", lease_token=None).count() == 20
