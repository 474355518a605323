"""Adoption of what other senders of the account have sent: what is stored, and what is left."""

import json
import tracemalloc
from dataclasses import replace
from datetime import timedelta
from io import StringIO
from uuid import uuid4

import pytest
import requests
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_smsww import send_sms
from django_smsww.contrib.simulator.process import SimulatorProcess
from django_smsww.contrib.simulator.profiles import DESCRIPTIONS
from django_smsww.exceptions import InvalidToken, SMSUnavailable
from django_smsww.models import DailyTotal, Message
from django_smsww.reconcile import adopt_history, sync
from django_smsww.signals import message_sent, message_state_changed
from django_smsww.sms import SendResult
from django_smsww.states import Cause

from ..support.provider_list import LINE, ListedBackend, ago, entry, stamp
from ..support.sampling import slow_unless
from .conftest import OTHER, listed, state_of

pytestmark = pytest.mark.django_db(transaction=True)


def foreign(minutes=100, **facts):
    """Return an entry of another sender's message."""
    at = ago(minutes)
    facts = {"state": "DELIVERED", "recipient": OTHER, "prefix": "34", "country": "ES"} | facts
    facts = {"body": "A foreign text", "sender": "Others", "segments": 2} | facts
    return SendResult(
        **{"provider_id": f"f-{uuid4().hex}", "created_at": at, "updated_at": at} | facts
    )


def elsewhere():
    return Message.objects.filter(origin="elsewhere")


# What is stored


def test_a_message_of_another_sender_gets_a_row_without_number_and_text():
    one = foreign(total_price=2, delivered_at=ago(99))
    report = adopt_history(listed(one))
    row = elsewhere().get()
    assert (report.listed, report.added, report.is_whole) == (1, 1, True)
    assert (row.provider_id, row.state, row.alias, row.environment) == (
        one.provider_id,
        "DELIVERED",
        "default",
        LINE,
    )
    assert (row.recipient, row.recipient_reversed, row.body, row.scrubbed) == ("+34…", "", "", True)
    assert (row.segments, row.total_price, row.country, row.sender) == (2, 2, "ES", "Others")
    assert (row.created_at, row.finished_at) == (one.created_at, one.delivered_at)
    stored = str(vars(row))
    assert OTHER[1:] not in stored
    assert "foreign text" not in stored


def test_number_and_text_are_stored_if_they_are_asked_for():
    adopt_history(listed(foreign(recipient="0034 600 000 000")), with_content=True)
    row = elsewhere().get()
    assert (row.recipient, row.recipient_reversed) == (OTHER, OTHER[:0:-1])
    assert (row.body, row.scrubbed) == ("A foreign text", False)


def test_a_reason_that_may_quote_the_text_is_not_stored_either_even_later():
    one = foreign(blocklisted=True, blocklisted_reason="a word", state="NEW")
    adopt_history(listed(one))
    adopt_history(listed(replace(one, updated_at=ago(1), state="REJECTED")))
    row = elsewhere().get()
    assert (row.state, row.blocklisted, row.blocklisted_reason) == ("REJECTED", True, "")


def test_a_second_run_adds_nothing_and_brings_news_alone():
    ended, open_one = foreign(), foreign(50, state="NEW", total_price=0)
    adopt_history(listed(ended, open_one))
    now = replace(open_one, state="DELIVERED", total_price=1, updated_at=ago(1))
    report = adopt_history(listed(ended, now))
    assert (report.added, report.updated, report.known) == (0, 1, 1)
    row = elsewhere().get(provider_id=open_one.provider_id)
    assert (row.state, row.total_price) == ("DELIVERED", 1)
    assert adopt_history(listed(ended, now)).updated == 0


def test_a_word_that_is_not_known_is_an_accepted_message():
    adopt_history(listed(foreign(state="PARKED")))
    assert elsewhere().get().state == "NEW"


def test_a_dry_run_writes_nothing():
    one = foreign()
    assert adopt_history(listed(one), dry_run=True).added == 1
    assert not Message.objects.exists()


def test_since_leaves_older_messages_alone():
    report = adopt_history(listed(foreign(10), foreign(500)), since=ago(100))
    assert (report.listed, report.added) == (1, 1)


@pytest.mark.parametrize("page_size", [2, 7, 100])
@pytest.mark.parametrize("oldest_first", [False, True])
def test_all_pages_are_read_in_either_order(page_size, oldest_first):
    entries = [foreign(minutes) for minutes in range(10, 40)]
    backend = ListedBackend(*entries[:: -1 if oldest_first else 1], page_size=page_size)
    report = adopt_history(backend)
    assert (report.added, elsewhere().count(), report.is_whole) == (30, 30, True)


def test_messages_that_arrive_meanwhile_are_adopted_by_the_next_run():
    backend = ListedBackend(*[foreign(minutes) for minutes in range(10, 40)], page_size=10)
    backend.on_page = lambda number: backend.entries.insert(0, foreign(1))
    adopt_history(backend)
    backend.on_page = lambda number: None
    adopt_history(backend)
    assert elsewhere().count() == len(backend.entries)


def test_receivers_of_signals_hear_of_no_message_that_the_project_did_not_send():
    heard = []

    def receive(sender, message, **kwargs):
        heard.append(message)

    one = foreign(state="NEW")
    for signal in (message_sent, message_state_changed):
        signal.connect(receive)
    try:
        adopt_history(listed(one))
        adopt_history(listed(replace(one, state="DELIVERED", updated_at=ago(1))))
    finally:
        for signal in (message_sent, message_state_changed):
            signal.disconnect(receive)
    assert (heard, elsewhere().get().state) == ([], "DELIVERED")


# What is left


def test_messages_with_a_reference_of_any_deployment_are_left(accepted):
    ours = accepted(60)
    pruned = entry(accepted(70))
    Message.objects.exclude(pk=ours.pk).delete()
    staging = foreign(80, custom=stamp(ours, "staging.example"))
    forged = foreign(90, custom={"_smsww": "unreadable"})
    report = adopt_history(listed(entry(ours), pruned, staging, forged))
    assert (report.stamped, report.added) == (4, 0)


def test_rows_of_ours_are_known_without_a_reference(accepted):
    here, other = accepted(60), accepted(70, alias="other")
    report = adopt_history(listed(entry(here, echo=False), entry(other, echo=False)))
    assert (report.known, report.added) == (2, 0)


@pytest.mark.parametrize("state", ["SENDING", "UNKNOWN"])
@pytest.mark.parametrize("column", ["recipient", "redirected_to"])
def test_what_could_be_a_row_without_an_outcome_is_held_back(row, state, column):
    row(state, 100, **{column: "+34611111111"})
    ours = foreign(recipient="34 611 111 111", body="Any text")
    report = adopt_history(listed(ours, foreign(recipient="+34622222222")))
    assert (report.held_back, report.added) == (1, 1)


def test_a_message_of_another_day_is_not_held_back(row):
    row("UNKNOWN", 100)
    assert adopt_history(listed(foreign(100 + 26 * 60))).added == 1


def test_what_smsww_prune_has_deleted_does_not_come_back():
    day = (timezone.now() - timedelta(days=10)).date()
    DailyTotal.objects.create(day=day, alias="default", environment=LINE, state="DELIVERED")
    entries = [foreign(minutes=days * 24 * 60) for days in (5, 8, 12, 15)]
    report = adopt_history(listed(*entries))
    assert (report.added, report.pruned) == (2, 2)


def test_entries_without_a_number_or_a_time_are_counted():
    report = adopt_history(ListedBackend(foreign(recipient=""), foreign(created_at=None)))
    assert (report.unreadable, report.added) == (2, 0)


def test_a_backend_that_cannot_list_is_not_asked():
    class Blind(ListedBackend):
        supports_fetch_page = False

    assert "cannot list" in adopt_history(Blind()).skipped


# Errors of the provider


@pytest.fixture
def waits(monkeypatch):
    slept = []
    monkeypatch.setattr("django_smsww.reconcile.adoption.time.sleep", slept.append)
    return slept


def test_a_page_that_does_not_come_is_asked_for_again(waits):
    backend = ListedBackend(*[foreign(minutes) for minutes in range(10, 40)], page_size=10)
    errors = {1: SMSUnavailable(), 2: SMSUnavailable(retry_after=3), 4: SMSUnavailable()}
    asked = iter(range(100))

    def fail(number):
        if error := errors.get(next(asked)):
            raise error

    backend.on_page = fail
    report = adopt_history(backend)
    assert (report.added, report.error, waits) == (30, None, [1.0, 3, 1.0])


@pytest.mark.parametrize(("error", "most"), [(SMSUnavailable(), 3), (InvalidToken(), 0)])
def test_an_error_that_lasts_ends_the_run_and_keeps_what_was_read(waits, error, most):
    backend = ListedBackend(*[foreign(minutes) for minutes in range(10, 40)], page_size=10)

    def fail(number):
        if number == 2:
            raise error

    backend.on_page = fail
    report = adopt_history(backend)
    assert (report.error, len(waits), elsewhere().count()) == (error, most, report.added)
    assert 0 < report.added < 30


# A row of ours that gets the id later


def adopted(message):
    """Adopt the message as another sender's, as a list without references may show it."""
    said = entry(message, echo=False, recipient="+34633333333")
    assert adopt_history(listed(said)).added == 1
    return said


def test_an_answer_takes_the_id_back(unknown):
    message = unknown()
    said = adopted(message)
    message.accept(said)
    assert (state_of(message), message.provider_id) == ("DELIVERED", said.provider_id)
    assert not elsewhere().exists()


def test_an_answer_that_overrules_a_callback_takes_the_id_back(row):
    message = row("PENDING", 30, provider_id=None)
    said = adopted(message)
    Message.objects.filter(pk=message.pk).update(provider_id="another-id")
    message.refresh_from_db()
    message.accept(said)
    assert (state_of(message), message.provider_id) == ("DELIVERED", said.provider_id)
    assert not elsewhere().exists()


def test_a_sync_gives_the_id_to_the_row_that_the_reference_names(unknown, bracket):
    message = unknown()
    said = adopted(message)
    found = replace(said, recipient=message.recipient, custom=stamp(message))
    assert sync(listed(found, *bracket)).found == 1
    assert (state_of(message), message.provider_id) == ("DELIVERED", said.provider_id)
    assert not elsewhere().exists()


def test_an_adopted_entry_is_no_proof_that_a_message_is_absent(unknown, bracket):
    message = unknown()
    said = adopted(message)
    mine = replace(said, recipient=message.recipient)
    assert sync(listed(mine, *bracket)).proved_absent == 0
    assert state_of(message) == "UNKNOWN"


def test_a_row_that_has_an_id_takes_no_other_row_away(accepted):
    message = accepted(30)
    one = foreign()
    adopt_history(listed(one))
    assert message.accept(replace(one, updated_at=ago(1))) == "moved"
    assert not elsewhere().exists()  # the answer to our own request is right
    adopt_history(listed(two := foreign()))
    rows = Message.objects.filter(pk=message.pk)
    assert rows.accept(two, Cause.EVIDENCE) == "mismatch"
    assert elsewhere().count() == 1


# What takes them for ours, and must not


def test_a_sync_does_not_ask_for_messages_of_others():
    adopt_history(listed(foreign(state="NEW")))
    backend = ListedBackend()
    sync(backend)
    assert (backend.asked, backend.skips) == ([], [])


def test_they_cannot_be_resent():
    adopt_history(listed(foreign(state="EXPIRED")), with_content=True)
    assert not Message.objects.resendable().exists()
    assert "outside this project" in elsewhere().get().why_not_resendable()


def test_the_cached_sums_of_their_days_are_made_anew():
    day = (timezone.now() - timedelta(days=9)).date()
    DailyTotal.objects.cache(day, {}, timezone.now())
    adopt_history(listed(foreign(9 * 24 * 60)))
    assert not DailyTotal.objects.days().exists()


# Size


class EndlessBackend(ListedBackend):
    """List so many messages, the newest first, and make each page when it is asked for."""

    def __init__(self, count):
        super().__init__()
        self.count, self.newest = count, timezone.now()

    def fetch_page(self, skip, limit):
        numbers = range(skip, min(skip + limit, self.count))
        return [
            foreign(provider_id=f"{number:024x}", created_at=self.newest - number * ONE_SECOND)
            for number in numbers
        ]


ONE_SECOND = timedelta(seconds=1)


def statements_of(count):
    Message.objects.all().delete()
    with CaptureQueriesContext(connection) as queries:
        assert adopt_history(EndlessBackend(count)).added == count
    return len(queries)


def test_a_page_costs_a_bounded_number_of_statements():
    few, many = statements_of(100), statements_of(490)
    assert (many - few) / 4 <= 12


@pytest.mark.slow
def test_memory_stays_flat_however_long_the_list_is():
    tracemalloc.start()
    report = adopt_history(EndlessBackend(12_000), dry_run=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # 0.6 MB from 1,000 messages on; the ids of all of them would be 1.6 MB.
    assert (report.added, peak < 1_000_000) == (12_000, True)


# The gateway, as the simulator plays it


@pytest.fixture(scope="module")
def simulator():
    with SimulatorProcess(state_delay=0.02) as running:
        yield running


def post(simulator, number, **body):
    """Send a message as another program with the same token does, without a callback."""
    answer = requests.post(
        f"{simulator.url}/WW-messages",
        json={"recipient": number, "message": "From another program"} | body,
        headers={"Authorization": "Bearer simulator"},
        timeout=10,
    )
    assert answer.status_code == 201, answer.status_code


@pytest.mark.parametrize(
    "profile",
    slow_unless(
        "custom-not-echoed".__eq__,
        ["bare", "oldest-first", "custom-not-echoed", "pages-of-50"],
    ),
)
def test_of_two_senders_of_an_account_only_the_other_is_adopted(simulator, settings, profile):
    simulator.reset()
    simulator.set_profile(*(name for name in [profile] if name in DESCRIPTIONS))
    options = {"token": "simulator", "host": simulator.url, "environment": LINE}
    backend = "django_smsww.backends.openapi.SMSBackend"
    settings.SMSWW = {"default": {"BACKEND": backend, "OPTIONS": options}}
    for number in range(60):
        post(simulator, f"+3933300000{number:02}")
        if number % 6 == 0:
            send_sms("Ours", f"+3933311111{number:02}")
    simulator.wait_until_idle()
    assert call("--adopt", "--dry-run")["added"] == 60
    assert (call("--adopt")["added"], call("--adopt")["added"]) == (60, 0)
    assert {row.state for row in elsewhere()} == {"DELIVERED"}
    ledger = {line["id"] for line in simulator.ledger()}
    assert {row.provider_id for row in Message.objects.all()} == ledger
    assert Message.objects.count() == len(ledger) == 70


def call(*arguments):
    output = StringIO()
    call_command("smsww_sync", "--json", *arguments, stdout=output)
    return json.loads(output.getvalue())["default"]["adoption"]
