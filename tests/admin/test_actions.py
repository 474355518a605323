"""Refresh, cancel and settle from the admin: one message, or some."""

import re
from datetime import timedelta
from html import unescape

import pytest
from django.contrib.admin.models import LogEntry
from django.utils import timezone

from django_smsww import SendResult, SMSUnavailable, State
from django_smsww.models import Event, Message
from django_smsww.reconcile.report import Reason

from ..support.people import (
    LIST,
    admin_url,
    browser_of,
    missing,
    notices,
    page,
    selection,
    staff,
    text_of,
)

pytestmark = pytest.mark.django_db


def action_page(name, message=None):
    return (
        admin_url(f"message_{name}", message.pk)
        if message
        else admin_url(f"message_{name}_selected")
    )


def state_of(message):
    message.refresh_from_db()
    return message.state


@pytest.fixture
def unknown(make_message):
    """Return a function that makes a row whose outcome is unknown, past its grace period."""

    def make(**columns):
        long_ago = timezone.now() - timedelta(hours=1)
        return make_message(state=State.UNKNOWN, claimed_at=long_ago, **columns)

    return make


# Refresh


def test_refresh_asks_first_and_then_the_gateway(browser, make_message, provider):
    provider.known["p1"] = SendResult(provider_id="p1", state="DELIVERED")
    message = make_message(state=State.PENDING, provider_id="p1")
    assert not missing(
        browser.get(action_page("refresh", message)), "1 message can be looked up now"
    )
    assert provider.asked == []
    answer = browser.post(action_page("refresh", message), follow=True)
    assert notices(answer) == ["The gateway was asked. The message is now: Delivered."]
    assert (provider.asked, state_of(message)) == (["p1"], "DELIVERED")


def test_refresh_tells_what_the_gateway_lacks(browser, make_message, provider):
    message = make_message(state=State.PENDING, provider_id="p1")
    answer = browser.post(action_page("refresh", message), follow=True)
    assert notices(answer) == ["The gateway has no such message."]
    assert state_of(message) == "PENDING"


def test_refresh_looks_for_what_has_no_id(browser, unknown, provider):
    message = unknown(recipient="+393330000001")
    provider.listed.append(
        SendResult(
            provider_id="p9",
            state="DELIVERED",
            recipient=message.recipient,
            body=message.body,
            created_at=message.claimed_at,
            custom={"_smsww": {"reference": str(message.reference), "environment": ""}},
        )
    )
    browser.post(action_page("refresh", message))
    assert state_of(message) == "DELIVERED"
    assert message.provider_id == "p9"


def test_refresh_says_why_it_is_still_unknown(browser, unknown, provider):
    message = unknown()
    answer = browser.post(action_page("refresh", message), follow=True)
    said = "The gateway’s list does not show the message. It can be settled now."
    assert notices(answer) == [said]
    message.refresh_from_db()
    assert message.error_text in {reason.value for reason in Reason}
    asked = "the gateway was asked, and its answer did not decide it."
    assert not missing(browser.get(page(message)), asked)
    Message.objects.update(claimed_at=timezone.now())  # sent again since then
    assert missing(browser.get(page(message)), asked)


def test_refresh_says_from_when_a_message_can_be_settled(browser, fresh, provider):
    answer = browser.post(action_page("refresh", fresh), follow=True)
    said = too_early(fresh).partition(" on:")[0]
    assert notices(answer) == [f"The gateway’s list does not show the message yet. {said} on."]


def test_refresh_says_if_the_gateway_knows_a_message_of_unknown_outcome(browser, unknown, provider):
    message = unknown()
    message.callbacks.create(reference=message.reference, digest="1", payload={})
    answer = browser.post(action_page("refresh", message), follow=True)
    assert notices(answer) == ["The gateway knows the message, but its outcome is still unknown."]


def test_many_are_refreshed_and_the_list_is_read_once(browser, make_message, unknown, provider):
    provider.known["p1"] = SendResult(provider_id="p1", state="EXPIRED")
    rows = [make_message(state=State.NEW, provider_id="p1"), unknown(), unknown(), make_message()]
    answer = browser.post(action_page("refresh"), selection(*rows), follow=True)
    assert provider.asked.count("list") <= 2
    assert state_of(rows[0]) == "EXPIRED"
    assert notices(answer)[0] == "1 message was looked up."
    assert "1 was skipped: The gateway does not know it." in notices(answer)


def test_a_gateway_that_is_away_is_not_asked_again(browser, make_message, provider):
    rows = [make_message(state=State.NEW, provider_id=name) for name in ("p1", "p2", "p3")]
    provider.known["p1"] = SMSUnavailable("The gateway is away")
    answer = browser.post(action_page("refresh"), selection(*rows), follow=True)
    assert provider.asked == ["p1"]
    assert "The gateway is away" in notices(answer)[0]
    links = "; ".join(f'<a href="{page(row)}">{row}</a>' for row in rows[1:])
    said = "The gateway failed on a message, so the messages after it were not tried: "
    assert notices(answer)[1] == said + links


def test_a_gateway_that_answers_503_is_not_said_to_give_no_answer(browser, make_message, provider):
    message = make_message(state=State.NEW, provider_id="p1")
    provider.known["p1"] = SMSUnavailable(status=503)
    answer = browser.post(action_page("refresh", message), follow=True)
    assert notices(answer) == ["The gateway gave no usable answer (HTTP 503)."]


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"alias": "gone"}, "alias cannot be used"),
        ({"provider_id": None}, "does not know it"),
        ({}, "cannot look messages up"),
        ({"environment": "staging.example.com"}, "belongs to another deployment"),
    ],
)
def test_what_cannot_be_asked_for_has_no_button(browser, make_message, columns, reason):
    message = make_message(**{"state": State.NEW, "provider_id": "p1"} | columns)
    assert action_page("refresh", message) not in text_of(browser.get(page(message)))
    for ask in (browser.get, browser.post):
        assert reason in notices(ask(action_page("refresh", message), follow=True))[0]


# Cancel


def test_cancel_asks_first_and_keeps_who_and_why(browser, make_message):
    message = make_message(segments=3, country="")
    shown = ("1 message can be cancelled now", "3 segments", "IT (1)", 'name="reason"')
    shown += ("all messages that still wait are cancelled",)
    assert not missing(browser.get(action_page("cancel", message)), *shown)
    assert state_of(message) == "QUEUED"
    answer = browser.post(action_page("cancel", message), {"reason": "wrong text"}, follow=True)
    assert notices(answer) == ["It was cancelled; nothing was sent."]
    event = Event.objects.get()
    assert (event.kind, event.reason, event.user.username) == ("cancelled", "wrong text", "ann")
    assert state_of(message) == "CANCELLED"


@pytest.mark.parametrize("state", [state for state in State if state != State.QUEUED])
def test_only_what_waits_is_cancelled(browser, make_message, state):
    message = make_message(state=state)
    assert action_page("cancel", message) not in text_of(browser.get(page(message)))
    browser.post(action_page("cancel", message))
    browser.post(action_page("cancel"), selection(message))
    assert state_of(message) == state
    assert not Event.objects.exists()


def test_many_are_cancelled_and_the_others_named(browser, make_message):
    rows = [make_message(), make_message(), make_message(state=State.NEW)]
    question = browser.post(LIST, selection(*rows, action="cancel_selected"))
    assert not missing(question, "2 messages can be cancelled now", "These are not cancelled")
    answer = browser.post(action_page("cancel"), selection(*rows, reason="late"), follow=True)
    assert notices(answer) == [
        "2 messages were cancelled.",
        "1 was skipped: It is not in the queue.",
    ]
    assert Event.objects.filter(reason="late").count() == 2


# Settle


@pytest.mark.parametrize(("verdict", "state"), [("sent", "PENDING"), ("unsent", "FAILED")])
def test_settle_moves_an_unknown_message_on_a_persons_word(browser, unknown, verdict, state):
    message = unknown()
    assert not missing(browser.get(action_page("settle", message)), "Refresh first")
    browser.post(action_page("settle", message), {"verdict": verdict, "reason": "she called"})
    assert state_of(message) == state
    event = Event.objects.get()
    assert (event.kind, event.reason, event.user.username) == ("settled", "she called", "ann")


def test_the_page_that_settles_can_ask_the_gateway_first(browser, unknown, provider):
    message = unknown(provider_id="p1")
    provider.known["p1"] = SendResult(provider_id="p1", state="DELIVERED")
    question = text_of(browser.get(action_page("settle", message)))
    form = question.partition('<form method="post"')[2]
    assert form.index('value="Settle"') < form.index('value="Refresh"')  # Enter presses the first
    [address] = re.findall('formaction="([^"]*)" formnovalidate value="Refresh"', form)
    answer = browser.post(address, {"reason": ""}, follow=True)
    assert notices(answer) == ["The gateway was asked. The message is now: Delivered."]


def test_the_page_that_settles_offers_no_refresh_that_is_refused(browser, unknown, provider):
    may_settle = browser_of(staff("view_message", "settle_message", name="bob"))
    foreign = unknown(environment="another", provider_id="p1")
    for reader, message in ((may_settle, unknown()), (browser, foreign)):
        page = reader.get(action_page("settle", message))
        assert missing(page, "Refresh first", "formaction") == ["formaction"]


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"verdict": "sent"},
        {"reason": "x"},
        {"verdict": "QUEUED", "reason": "x"},
        {"verdict": "sent", "reason": " "},
        {"verdict": "sent", "reason": "x" * 256},
    ],
)
def test_settle_needs_a_verdict_and_a_reason(browser, unknown, form):
    message = unknown()
    for where, data in (
        (action_page("settle", message), form),
        (action_page("settle"), selection(message) | form),
    ):
        assert not missing(browser.post(where, data), "errornote", message.recipient)
    assert state_of(message) == "UNKNOWN"


@pytest.fixture
def fresh(make_message):
    """An UNKNOWN message whose request began a moment ago, and may still be under way.

    It began between two minutes, so a page that cuts the seconds off names a time too early.
    """
    a_moment_ago = timezone.now().replace(second=1) - timedelta(minutes=1)
    return make_message(state=State.UNKNOWN, claimed_at=a_moment_ago)


def too_early(message):
    at = timezone.localtime(message.claimed_at + timedelta(minutes=11, microseconds=-1))
    return f"It can be settled from {at:%H:%M %Z} on: until then its request may still be under way"


def test_the_page_says_from_when_a_message_can_be_settled(browser, fresh):
    shown, button = too_early(fresh), action_page("settle", fresh)
    assert missing(browser.get(page(fresh)), shown, button) == [button]
    assert notices(browser.get(button, follow=True)) == [f"{shown}."]
    move_back(fresh)
    assert missing(browser.get(page(fresh)), "It can be settled", button) == ["It can be settled"]


def move_back(message):
    """Let the grace period of a message end."""
    message.claimed_at -= timedelta(minutes=11)
    message.save()


def test_users_who_may_not_settle_do_not_read_from_when(fresh):
    answer = browser_of(staff("view_message")).get(page(fresh))
    assert missing(answer, "It can be settled") == ["It can be settled"]


def test_a_question_about_nothing_leads_back(browser, fresh, unknown):
    for message, link in ((fresh, ">Back</a>"), (unknown(), ">No, take me back</a>")):
        question = browser.post(LIST, selection(message, action="settle_selected"))
        assert not missing(question, link)


def test_the_question_about_many_says_from_when(browser, fresh, unknown):
    question = browser.post(LIST, selection(fresh, unknown(), action="settle_selected"))
    seen = ("1 message can be settled now", "These are not settled", too_early(fresh))
    assert not missing(question, *seen)


KEPT = 'name="reason" value="she called"'


@pytest.mark.parametrize("is_heard_of", [False, True])
def test_a_refused_settlement_keeps_the_reason(browser, fresh, is_heard_of):
    why = too_early(fresh)
    if is_heard_of:
        move_back(fresh)
        fresh.callbacks.create(reference=fresh.reference, digest="1", payload={})
        why = "The provider has this message, so it was sent: settle it as sent."
    form = {"verdict": "unsent", "reason": "she called"}
    for where, data in (
        (action_page("settle", fresh), form),
        (action_page("settle"), selection(fresh) | form),
    ):
        assert not missing(browser.post(where, data), why, KEPT)
    assert state_of(fresh) == "UNKNOWN"


def test_a_second_settlement_does_nothing_and_keeps_the_reason(browser, unknown):
    message = unknown()
    form = {"verdict": "sent", "reason": "she called"}
    browser.post(action_page("settle", message), form)
    answer = browser.post(action_page("settle", message), form | {"verdict": "unsent"})
    assert not missing(answer, "Its outcome is known.", KEPT)
    assert (state_of(message), Event.objects.count()) == ("PENDING", 1)


def test_many_are_settled_with_one_reason(browser, unknown, make_message):
    rows = [unknown(), unknown(), make_message(state=State.UNKNOWN, claimed_at=timezone.now())]
    form = selection(*rows, verdict="unsent", reason="the log says so")
    answer = browser.post(action_page("settle"), form, follow=True)
    assert notices(answer)[0] == "2 messages were settled."
    assert notices(answer)[1].startswith("1 was skipped: It can be settled from ")
    assert [state_of(row) for row in rows] == ["FAILED", "FAILED", "UNKNOWN"]


# All of them


@pytest.mark.parametrize("name", ["refresh", "cancel", "settle"])
def test_the_log_has_no_number(browser, make_message, unknown, provider, name):
    message = make_message() if name == "cancel" else unknown()
    browser.post(action_page(name, message), {"verdict": "sent", "reason": "secret +3933312345"})
    entry = LogEntry.objects.get()
    assert "+39" not in entry.object_repr + entry.change_message


def test_an_unknown_message_cannot_be_resent_before_it_is_settled(browser, unknown, smsoutbox):
    message = unknown()
    browser.post(action_page("resend", message))
    assert smsoutbox == []
    browser.post(action_page("settle", message), {"verdict": "unsent", "reason": "x"})
    browser.post(action_page("resend", message))
    assert [sms.recipient for sms in smsoutbox] == [message.recipient]


# What people see before and after


ALL = ("refresh", "cancel", "settle", "resend")


@pytest.fixture
def rows(make_message, unknown, provider):
    """Return a function that makes a message for an action."""

    def make(name, **columns):
        if name in ("refresh", "settle"):
            return unknown(**columns)
        return make_message(state="QUEUED" if name == "cancel" else "FAILED", **columns)

    return make


@pytest.mark.parametrize("name", ALL)
def test_the_question_shows_number_and_text(browser, rows, name):
    message = rows(name, body="Your table is ready.")
    seen = (message.recipient, "Your table is ready.")
    question = browser.post(LIST, selection(message, action=f"{name}_selected"))
    assert not missing(browser.get(action_page(name, message)), *seen)
    assert missing(question, *seen, str(message.reference)) == [str(message.reference)]


@pytest.mark.parametrize("name", ALL)
def test_the_question_about_refused_messages_shows_number_and_text(browser, make_message, name):
    message = make_message(state=State.SENDING, body="Your table is ready.")
    question = browser.post(LIST, selection(message, action=f"{name}_selected"))
    seen = (message.recipient, "Your table is ready.")
    assert missing(question, *seen, str(message.reference)) == [str(message.reference)]


def test_without_the_permission_the_question_shows_references(make_message):
    browser = browser_of(staff("view_message", "cancel_message"))
    waiting, over = make_message(body="secret"), make_message(body="secret", state=State.FAILED)
    question = browser.post(LIST, selection(waiting, over, action="cancel_selected"))
    hidden = ("secret", waiting.recipient)
    assert missing(question, str(waiting.reference), str(over.reference), *hidden) == [*hidden]


@pytest.mark.parametrize("name", ALL)
def test_the_filter_of_the_list_is_kept(browser, rows, name):
    filtered = f"{LIST}?country=IT"
    message = rows(name, country="IT")
    question = text_of(browser.post(filtered, selection(message, action=f"{name}_selected")))
    assert f'href="{filtered}"' in question  # to go back
    [there] = re.findall(r'<form method="post" action="([^"]*)"', question)
    form = selection(message, verdict="sent", reason="x")
    assert browser.post(unescape(there), form).url == filtered


@pytest.mark.parametrize("name", ALL)
def test_the_page_of_a_message_leads_back_to_the_filtered_list(browser, rows, name):
    kept = "_changelist_filters=country%3DIT"
    message = rows(name, country="IT")
    button = f"{action_page(name, message)}?{kept}"
    assert not missing(browser.get(f"{page(message)}?{kept}"), f'href="{button}"')
    assert not missing(browser.get(button), f'href="{page(message)}?{kept}"')
    assert browser.post(button, {"verdict": "sent", "reason": "x"}).url.endswith(f"?{kept}")


DEEDS = {
    "refresh": "Looked up at the gateway",
    "cancel": "Cancelled",
    "settle": "Settled as sent",
    "resend": "Resent as ",
}


@pytest.mark.parametrize("name", ALL)
def test_recent_actions_say_once_what_was_done(browser, rows, name):
    message = rows(name)
    browser.post(action_page(name, message), {"verdict": "sent", "reason": "x"})
    entry = LogEntry.objects.get()
    assert entry.object_repr.startswith(DEEDS[name])
    assert entry.object_repr.endswith(f" · {message.reference}")
    assert not missing(browser.get("/admin/"), entry.object_repr)
    assert not missing(browser.get(admin_url("message_history", message.pk)), DEEDS[name])
