"""The page of a mass send, and the button that stops it."""

from collections import deque
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.utils import timezone

from django_smsww import SMS, State, send_mass_sms, send_messages
from django_smsww.backends.handler import sms_backends
from django_smsww.models import Batch, Message, Suspension
from django_smsww.operations.retention import delete
from django_smsww.worker.queue import deliver_due

from ..conftest import NUMBER
from ..support.people import LIST, admin_url, browser_of, listed, missing, notices, staff
from ..support.plans import reads

BATCH = uuid4()
PAGE = admin_url("message_batch", BATCH)
STOP = admin_url("message_batch_stop", BATCH)
LONG_AGO = timezone.now() - timedelta(days=400)
pytestmark = pytest.mark.django_db


@pytest.fixture
def batch(make_message):
    """Three that wait, one delivered, two that failed; and one of another batch."""
    delivered = {"state": State.DELIVERED, "country": "IT", "total_price": Decimal("0.14")}
    failed = {"state": State.FAILED, "error": "SMSRefused", "error_code": "2011"}
    for columns in ({}, {}, {}, delivered, failed, failed):
        make_message(**{"batch": BATCH, "segments": 2, "country": ""} | columns)
    return make_message(batch=uuid4())


def test_the_page_tells_how_far_it_is(browser, batch):
    counts = ("1 of 6 sent", "2 failed or unknown", "3 wait", "12 segments", "IT (1)", "0.14 EUR")
    shown = (*counts, "refused the message", "2011", STOP, "reload.js", "?still")
    assert not missing(browser.get(PAGE), *shown)


def test_its_messages_are_one_click_away(browser, batch):
    assert not missing(browser.get(PAGE), f"{LIST}?batch={BATCH}")
    assert len(listed(browser.get(f"{LIST}?batch={BATCH}"))) == 6


def test_a_finished_batch_neither_reloads_nor_stops(browser, make_message):
    make_message(batch=BATCH, state=State.DELIVERED)
    assert missing(browser.get(PAGE), "reload.js", STOP) == ["reload.js", STOP]


def test_a_reader_stops_the_reloads(browser, batch):
    assert missing(browser.get(PAGE, {"still": ""}), "reload.js", 'href="?"') == ["reload.js"]


def test_stop_counts_what_waits_and_then_cancels_it(browser, batch):
    assert not missing(browser.get(STOP), "3 waiting messages will be cancelled", "6 segments")
    assert Message.objects.queued().count() == 4
    answer = browser.post(STOP, {"reason": "wrong text"}, follow=True)
    assert notices(answer) == ["3 messages were cancelled."]
    assert not missing(answer, "It was stopped")
    assert Message.objects.queued().get() == batch
    row = Suspension.objects.get()
    assert (row.is_stop, row.reason, row.created_by.username) == (True, "wrong text", "ann")


def test_what_a_worker_takes_after_the_stop_is_not_sent(browser, batch, make_message, smsoutbox):
    browser.post(STOP)
    late = make_message(batch=BATCH)
    deliver_due(sms_backends["default"], using="default")
    late.refresh_from_db()
    assert late.state == State.CANCELLED
    assert [sms.reference for sms in smsoutbox] == [batch.reference]


def test_a_second_stop_cancels_nothing(browser, batch):
    browser.post(STOP)
    assert notices(browser.post(STOP, follow=True))[-1] == "0 messages were cancelled."
    assert Suspension.objects.count() == 1


def test_a_batch_that_is_none_is_not_found(browser):
    for address in (PAGE, STOP):
        assert browser.get(address).status_code == 404
        assert browser.post(address).status_code == 404


def test_a_large_batch_takes_no_more_queries(browser, batch, make_message, queries):
    counts = []
    for _ in range(2):
        with queries:
            browser.get(PAGE)
        counts.append(len(queries))
        for _ in range(50):
            make_message(batch=BATCH, state=State.DELIVERED)
    assert counts[0] == counts[1] <= 12


@pytest.mark.skipif(connection.vendor != "sqlite", reason="reads the plans of SQLite")
def test_a_batch_among_many_messages_is_read_by_its_index(browser, batch, make_message, queries):
    """SQLite counts those without a batch as one batch, and so takes each for a large one."""
    for _ in range(200):
        make_message()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
        with queries:
            browser.get(PAGE)
    [sql] = [each["sql"] for each in queries if "GROUP BY" in each["sql"]]
    table = "django_smsww_message"
    assert reads(sql, table) == [("SEARCH", table, "smsww_message_batched")]


def test_the_log_names_the_batch_alone(browser, batch):
    browser.post(STOP, {"reason": f"{NUMBER} complained"})
    assert LogEntry.objects.get().object_repr == f"Stopped a batch · {BATCH}"


# The list

BATCHES = admin_url("batch_changelist")


@pytest.fixture
def sent(smsoutbox):
    user, numbers = staff(name="zoe"), [NUMBER, "+393331234568", "bad"]
    return send_mass_sms("Buy now", numbers, tag="sale", created_by=user)


def test_a_mass_send_of_a_program_is_in_the_list(browser, sent):
    shown = ("2 of 3 sent", "1 failed or unknown", "Buy now", "sale", "zoe")
    assert not missing(browser.get(BATCHES), *shown)


def test_the_list_and_the_page_say_the_same_of_a_batch(browser, sent):
    page = admin_url("message_batch", sent[0].batch)
    for address in (BATCHES, page):
        assert not missing(browser.get(address), "2 of 3 sent", "1 failed or unknown")
        assert missing(browser.get(address), "done") == ["done"]


def test_the_list_names_aliases_if_there_are_two(browser, sent, settings):
    assert missing(browser.get(BATCHES), "field-alias") == ["field-alias"]
    settings.SMSWW = dict.fromkeys(("default", "shop"), settings.SMSWW["default"])
    assert not missing(browser.get(BATCHES), "field-alias")


def test_a_batch_is_found_by_its_id_and_its_tag(browser, sent):
    send_mass_sms("Other", [NUMBER])
    for typed in (sent[0].batch, "sale"):
        [found] = listed(browser.get(BATCHES, {"q": typed}))
        assert Batch.objects.get(pk=found).reference == sent[0].batch
    assert len(listed(browser.get(LIST, {"q": sent[0].batch}))) == 3


def test_the_list_leads_to_the_page_and_a_message_to_its_batch(browser, sent):
    page = admin_url("message_batch", sent[0].batch)
    answer = browser.get(admin_url("batch_change", Batch.objects.get().pk), follow=True)
    assert answer.redirect_chain == [(page, 302)]
    assert not missing(answer, "Buy now", "sale")
    assert not missing(browser.get(admin_url("message_change", sent[0].pk)), f'href="{page}"')


def test_a_stopped_batch_says_so_in_the_list(browser, batch):
    Batch.objects.create(reference=BATCH, alias="default", size=6)
    browser.post(STOP)
    assert not missing(browser.get(BATCHES), "1 of 6 sent", "stopped")


def test_text_and_cost_of_a_batch_are_seen_with_the_permission_alone(sent):
    Message.objects.update(total_price=Decimal("0.373737"))
    for name, held in (("bob", ()), ("eve", ("view_message_content", "view_message_costs"))):
        browser = browser_of(staff("view_message", *held, name=name))
        hidden = missing(browser.get(BATCHES), "Buy now", "EUR")
        assert hidden == ([] if held else ["Buy now", "EUR"])


def test_the_list_takes_as_many_statements_for_many_batches(browser, django_assert_max_num_queries):
    for n in range(20):
        send_mass_sms(f"Text {n}", [NUMBER])
    with django_assert_max_num_queries(9):
        assert len(listed(browser.get(BATCHES))) == 20


def test_a_batch_grows_by_blocks_and_goes_with_its_messages(db, monkeypatch, smsoutbox):
    monkeypatch.setattr("django_smsww.sending.api.BLOCK_ROWS", 2)
    rows = send_mass_sms("Hello", [f"+39333123456{n}" for n in range(5)])
    assert Batch.objects.get().size == 5
    Message.objects.update(finished_at=LONG_AGO, state=State.DELIVERED)
    Batch.objects.update(created_at=LONG_AGO)
    deque(delete("default", timezone.now()), maxlen=0)
    assert (len(rows), Message.objects.count(), Batch.objects.count()) == (5, 0, 0)


def test_messages_of_no_mass_send_have_no_batch(db, smsoutbox):
    send_messages([SMS("Hello", NUMBER), SMS("Hello", NUMBER)])
    assert not Batch.objects.exists()
