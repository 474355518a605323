"""Send once more from the admin: one message, or some."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_smsww import (
    ContentRefused,
    InsufficientCredit,
    SendResult,
    SMSOutcomeUnknown,
    SMSUnavailable,
    State,
)
from django_smsww.models import Message, Suppression, Suspension
from django_smsww.models.message import fingerprint
from django_smsww.sending.api import resend
from django_smsww.states import Cause

from ..conftest import NUMBER, raises
from ..support.people import (
    EVERYTHING,
    LIST,
    admin_url,
    browser_of,
    missing,
    notices,
    page,
    resend_page,
    selection,
    staff,
    text_of,
)

RESEND_MANY = admin_url("message_resend_selected")
pytestmark = pytest.mark.django_db


def test_resend_asks_on_get_and_sends_on_post(browser, make_message, smsoutbox):
    message = make_message(state=State.FAILED, segments=2, total_price=Decimal("0.14"))
    shown = (str(message.reference), NUMBER, "2 segments", "0.14 EUR")
    assert not missing(browser.get(resend_page(message)), *shown)
    assert smsoutbox == []
    response = browser.post(resend_page(message), follow=True)
    assert [sms.recipient for sms in smsoutbox] == [NUMBER]
    fresh = message.resent_as
    assert response.redirect_chain[-1][0] == page(fresh)
    assert fresh.created_by.username == "ann"
    assert notices(response) == ["It was sent once more. This is the new message."]


def test_a_resend_that_waits_is_said_to(browser, make_message, gateway):
    gateway.configure(queue=True)
    message = make_message(state=State.FAILED)
    response = browser.post(resend_page(message), follow=True)
    assert notices(response) == ["This is the new message. It waits to be sent."]


def test_a_second_post_sends_nothing(browser, make_message, smsoutbox):
    message = make_message(state=State.FAILED)
    browser.post(resend_page(message))
    response = browser.post(resend_page(message), follow=True)
    assert len(smsoutbox) == 1
    assert "resent already" in notices(response)[-1]
    assert response.redirect_chain[-1][0] == page(message.resent_as)


def test_the_slower_of_two_clicks_shows_what_the_other_sent(
    browser, make_message, smsoutbox, monkeypatch
):
    def late(message, **extra):
        resend(message, **extra)
        return resend(message, **extra)

    monkeypatch.setattr("django_smsww.admin.actions.resend.resend", late)
    message = make_message(state=State.FAILED)
    response = browser.post(resend_page(message), follow=True)
    assert len(smsoutbox) == 1
    assert response.redirect_chain[-1][0] == page(message.resent_as)


def test_what_was_delivered_needs_a_second_answer(browser, make_message, smsoutbox):
    message = make_message()
    result = SendResult(provider_id="p1", state="DELIVERED")
    Message.objects.filter(pk=message.pk).accept(result, Cause.EVIDENCE)
    assert not missing(browser.get(resend_page(message)), 'name="again"')
    assert not missing(browser.post(resend_page(message)), "Tick the box")
    assert smsoutbox == []
    browser.post(resend_page(message), {"again": "yes"})
    assert len(smsoutbox) == 1


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"state": State.UNKNOWN}, "settle it first"),
        ({"state": State.QUEUED}, "under way"),
        ({"state": State.PENDING}, "under way"),
        ({"state": State.FAILED, "dry_run": True}, "dry run"),
        ({"state": State.FAILED, "scrubbed": True}, "deleted"),
        ({"state": State.FAILED, "error": ContentRefused.__name__}, "write another text"),
        ({"state": State.DELIVERED, "blocklisted": True}, "write another text"),
        ({"state": State.FAILED, "penalty": Decimal(1)}, "write another text"),
    ],
)
@pytest.mark.parametrize("method", ["get", "post"])
def test_what_must_not_be_resent_is_not(browser, make_message, smsoutbox, columns, reason, method):
    message = make_message(**columns)
    assert missing(browser.get(page(message)), resend_page(message))
    response = getattr(browser, method)(resend_page(message), {"again": "yes"}, follow=True)
    assert reason in notices(response)[0]
    assert smsoutbox == []
    assert Message.objects.count() == 1


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize(
    "columns",
    [
        {},
        {"dry_run": True},
        {"scrubbed": True},
        {"blocklisted": True},
        {"penalty": Decimal(0)},
        {"error": "ContentRefused"},
        {"error": "SMSRefused"},
    ],
)
def test_the_button_is_there_where_a_resend_is_allowed(make_message, state, columns):
    message = make_message(state=state, **columns)
    allowed = Message.objects.resendable().filter(pk=message.pk).exists()
    assert (message.why_not_resendable() == "") == allowed


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("error", "said"),
    [
        (SMSUnavailable("The gateway is away"), "was not sent: The gateway is away"),
        (SMSOutcomeUnknown("No answer"), "may have been sent: No answer"),
    ],
)
def test_a_resend_that_fails_shows_its_row(browser, make_message, gateway, error, said):
    gateway.answer = raises(error)
    message = make_message(state=State.FAILED)
    response = browser.post(resend_page(message), follow=True)
    assert response.redirect_chain[-1][0] == page(message.resent_as)
    assert said in notices(response)[0]


def test_an_alias_that_is_gone_is_said_to_be(browser, make_message):
    message = make_message(state=State.FAILED, alias="gone")
    response = browser.post(resend_page(message), follow=True)
    assert "alias cannot be used" in notices(response)[0]
    assert response.redirect_chain[-1][0] == page(message)


def test_a_message_that_is_not_there_is_not_resent(browser):
    assert browser.post(admin_url("message_resend", 404)).status_code == 404


def test_the_log_names_references_alone(browser, make_message, smsoutbox):
    message = make_message(state=State.FAILED, body="secret")
    browser.post(resend_page(message))
    entry, deed = LogEntry.objects.get(), f"Resent as {message.resent_as.reference}"
    assert (entry.object_repr, entry.change_message) == (f"{deed} · {message.reference}", deed)


# Resend many


def test_the_action_asks_and_sends_nothing(browser, make_message, smsoutbox):
    good, more = (make_message(state=state) for state in (State.FAILED, State.EXPIRED))
    bad = make_message(state=State.UNKNOWN)
    question = browser.post(LIST, selection(good, more, bad, action="resend_selected"))
    assert not missing(question, "2 messages can be sent again now", "settle it first")
    assert smsoutbox == []


def test_the_question_does_not_count_what_a_resend_would_refuse(browser, make_message, smsoutbox):
    rows = [make_message(state=State.FAILED) for _ in range(2)]
    invalid = make_message(state=State.FAILED, recipient="12")
    suppressed = make_message(state=State.FAILED, recipient="+393331230001")
    Suppression.objects.create(recipient=suppressed.recipient)
    question = browser.post(LIST, selection(*rows, invalid, suppressed, action="resend_selected"))
    said = ("2 messages can be sent again now", "plus sign", "do-not-send list")
    assert not missing(question, *said)
    assert smsoutbox == []


def test_the_question_about_one_message_checks_it_once(browser, make_message):
    message = make_message(state=State.FAILED)
    with CaptureQueriesContext(connection) as captured:
        browser.get(resend_page(message))
    lists = [one["sql"] for one in captured if "django_smsww_suppression" in one["sql"]]
    assert len(lists) == 1


def test_a_resend_is_sized_and_priced_alike_at_once_and_through_the_queue(browser, make_message):
    make_message(state=State.DELIVERED, country="IT", price=Decimal("0.05"))
    rows = [
        make_message(state=State.FAILED, segments=2),
        make_message(state=State.EXPIRED, country="ES", recipient="+34600000000"),
    ]
    size = (
        "<strong>3 segments</strong>.",
        "Countries: ES (1), IT (1).",
        "At the last known prices they cost about 0.1 EUR.",
        "The cost of 1 message is not known.",
    )
    for name in ("resend_selected", "resend_all"):
        assert not missing(browser.post(LIST, selection(*rows, action=name)), *size)
    [alone, _priceless] = rows
    its = ("<strong>2 segments</strong>.", "At the last known prices it costs about 0.1 EUR.")
    assert not missing(browser.get(resend_page(alone)), *its, "Countries: IT (1).")


@pytest.mark.parametrize("name", ["resend_selected", "resend_all", "cancel_selected"])
def test_the_question_tells_no_cost_where_none_is_seen_or_made(make_message, name):
    make_message(state=State.DELIVERED, country="IT", price=Decimal("0.05"))
    without = {*EVERYTHING} - {"view_message_costs"}
    browser = browser_of(staff(*(EVERYTHING if name == "cancel_selected" else without)))
    state = State.QUEUED if name == "cancel_selected" else State.FAILED
    question = browser.post(LIST, selection(make_message(state=state), action=name))
    assert missing(question, "1 segment<", "cost about", "is not known") == [
        "cost about",
        "is not known",
    ]


def test_the_confirmed_are_sent_and_the_others_named(browser, make_message, smsoutbox):
    good = make_message(state=State.FAILED)
    delivered = make_message(state=State.DELIVERED)
    unknown = make_message(state=State.UNKNOWN)
    response = browser.post(RESEND_MANY, selection(good, delivered, unknown), follow=True)
    assert len(smsoutbox) == 1
    assert notices(response) == [
        "1 message was resent.",
        "1 was skipped: It was delivered.",
        "1 was skipped: Its outcome is unknown: settle it first, as it may have been sent.",
    ]
    browser.post(RESEND_MANY, selection(delivered, again="yes"))
    assert len(smsoutbox) == 2


def test_the_question_lists_the_messages_in_the_order_in_which_they_leave(browser, make_message):
    rows = [make_message(state=State.FAILED, recipient=f"+39333123450{n}") for n in range(3)]
    question = text_of(browser.post(LIST, selection(*rows, action="resend_selected")))
    places = [question.index(row.recipient) for row in rows]
    assert places == sorted(places)


def test_a_bulk_resend_posted_twice_sends_once(browser, make_message, smsoutbox):
    chosen = selection(make_message(state=State.FAILED), make_message(state=State.REJECTED))
    browser.post(RESEND_MANY, chosen)
    response = browser.post(RESEND_MANY, chosen, follow=True)
    assert len(smsoutbox) == 2
    assert notices(response)[-1].startswith("2 were skipped: It was resent already")


@pytest.mark.django_db(transaction=True)
def test_a_bulk_resend_stops_when_the_gateway_is_away(browser, make_message, gateway):
    gateway.answer = raises(InsufficientCredit())
    rows = [make_message(state=State.FAILED) for _ in range(3)]
    response = browser.post(RESEND_MANY, selection(*rows), follow=True)
    assert len(gateway.sent) == 1
    tried, skipped = notices(response)
    assert page(rows[0]) in tried
    assert skipped.startswith(
        "The gateway failed on a message, so the messages after it were not tried"
    )
    assert page(rows[1]) in skipped
    assert page(rows[2]) in skipped


HELD = "Sending is suspended; nothing was sent"


def test_a_resend_of_several_writes_no_rows_while_sending_is_suspended(
    browser, make_message, gateway
):
    rows = [make_message(state=State.FAILED) for _ in range(3)]
    Suspension.objects.pause("default", "")
    response = browser.post(RESEND_MANY, selection(*rows), follow=True)
    assert notices(response) == [f"3 were skipped: {HELD}"]
    assert (Message.objects.count(), gateway.sent) == (3, [])


def test_a_resend_of_one_writes_no_row_while_sending_is_suspended(browser, make_message):
    message = make_message(state=State.FAILED)
    Suspension.objects.pause("default", "")
    response = browser.post(resend_page(message), follow=True)
    assert notices(response) == [HELD]
    assert response.redirect_chain[-1][0] == page(message)
    assert Message.objects.count() == 1


def test_a_suspended_text_holds_back_only_its_own_messages(browser, make_message, smsoutbox):
    bad, good = (
        make_message(state=State.FAILED, body=body, fingerprint=fingerprint(body))
        for body in ("One", "Two")
    )
    Suspension.objects.pause("default", "", scope=f"text:{bad.fingerprint}")
    response = browser.post(RESEND_MANY, selection(bad, good), follow=True)
    assert notices(response) == ["1 message was resent.", f"1 was skipped: {HELD}"]
    assert [sms.body for sms in smsoutbox] == ["Two"]


def test_a_resend_through_the_queue_waits_for_the_end_of_a_suspension(
    browser, make_message, gateway
):
    gateway.configure(queue=True)
    message = make_message(state=State.FAILED)
    Suspension.objects.pause("default", "")
    browser.post(RESEND_MANY, selection(message))
    assert message.resent_as.state == State.QUEUED


def test_a_suspension_that_is_over_lets_a_resend_test_the_gateway(browser, make_message, smsoutbox):
    over = timezone.now() - timedelta(seconds=1)
    Suspension.objects.create(alias="default", error="InsufficientCredit", until=over)
    browser.post(RESEND_MANY, selection(make_message(state=State.FAILED)))
    assert len(smsoutbox) == 1


def test_too_many_are_not_resent(browser, make_message, smsoutbox):
    rows = [make_message(state=State.FAILED) for _ in range(51)]
    response = browser.post(RESEND_MANY, selection(*rows), follow=True)
    assert "At most 50" in notices(response)[0]
    whole_list = selection(rows[0], action="resend_selected", select_across="1")
    assert "At most 50" in notices(browser.post(LIST, whole_list, follow=True))[0]
    assert smsoutbox == []


@pytest.mark.parametrize("made_up", ["x", "-1", "9" * 30, "٣", "1 OR 1"])
def test_made_up_keys_resend_nothing(browser, make_message, smsoutbox, made_up):
    make_message(state=State.FAILED)
    assert browser.post(RESEND_MANY, {"_selected_action": made_up}).status_code == 302
    assert smsoutbox == []


@pytest.mark.django_db(transaction=True)
def test_a_resend_is_told_of_where_each_request_is_a_transaction(
    browser, make_message, gateway, monkeypatch
):
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    answer = browser.post(resend_page(make_message(state=State.FAILED)), follow=True)
    assert notices(answer) == ["It was sent once more. This is the new message."]


# Resend a whole list


def ask(browser, query="", **extra):
    chosen = {"action": "resend_all", "select_across": "1", "_selected_action": "0", **extra}
    return browser.post(LIST + query, chosen, follow=True)


def confirm(browser, question, query="", **extra):
    return ask(browser, query, newest=question.context["newest"], **extra)


def test_a_whole_filtered_list_is_queued_once(browser, make_message, gateway):
    for _ in range(60):
        make_message(state=State.FAILED, segments=2)
    make_message(state=State.DELIVERED)
    make_message(state=State.EXPIRED, segments=1)
    query = "?state=FAILED"
    question = ask(browser, query)
    assert not missing(
        question, "60 messages", "120 segments", "The costs of 60 messages are not known"
    )
    assert Message.objects.count() == 62
    later = make_message(state=State.FAILED)
    response = confirm(browser, question, query)
    assert notices(response) == ["60 messages were queued."]
    news = Message.objects.filter(resend_of__isnull=False)
    assert set(news.values_list("state", "batch", "created_by__username")) == {
        ("QUEUED", news[0].batch, "ann")
    }
    assert response.redirect_chain[-1][0] == admin_url("batch_page", news[0].batch)
    assert not hasattr(later, "resent_as")
    assert LogEntry.objects.get().object_repr == f"Resent a list as a batch · {news[0].batch}"
    again = confirm(browser, question, query)
    assert notices(again) == ["No undelivered message on this list can be resent."]
    assert news.count() == 60
    assert gateway.sent == []


def test_selected_messages_are_queued_too(browser, make_message):
    rows = [make_message(state=State.FAILED) for _ in range(3)]
    chosen = selection(*rows[:2], select_across="0")
    confirm(browser, ask(browser, **chosen), **chosen)
    assert [hasattr(Message.objects.get(pk=row.pk), "resent_as") for row in rows] == [1, 1, 0]


def test_a_whole_list_leaves_what_a_person_cancelled(browser, make_message):
    undelivered = ("FAILED", "UNDELIVERABLE", "EXPIRED", "REJECTED")
    for state in State:
        make_message(state=state)
    confirm(browser, ask(browser))
    resent = Message.objects.filter(resent_as__isnull=False)
    assert sorted(resent.values_list("state", flat=True)) == sorted(undelivered)
    assert notices(ask(browser, "?state=CANCELLED")) == [
        "No undelivered message on this list can be resent."
    ]


@pytest.mark.parametrize("missing_one", ["resend_message", "mass_send_message"])
def test_a_whole_list_takes_two_permissions(make_message, missing_one):
    make_message(state=State.FAILED)
    browser = browser_of(staff(*{*EVERYTHING} - {missing_one}))
    assert missing(browser.get(LIST), "resend_all") == ["resend_all"]
    ask(browser, newest="999999")
    assert Message.objects.count() == 1


def test_prices_are_shown_to_those_who_may_see_costs(browser, make_message):
    make_message(state=State.DELIVERED, country="IT", price=Decimal("0.05"))
    make_message(state=State.FAILED, country="IT", segments=3)
    assert not missing(ask(browser), "about 0.15 EUR")
    other = browser_of(staff(*{*EVERYTHING} - {"view_message_costs"}, name="bob"))
    assert missing(ask(other), "0.15") == ["0.15"]


def test_too_long_a_list_is_left_to_the_command(browser, make_message, monkeypatch):
    monkeypatch.setattr("django_smsww.admin.actions.resend_all.MOST", 1)
    for _ in range(2):
        make_message(state=State.FAILED)
    assert "use smsww_resend" in notices(ask(browser))[0]


def test_a_whole_list_with_an_alias_that_is_gone_is_not_queued(browser, make_message):
    make_message(state=State.FAILED, alias="gone")
    assert "alias cannot be used" in notices(confirm(browser, ask(browser)))[0]
    assert Message.objects.count() == 1
