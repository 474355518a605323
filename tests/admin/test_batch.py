"""The page of a mass send, and the button that stops it."""

import re
from collections import deque
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.utils import timezone
from django.utils.html import escape

from django_smsww import SMS, State, send_mass_sms, send_messages
from django_smsww.admin.formatting import money
from django_smsww.backends.handler import sms_backends
from django_smsww.models import Batch, Message, Suspension
from django_smsww.models.suspension import STOPPED
from django_smsww.models.viewer import HIDDEN
from django_smsww.operations.retention import delete
from django_smsww.worker.queue import deliver_due

from ..conftest import NUMBER
from ..support.people import (
    EVERYTHING,
    LIST,
    admin_url,
    browser_of,
    listed,
    missing,
    notices,
    staff,
    text_of,
)
from ..support.plans import reads

BATCH = uuid4()
PAGE = admin_url("batch_page", BATCH)
STOP = admin_url("batch_stop", BATCH)
RESEND_ALL = {
    "action": "resend_all",
    "select_across": "1",
    "_selected_action": "0",
    "newest": "9" * 9,
}
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
    counts = ("1 of 6 sent", ">2 failed<", "3 wait", "12 segments", "IT (6)", "0.14 EUR")
    shown = (*counts, "refused the message", "2011", STOP, "reload.js", "?still")
    assert not missing(browser.get(PAGE), *shown)


def test_the_page_tells_apart_what_the_gateway_answered_and_what_it_never_got(
    browser, make_message
):
    for status in (503, 504):
        make_message(batch=BATCH, state=State.FAILED, error="SMSUnavailable", error_status=status)
    for code in ("suspended", "settled_unsent"):
        make_message(batch=BATCH, state=State.FAILED, error="SMSUnavailable", error_code=code)
    assert browser.get(PAGE).context["reasons"] == [
        ("The gateway did not accept the message; nothing was sent", "", 2),
        ("Sending paused", "suspended", 1),
        ("Settled as not sent", "settled_unsent", 1),
    ]


def test_the_countries_of_messages_without_an_answer_come_from_their_numbers(
    browser, make_message, queries, monkeypatch
):
    make_message(batch=BATCH, state=State.DELIVERED, country="ES")
    counts = []
    for state in (State.QUEUED, State.CANCELLED):
        make_message(batch=BATCH, state=state, country="")
        with queries:
            page = browser.get(PAGE)
        counts.append(len(queries))
    assert not missing(page, "Countries: IT (2), ES (1).")
    assert counts[0] == counts[1]
    monkeypatch.setattr("django_smsww.admin.batch_page.MOST_NUMBERS", 1)
    assert not missing(browser.get(PAGE), "Countries: not known yet (2), ES (1).")


@pytest.mark.parametrize("meanwhile", ["named", "written"])
def test_the_countries_add_up_to_the_batch(browser, make_message, meanwhile):
    row, *_others = [make_message(batch=BATCH, country="") for _ in range(3)]
    done = []

    def change(execute, sql, *args):
        """Change a row between the statement of the figures and that of the countries."""
        found = execute(sql, *args)
        if not done and "error_status" in sql and "GROUP BY" in sql:
            done.append(meanwhile)
            if meanwhile == "named":
                Message.objects.filter(pk=row.pk).update(country="IT")
            else:
                make_message(batch=BATCH, country="")
        return found

    with connection.execute_wrapper(change):
        assert not missing(browser.get(PAGE), "Countries: IT (3).")
    assert done


def test_its_messages_are_one_click_away(browser, batch):
    assert not missing(browser.get(PAGE), f"{LIST}?batch={BATCH}")
    assert len(listed(browser.get(f"{LIST}?batch={BATCH}"))) == 6


def test_each_count_leads_to_the_messages_that_it_counts(browser, batch):
    for state, count in {"QUEUED": 3, "DELIVERED": 1, "FAILED": 2}.items():
        address = f"{LIST}?batch={BATCH}&state={state}"
        assert not missing(browser.get(PAGE), f'<a href="{escape(address)}">{count}</a>')
        assert len(listed(browser.get(address))) == count


def test_the_way_back_leads_to_the_batches(browser, batch):
    batches = admin_url("batch_changelist")
    for address in (PAGE, STOP):
        [crumbs] = re.findall(
            r'<div class="breadcrumbs.*?</div>', text_of(browser.get(address)), re.DOTALL
        )
        assert f'href="{batches}">Batches<' in crumbs
        assert LIST not in crumbs
        assert address.startswith(batches)  # Django marks the line of its side bar by that


def test_the_undelivered_of_a_batch_are_resent_from_its_page(browser, batch, gateway):
    form = text_of(browser.get(PAGE)).partition("Resend undelivered")[0].rpartition("<form")[2]
    fields = dict(re.findall(r'name="(\w+)" value="(\w+)"', form))
    [address] = re.findall(r'action="([^"]*)"', form)
    question = browser.post(address, fields)
    assert not missing(question, "2 messages can be resent now")
    fields["newest"] = question.context["newest"]
    answer = browser.post(address, fields, follow=True)
    assert notices(answer) == ["2 messages were queued."]
    assert missing(browser.get(PAGE), "Resend undelivered") == ["Resend undelivered"]


def test_a_stopped_batch_does_not_offer_to_resend_what_was_cancelled(browser, make_message):
    make_message(batch=BATCH)
    browser.post(STOP)
    assert Message.objects.get().state == State.CANCELLED
    assert missing(browser.get(PAGE), "Resend undelivered") == ["Resend undelivered"]


@pytest.mark.parametrize("missing_one", ["resend_message", "mass_send_message"])
def test_users_who_may_not_resend_a_list_are_not_offered_it(batch, missing_one):
    browser = browser_of(staff(*{*EVERYTHING} - {missing_one}))
    assert missing(browser.get(PAGE), "Resend undelivered") == ["Resend undelivered"]


def test_a_message_under_way_does_not_wait_and_no_stop_reaches_it(browser, batch, make_message):
    lease = {"state": State.SENDING, "lease_until": timezone.now() + timedelta(minutes=5)}
    make_message(batch=BATCH, **lease)
    assert not missing(browser.get(PAGE), "3 wait<", "1 being sent<")
    assert not missing(browser.get(STOP), "3 messages wait now")
    Message.objects.filter(state=State.QUEUED).delete()
    assert missing(browser.get(PAGE), "reload.js", STOP) == [STOP]


def test_a_finished_batch_neither_reloads_nor_stops(browser, make_message):
    make_message(batch=BATCH, state=State.DELIVERED)
    assert missing(browser.get(PAGE), "reload.js", STOP) == ["reload.js", STOP]


def test_a_reader_stops_the_reloads(browser, batch):
    assert missing(browser.get(PAGE, {"still": ""}), "reload.js", 'href="?"') == ["reload.js"]


def test_stop_counts_what_waits_and_then_cancels_it(browser, batch):
    assert not missing(
        browser.get(STOP), "3 messages wait now", "6 segments", "all messages that still wait are"
    )
    assert Message.objects.queued().count() == 4
    answer = browser.post(STOP, {"reason": "wrong text"}, follow=True)
    assert notices(answer) == ["3 messages were cancelled."]
    assert not missing(answer, "It was stopped")
    assert Message.objects.queued().get() == batch
    row = Suspension.objects.get()
    assert (row.is_stop, row.reason, row.created_by.username) == (True, "wrong text", "ann")


def test_a_message_that_came_back_into_a_stopped_batch_will_be_cancelled(browser, make_message):
    refused = {"error": "SMSUnavailable", "error_code": "503", "error_status": 503}
    rows = [make_message(batch=BATCH, **refused) for _ in range(2)]
    browser.post(STOP, {"reason": "wrong text"})
    Message.objects.filter(pk=rows[0].pk).update(state=State.QUEUED)
    page = admin_url("message_change", rows[0].pk)
    assert not missing(browser.get(page), "Its batch was stopped", "It is not sent.")
    listed_now = text_of(browser.get(LIST))
    assert (listed_now.count("next try"), listed_now.count("answered 503")) == (0, 1)
    # The error of the other is of an earlier attempt: cancelled, it did not go wrong.
    whole = browser.get(PAGE)
    assert not missing(whole, "1 cancelled", "What went wrong")
    assert missing(whole, ">2</td>") == [">2</td>"]


def test_a_stopped_batch_says_who_stopped_it_and_why_and_how_many_were_cancelled(browser, batch):
    Batch.objects.create(reference=BATCH, alias="default", size=6)
    browser.post(STOP, {"reason": "wrong text"})
    assert not missing(browser.get(BATCHES), ">3 cancelled<", ">stopped<")
    page = browser.get(PAGE)
    assert not missing(page, ">3 cancelled<", "By: ann · at: ", "Reason: <bdi>wrong text</bdi>")
    stopped_at = Suspension.objects.get().created_at.isoformat()
    assert not missing(page, f'· at: <time datetime="{stopped_at}"')


def test_the_reason_of_a_stop_is_seen_with_the_permission_alone(browser, batch):
    browser.post(STOP, {"reason": f"{NUMBER} complained"})
    page = browser_of(staff("view_message", name="bob")).get(PAGE)
    assert missing(page, "complained", HIDDEN) == ["complained"]


def test_the_page_says_that_workers_try_again_and_from_when_on(browser, make_message):
    soon = timezone.now().replace(second=1, microsecond=0) + timedelta(minutes=5)
    busy = {"error": "SMSUnavailable", "error_status": 503}
    for at in (soon + timedelta(hours=1), soon):
        make_message(batch=BATCH, next_attempt_at=at, **busy)
    make_message(batch=BATCH, error="SMSUnavailable", error_code="suspended")
    page = browser.get(PAGE)
    assert not missing(page, "A worker tries 2 messages again by itself, the first one at")
    [note] = page.context["waiting_notes"]
    assert note.count((soon + timedelta(seconds=59)).isoformat()) == 1
    Suspension.objects.pause("default", "", scope=f"batch:{BATCH}", code=STOPPED)
    assert missing(browser.get(PAGE), "A worker tries") == ["A worker tries"]


def test_the_page_names_no_next_try_that_is_past_or_within_a_pause(browser, make_message):
    late = timezone.now() - timedelta(minutes=2)
    make_message(batch=BATCH, error="SMSUnavailable", next_attempt_at=late)
    make_message(batch=BATCH)
    soon, held = "A worker tries 1 message again by itself soon.", "2 messages wait until the pause"
    assert missing(browser.get(PAGE), soon, held) == [held]
    Suspension.objects.pause("other", "")
    assert missing(browser.get(PAGE), soon, held) == [held]
    Suspension.objects.pause("default", "")
    assert missing(browser.get(PAGE), soon, held) == [soon]


def test_a_batch_and_the_one_that_resends_it_lead_to_each_other(browser, batch, queries):
    with queries:
        browser.get(PAGE)
    before = len(queries)
    new = Message.objects.filter(batch=BATCH).resend().batch
    again = admin_url("batch_page", new)
    resent = f'2 of these messages were resent in batch <a href="{again}">{new}</a>.'
    with queries:
        assert not missing(browser.get(PAGE), resent)
    assert len(queries) == before
    resend = f'2 of these messages are resends from batch <a href="{PAGE}">{BATCH}</a>.'
    assert not missing(browser.get(again), resend)


def test_a_batch_names_the_batches_that_resend_most_of_it(browser, make_message, monkeypatch):
    monkeypatch.setattr("django_smsww.admin.batch_notes.MOST_BATCHES", 1)
    most, least = uuid4(), uuid4()
    for new in (least, most, most, None):
        make_message(batch=new, resend_of=make_message(batch=BATCH, state=State.FAILED))
    assert not missing(browser.get(PAGE), "2 of these messages were resent in batch <a href=")
    assert not missing(browser.get(PAGE), str(most), "<li>…</li>")
    assert missing(browser.get(PAGE), str(least)) == [str(least)]


def test_a_stop_counts_what_a_worker_has_cancelled_in_the_meantime(browser, batch, make_message):
    make_message(batch=BATCH, state=State.CANCELLED)
    assert notices(browser.post(STOP, follow=True)) == ["4 messages were cancelled."]


def test_the_cost_of_a_batch_shows_no_error_of_floats(browser, make_message):
    for _ in range(3):
        make_message(batch=BATCH, state=State.DELIVERED, total_price=Decimal("0.069"))
    assert money(Decimal("16.5600000000001")) == "16.56 EUR"
    assert not missing(browser.get(PAGE), "Cost, as far as is known: 0.207 EUR.")


def test_a_batch_reloads_itself_while_its_messages_are_being_delivered(browser, make_message):
    make_message(batch=BATCH, state=State.NEW)
    make_message(batch=BATCH, state=State.DELIVERED)
    assert not missing(browser.get(PAGE), "This page reloads itself")
    assert missing(browser.get(PAGE + "?still"), "This page reloads itself")
    Message.objects.update(updated_at=timezone.now() - timedelta(minutes=2))
    assert missing(browser.get(PAGE), "This page reloads itself")


def test_the_cost_of_a_batch_is_not_named_before_one_is_known(browser, make_message):
    make_message(batch=BATCH)
    assert missing(browser.get(PAGE), "as far as is known")


def test_what_a_worker_takes_after_the_stop_is_not_sent(browser, batch, make_message, smsoutbox):
    browser.post(STOP)
    late = make_message(batch=BATCH)
    deliver_due(sms_backends["default"], using="default")
    late.refresh_from_db()
    assert late.state == State.CANCELLED
    assert [sms.reference for sms in smsoutbox] == [batch.reference]


def test_a_second_stop_cancels_nothing(browser, batch):
    browser.post(STOP)
    answer = browser.post(STOP, follow=True)
    assert notices(answer)[-1] == "No message was cancelled, because none was waiting."
    assert not missing(answer, "what had not left is cancelled")
    assert Suspension.objects.count() == 1


def test_a_stop_that_comes_too_late_says_so(browser, make_message):
    make_message(batch=BATCH, state=State.PENDING)
    answer = browser.post(STOP, follow=True)
    assert notices(answer) == ["No message was cancelled, because none was waiting."]
    assert not missing(answer, 'class="warning"', "It was stopped too late: no message was waiting")
    assert missing(answer, "is cancelled") == ["is cancelled"]


def test_the_link_that_ends_the_reloads_is_not_called_stop(browser, batch):
    links = re.findall(r"<a [^>]*>([^<]*)</a>", text_of(browser.get(PAGE)))
    assert [link for link in links if "Stop" in link or "refresh" in link] == [
        "End the automatic refresh",
        "Stop…",
    ]


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
    assert counts[0] == counts[1] <= 14


@pytest.mark.skipif(connection.vendor != "sqlite", reason="reads the plans of SQLite")
def test_a_batch_among_many_messages_is_read_by_its_index(browser, batch, make_message, queries):
    """SQLite counts those without a batch as one batch, and so takes each for a large one."""
    for _ in range(200):
        make_message()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
        with queries:
            browser.get(PAGE)
    table, begun = "django_smsww_message", [("SEARCH", "smsww_message_batched")]
    grouped = [each["sql"] for each in queries if "GROUP BY" in each["sql"]]
    plans = [reads(sql, table) for sql in grouped]
    assert [[(one.verb, one.index) for one in plan] for plan in plans] == [begun] * 4
    joined = [reads(sql, "T2") for sql in grouped]
    assert [one.verb for plan in joined for one in plan] == ["SEARCH"] * 2


def test_no_page_asks_for_the_first_message_of_a_batch_by_its_key(browser, batch, queries):
    """PostgreSQL may walk through the keys of all messages until it meets one of this batch."""
    with queries:
        browser.get(PAGE)
        browser.get(STOP)
        browser.post(STOP, {"reason": "wrong text"})
        browser.post(f"{admin_url('message_changelist')}?batch={BATCH}", RESEND_ALL)
    assert LogEntry.objects.count() == 2
    said = [each["sql"].replace("`", '"') for each in queries]
    assert [sql for sql in said if re.search(r'"batch" = \S+ LIMIT 1$', sql)]
    assert not [sql for sql in said if re.search(r'"batch" = .*ORDER BY \S*"id"', sql)]


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
    shown = ("2 of 3 sent", ">1 failed<", "Buy now", "sale", "zoe")
    assert not missing(browser.get(BATCHES), *shown)


def test_the_list_and_the_page_say_the_same_of_a_batch(browser, sent):
    page = admin_url("batch_page", sent[0].batch)
    for address in (BATCHES, page):
        assert not missing(browser.get(address), "2 of 3 sent", ">1 failed<")
        assert missing(browser.get(address), "done") == ["done"]


def test_the_list_names_aliases_if_there_are_two(browser, sent, settings):
    assert missing(browser.get(BATCHES), "field-alias") == ["field-alias"]
    settings.SMSWW = dict.fromkeys(("default", "shop"), settings.SMSWW["default"])
    assert not missing(browser.get(BATCHES), "field-alias")


def test_a_batch_of_one_tag_has_it_and_a_batch_of_several_says_so(browser, smsoutbox, monkeypatch):
    monkeypatch.setattr("django_smsww.sending.api.BLOCK_ROWS", 2)
    batches = {}
    for tags in ("aaaa", "aaab", "abaa", "baaa"):  # in blocks of two
        rows = [SMS("Hello", NUMBER, tag=tag, batch=uuid4()) for tag in tags]
        send_messages([sms.replace(batch=rows[0].batch) for sms in rows])
        batches[rows[0].batch] = "a" if tags == "aaaa" else ""
    stored = dict(Batch.objects.values_list("reference", "tag"))
    assert stored == batches
    names = re.findall(r'field-tags">([^<]*)<', text_of(browser.get(BATCHES)))
    assert names == ["several", "several", "several", "a"]
    pages = [text_of(browser.get(admin_url("batch_page", batch))) for batch in batches]
    assert "<strong>a</strong>" in pages[0]
    assert [page.count("Tags: <bdi>a (3), b (1)</bdi>.") for page in pages[:2]] == [0, 1]


def test_the_page_names_the_most_frequent_tags(browser, make_message):
    for n in range(22):
        make_message(batch=BATCH, tag=f"t{n:02}" if n else "")
    assert not missing(browser.get(PAGE), "Tags: <bdi>none (1), t01 (1), ", "t19 (1), …</bdi>.")


def test_what_was_sent_and_not_delivered_is_counted(browser, sent):
    Message.objects.filter(state=State.NEW).update(state=State.EXPIRED)
    for address in (BATCHES, admin_url("batch_page", sent[0].batch)):
        assert not missing(browser.get(address), "2 of 3 sent", ">2 not delivered<")


def test_a_batch_is_found_by_its_id_and_its_tag(browser, sent):
    send_mass_sms("Other", [NUMBER])
    for typed in (sent[0].batch, "sale"):
        [found] = listed(browser.get(BATCHES, {"q": typed}))
        assert Batch.objects.get(pk=found).reference == sent[0].batch
    assert len(listed(browser.get(LIST, {"q": sent[0].batch}))) == 3


def test_the_list_leads_to_the_page_and_a_message_to_its_batch(browser, sent):
    page = admin_url("batch_page", sent[0].batch)
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
