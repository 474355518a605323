"""Reconcile over real HTTP, under each guess about the gateway; its own ledger is the judge."""

import time
from datetime import timedelta
from decimal import Decimal
from threading import Barrier, Thread

import pytest
from django.db import connection

from django_smsww import SMSOutcomeUnknown, send_sms
from django_smsww.backends.handler import sms_backends
from django_smsww.contrib.simulator.process import SimulatorProcess
from django_smsww.contrib.simulator.profiles import DESCRIPTIONS
from django_smsww.models import Event, Message
from django_smsww.reconcile import Reason, sync

from ..support.provider_list import LINE, ListedBackend, ago, entry
from ..support.sampling import slow_unless

pytestmark = pytest.mark.django_db(transaction=True)

NO_GRACE = timedelta(0)
SILENT = {"custom-not-echoed", "callback-not-echoed"}
PROFILES = [*(set(DESCRIPTIONS) - {"list-late"}), "list-late=0.3"]
FEW = {"bare", "oldest-first", "custom-not-echoed", "list-late=0.3"}
ARRIVED = ["912", "914", "939", "943"]
NEVER_ARRIVED = ["913", "915", "937", "944"]


@pytest.fixture(scope="module")
def simulator():
    with SimulatorProcess(state_delay=0.02) as running:
        yield running


@pytest.fixture
def provider(simulator, settings):
    """The running simulator, emptied, with a production and a staging on the same account."""
    simulator.reset()
    simulator.set_profile()
    settings.SMSWW = {
        "default": _alias(simulator, LINE),
        "staging": _alias(simulator, "staging.example"),
    }
    return simulator


def _alias(simulator, environment):
    return {
        "BACKEND": "django_smsww.backends.openapi.SMSBackend",
        "OPTIONS": {
            "token": "simulator",
            "host": simulator.url,
            "environment": environment,
            "callback_url": "http://127.0.0.1:9/sms/callback/",
            "callback_retry": 0,
        },
    }


def send(ending, body="", using="default"):
    """Send one message whose number decides what happens to it."""
    try:
        send_sms(body or f"Text for {ending}", f"+39333000{ending:0>4}", "Acme", using=using)
    except SMSOutcomeUnknown:
        pass
    else:
        assert ending not in [*ARRIVED, *NEVER_ARRIVED]


def send_all(using="default"):
    """Send what arrives and what does not, between messages that are accepted."""
    for ending in ["1", "2", *ARRIVED, "3", *NEVER_ARRIVED, "4", "5"]:
        send(ending, using=using)


def sync_until_settled(count, seconds=20):
    """Sync until no more than `count` rows are UNKNOWN, as a list that is late may need."""
    deadline = time.monotonic() + seconds
    while True:
        assert sync(grace=NO_GRACE).error is None
        left = Message.objects.filter(state="UNKNOWN", alias="default").count()
        if left <= count or time.monotonic() > deadline:
            return left
        time.sleep(0.05)


def assert_no_wrong_claim(simulator):
    """Each row that says something says what the gateway's ledger says of its reference."""
    ledger = {line["reference"]: line for line in simulator.ledger()}
    for row in Message.objects.exclude(state="UNKNOWN"):
        line = ledger.pop(str(row.reference), None)
        assert (row.state == "FAILED") == (line is None), row.state
        assert row.provider_id == (line and line["id"])


def assert_fields_agree(simulator, profile):
    ledger = {line["reference"]: line for line in simulator.ledger()}
    rows = Message.objects.filter(reference__in=ledger)
    assert len(rows) == len(ledger) == 9
    for row in rows:
        line = ledger[str(row.reference)]
        price = Decimal(0 if profile == "price-zero" else line["total_price"])
        assert (row.state, row.segments) == (line["state"], line["segments"])
        assert (row.provider_id, row.total_price) == (line["id"], price)


@pytest.mark.parametrize("profile", slow_unless(FEW.__contains__, sorted(PROFILES)))
def test_every_outcome_is_settled_where_references_are_echoed_and_none_wrongly(provider, profile):
    provider.set_profile(profile)
    send_all()
    assert Message.objects.filter(state="UNKNOWN").count() == 8
    expected = 4 if profile in SILENT else 0
    assert sync_until_settled(expected) == expected
    assert_no_wrong_claim(provider)
    provider.wait_until_idle()
    assert sync_until_settled(expected) == expected
    assert_fields_agree(provider, profile)


@pytest.mark.slow
@pytest.mark.parametrize("spelling", sorted(name for name in DESCRIPTIONS if "recipient" in name))
@pytest.mark.parametrize("silent", sorted(SILENT))
def test_without_references_no_spelling_of_the_number_leads_to_a_wrong_claim(
    provider, silent, spelling
):
    provider.set_profile(silent, spelling)
    send_all()
    sync(grace=NO_GRACE)
    assert_no_wrong_claim(provider)
    arrived = Message.objects.filter(recipient__regex=f"({'|'.join(ARRIVED)})$")
    left = arrived.filter(state="UNKNOWN").count()
    assert left == (4 if spelling == "recipient-missing" else 0)


def test_before_the_list_shows_the_messages_nothing_is_claimed(provider):
    provider.set_profile("list-late=30")
    send_all()
    report = sync(grace=NO_GRACE)
    assert (report.found, report.proved_absent, len(report.still_unknown)) == (0, 0, 8)


def test_under_all_profiles_at_once_but_the_silent_ones(provider):
    provider.set_profile("oldest-first", "pages-of-50", "bare", "empty-list-404", "price-zero")
    send_all()
    assert sync_until_settled(0) == 0
    assert_no_wrong_claim(provider)


@pytest.mark.parametrize(
    "profile",
    slow_unless("oldest-first".__eq__, ["pages-of-50", "oldest-first", "list-late=0.3"]),
)
def test_over_several_pages(provider, profile):
    provider.set_profile(profile)
    backend = sms_backends["default"]
    send("1")
    send("912")
    send("913")
    first = Message.objects.order_by("pk").first()
    with backend:
        backend.send_messages(
            [first.as_sms().replace(recipient=f"+3934000{n:0>5}") for n in range(3, 123)]
        )
    Message.objects.filter(pk=first.pk).update(claimed_at=ago(1))
    send("2")
    # What has no row bears a reference of ours: it belongs to somebody, and hides nothing.
    assert sync_until_settled(0) == 0
    assert_no_wrong_claim_of_unknown(provider)


def assert_no_wrong_claim_of_unknown(simulator):
    arrived, lost = (Message.objects.get(recipient__endswith=one) for one in ("912", "913"))
    [line] = [each for each in simulator.ledger() if each["reference"] == str(arrived.reference)]
    assert (arrived.provider_id, lost.state) == (line["id"], "FAILED")


@pytest.mark.parametrize("profile", sorted(SILENT))
def test_without_references_twins_stay_unknown(provider, profile):
    provider.set_profile(profile)
    for ending in ["1", "912", "912", "2"]:
        send(ending)
    report = sync(grace=NO_GRACE)
    assert (report.found, report.proved_absent) == (0, 0)
    assert list(report.still_unknown.values()) == [Reason.NOT_ECHOED] * 2


@pytest.mark.parametrize("profile", ["pages-of-50", *sorted(SILENT)])
def test_a_staging_on_the_same_account_is_not_touched(provider, profile):
    provider.set_profile(profile)
    send_all(using="staging")
    before = set(Message.objects.values_list("pk", "state", "provider_id", "error_text"))
    send("1")
    send("2")
    sync(grace=NO_GRACE)
    assert before <= set(Message.objects.values_list("pk", "state", "provider_id", "error_text"))


def test_a_copy_of_the_database_adopts_nothing(provider, settings):
    send_all()
    settings.SMSWW = {"default": _alias(provider, "staging.example")}
    before = set(Message.objects.values_list("pk", "state", "provider_id", "updated_at"))
    report = sync(grace=NO_GRACE)
    assert (report.looked, report.found, report.still_unknown) == (0, 0, {})
    assert set(Message.objects.values_list("pk", "state", "provider_id", "updated_at")) == before


@pytest.mark.parametrize("ending", ["913", "915", "933", "922"])
def test_a_fault_of_the_list_settles_nothing_and_the_next_run_all(provider, ending):
    send_all()
    provider.arm(ending, method="GET")
    report = sync(grace=NO_GRACE)
    assert report.error is not None
    assert (report.proved_absent, len(report.still_unknown)) == (0, 8)
    assert sync_until_settled(0) == 0
    assert_no_wrong_claim(provider)


def test_a_message_that_was_proved_absent_is_sent_by_its_key_once(provider):
    send("1")
    number = "+393330000913"
    with pytest.raises(SMSOutcomeUnknown):
        send_sms("Hello", number, key="order-1")
    send("2")
    sync(grace=NO_GRACE)
    provider.arm("904")
    assert send_sms("Hello", number, key="order-1").state == "NEW"
    assert len([line for line in provider.ledger() if line["recipient"] == number]) == 1


@pytest.mark.postgresql
def test_two_runs_and_callbacks_at_once_lose_nothing(make_message):
    """Both read the same list to its end before either of them writes."""
    rows = [
        make_message(
            state="UNKNOWN" if 0 < number < 60 else "NEW",
            environment=LINE,
            recipient=f"+3933300{number:0>5}",
            provider_id=None if 0 < number < 60 else f"a{number}",
            claimed_at=ago(100 - number if number else 110),
        )
        for number in range(61)
    ]
    lost = {row.pk for row in rows[1:60:3]}
    entries = [entry(row) for row in rows if row.pk not in lost]
    barrier, errors, proved = Barrier(2), [], []

    def work():
        try:
            backend = ListedBackend(*reversed(entries))
            backend.on_page = lambda number: number or barrier.wait(20)
            proved.append(sync(backend).proved_absent)
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    assert sum(proved) == len(lost) == Event.objects.count()
    states = dict(Message.objects.values_list("pk", "state"))
    assert {states[pk] for pk in lost} == {"FAILED"}
    assert {states[row.pk] for row in rows if row.pk not in lost} == {"DELIVERED"}
