"""Write a message in the admin: checked, tried, confirmed, and sent once."""

from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.utils import timezone
from django.utils.html import escape

from django_smsww import ContentRefused, SendResult, SMSOutcomeUnknown, SMSUnavailable, State
from django_smsww.models import Heartbeat, Message, Suppression, Suspension, fingerprint

from ..conftest import NUMBER, raises
from ..support.people import admin_url, browser_of, missing, notices, page, staff, text_of

COMPOSE = admin_url("message_compose")
LOCMEM = {"BACKEND": "django_smsww.backends.locmem.SMSBackend"}
EVIL = "<script>alert(1)</script>\"'\u202e"
pytestmark = pytest.mark.django_db


@pytest.fixture
def sweeper(db):
    Heartbeat.objects.beat("", "sweep:default")


def form(*numbers, **fields):
    lines = "\n".join(numbers or [NUMBER])
    return {"recipients": lines, "body": "Hello", "alias": "default", "token": uuid4()} | fields


def press(button, browser, *numbers, **fields):
    """Post the form by this button."""
    return browser.post(COMPOSE, form(*numbers, **fields) | {button: "1"})


def confirm(browser, answer):
    """Post what the question holds in hidden fields, as a browser does."""
    return browser.post(COMPOSE, dict(answer.context["hidden"]) | {"_send": "1"}, follow=True)


def numbers(count):
    return [f"+39333{n:07}" for n in range(count)]


# One


def test_a_message_is_shown_before_it_is_sent(browser, smsoutbox):
    shown = ("1 message", "2 segments", "IT (1)", "U+201C", "through “default”")
    assert not missing(press("_check", browser, body="“x”" * 30), *shown)
    assert smsoutbox == []
    assert not Message.objects.exists()


def test_the_confirmed_message_is_sent(browser, smsoutbox):
    data = form(sender="Shop", tag="otp", body="Hello\r\nyou") | {"_send": "1"}
    answer = browser.post(COMPOSE, data, follow=True)
    message = Message.objects.get()
    assert answer.redirect_chain[-1][0] == page(message)
    assert notices(answer) == ["The gateway accepted it."]
    [sms] = smsoutbox
    assert (sms.body, sms.recipient, sms.sender) == ("Hello\nyou", NUMBER, "Shop")
    assert (message.tag, message.created_by.username) == ("otp", "ann")


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (State.SENDING, "It is on its way to the gateway."),
        (State.CANCELLED, "It was cancelled before it was sent."),
        (State.DELIVERED, "The gateway accepted it."),
    ],
)
def test_a_second_click_says_what_became_of_the_message(browser, smsoutbox, state, said):
    data = form() | {"_send": "1"}
    browser.post(COMPOSE, data, follow=True)
    Message.objects.update(state=state)
    assert notices(browser.post(COMPOSE, data, follow=True)) == [said]
    assert len(smsoutbox) == 1


def test_what_the_confirmation_posts_is_what_was_written(browser, smsoutbox):
    fields = {"body": f"{EVIL}\n two ", "sensitive": "on", "tag": "t", "sender": "Shop"}
    confirm(browser, press("_check", browser, **fields))
    [sms] = smsoutbox
    assert (sms.body, sms.sender) == (f"{EVIL}\n two ", "Shop")
    message = Message.objects.get()
    assert (message.sensitive, message.scrubbed, message.tag) == (True, True, "t")


@pytest.fixture
def earlier(make_message):
    """Some numbers that the text was sent to before, and what is like it but is not."""
    text = {"body": "Hello", "fingerprint": fingerprint("Hello")}
    states = ("DELIVERED", "DELIVERED", "UNKNOWN", "EXPIRED")
    for number, state in (*zip(numbers(4), states, strict=True), (numbers(1)[0], "DELIVERED")):
        make_message(recipient=number, state=state, **text)
    make_message(recipient=numbers(5)[4], state=State.DELIVERED, fingerprint=fingerprint("Hi"))
    make_message(recipient=numbers(6)[5], state=State.DELIVERED, dry_run=True, **text)


def test_who_got_the_text_already_is_counted(browser, earlier):
    said = (
        "The same text was delivered to 2 numbers before",
        "For 1 number, a message with the same",
    )
    assert not missing(press("_check", browser, *numbers(7)), *said)
    assert missing(press("_check", browser, *numbers(7), body="Hallo"), *said) == [*said]


def test_who_may_not_read_texts_does_not_learn_who_got_which(earlier):
    blind = browser_of(staff("view_message", "send_message", "mass_send_message"))
    question = text_of(press("_check", blind, *numbers(7)))
    assert "7 messages" in question
    assert "this very text" not in question.lower()


@pytest.mark.parametrize("count", [1, 3])
def test_a_second_click_sends_nothing(browser, smsoutbox, count):
    data = form(*numbers(count)) | {"_send": "1"}
    first = browser.post(COMPOSE, data)
    assert browser.post(COMPOSE, data).url == first.url
    assert len(smsoutbox) == Message.objects.count() == count


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"recipients": "333 123 4567"}, "start with the plus sign"),
        ({"recipients": ""}, "Write at least one number."),
        ({"body": ""}, "required"),
        ({"body": "x" * 50_000}, "must fit into 255 segments"),
        ({"sender": "Shop!"}, "sender must have"),
        ({"sender": "x" * 12}, "at most 11"),
        ({"alias": "gone"}, "Select a valid choice"),
        ({"send_at": "tomorrow"}, "Enter a valid date"),
        ({"token": "x"}, "errornote"),
        ({"tag": "x" * 65}, "at most 64"),
    ],
)
@pytest.mark.parametrize("button", ["_check", "_try", "_send"])
def test_what_is_not_valid_goes_nowhere(browser, smsoutbox, fields, said, button):
    assert not missing(press(button, browser, **fields), said)
    assert smsoutbox == []
    assert not Message.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("error", "said"),
    [
        (SMSUnavailable("The gateway is away"), "It could not be sent: The gateway is away"),
        (SMSOutcomeUnknown("Lost"), "It may have been sent: Lost"),
    ],
)
def test_a_message_that_fails_shows_its_row(browser, gateway, error, said):
    gateway.answer = raises(error)
    answer = browser.post(COMPOSE, form() | {"_send": "1"}, follow=True)
    assert answer.redirect_chain[-1][0] == page(Message.objects.get())
    assert said in notices(answer)[0]


def test_a_number_that_staging_does_not_allow_is_a_problem(browser, gateway):
    gateway.configure(allowed_recipients=[NUMBER])
    answer = press("_check", browser, "+34600000000", NUMBER)
    assert not missing(answer, "1 message", "allowed_recipients of this alias")


def test_a_guard_of_the_alias_is_told_of(browser, settings, smsoutbox):
    settings.SMSWW = {"default": LOCMEM | {"OPTIONS": {"max_per_number": (1, 3600)}}}
    press("_send", browser)
    assert not missing(press("_send", browser), "max_per_number")
    assert len(smsoutbox) == 1


def test_a_time_in_the_future_waits_for_it(browser, smsoutbox, sweeper):
    later = timezone.localtime(timezone.now() + timedelta(days=1))
    question = press("_check", browser, send_at=f"{later:%Y-%m-%dT%H:%M}")
    assert missing(question, f"{later:%H:%M}</time> at the earliest.", "m..") == ["m.."]
    assert notices(confirm(browser, question)) == ["It waits to be sent."]
    message = Message.objects.get()
    assert message.send_at == later.replace(second=0, microsecond=0)
    assert smsoutbox == []


# Try


@pytest.mark.django_db(transaction=True)
def test_a_try_sends_nothing_and_tells_what_the_gateway_says(browser, gateway):
    def answer(sms):
        assert sms.dry_run
        return SendResult(segments=3, total_price=Decimal("0.21"), updated_at=timezone.now())

    gateway.answer = staticmethod(answer)
    shown = ("Nothing was sent", "3 segments", "0.21 EUR", "about the first number", "Hello")
    assert not missing(press("_try", browser, *numbers(2)), *shown)
    message = Message.objects.get()
    assert (message.state, message.dry_run) == (State.VALIDATED, True)


@pytest.mark.django_db(transaction=True)
def test_a_try_that_is_refused_says_why(browser, gateway):
    gateway.answer = raises(SMSUnavailable("The gateway is away"))
    refusal = "It would not be accepted: The gateway is away"
    assert not missing(press("_try", browser), refusal)


def test_a_try_keeps_what_was_uploaded(browser, smsoutbox):
    file = SimpleUploadedFile("numbers.csv", b"recipient;name\n+393330000001;Ann\n")
    assert not missing(press("_try", browser, recipients="", file=file), "+393330000001")


BAD = ["+39 333 000-0001", "", "12", "Ann; +39 333 000-0002", "+39 333 000-0009"]
PROBLEMS = ("Line 3, column 1, “12”: recipient must", "Line 4, column 1, “Ann”", "Line 5, column 1")


@pytest.mark.parametrize("button", ["_try", "_edit"])
def test_what_was_typed_stays_with_a_problem_beside_each_bad_line(browser, smsoutbox, button):
    Suppression.objects.create(recipient="+393330000009")
    answer = press(button, browser, *BAD)
    assert not missing(answer, escape("\n".join(BAD)), *PROBLEMS)
    corrected = press(button, browser, *BAD[:2])
    assert missing(corrected, "smsww-problems")


def test_back_from_the_question_brings_each_line_back(browser):
    question = press("_check", browser, *BAD)
    hidden = dict(question.context["hidden"])
    assert hidden["recipients"] == "\n".join(BAD)
    assert not missing(browser.post(COMPOSE, hidden | {"_edit": "1"}), *PROBLEMS[:2])


def test_each_line_has_its_problem_where_none_is_good(browser, smsoutbox):
    answer = press("_check", browser, "12", "13")
    assert not missing(answer, "12\n13", "Line 1, column 1", "Line 2, column 1", "No line has a")


@pytest.mark.parametrize(
    ("content", "typed"),
    [
        (b"+393330000001\n12\n", "+393330000001\n12\n"),
        (b"name;recipient\nAnn;Bob\nAnn;+393330000001\n", "recipient\nBob\n+393330000001\n"),
        (b'recipient\n"1,2"\n+393330000001\n', 'recipient\n"1,2"\n+393330000001\n'),
    ],
)
def test_the_lines_of_a_file_go_on_as_if_they_had_been_typed(browser, smsoutbox, content, typed):
    file = SimpleUploadedFile("numbers.csv", content)
    answer = press("_try", browser, recipients="", file=file)
    assert not missing(answer, escape(typed), "Line 2, column")
    again = press("_check", browser, recipients=typed)
    assert not missing(again, "1 message<", "Line 2, column")


def test_back_to_the_text_brings_it_back(browser):
    assert not missing(press("_edit", browser, body="Almost done"), "Almost done", 'name="_try"')


# Many


def test_lines_are_checked_one_by_one(browser, smsoutbox):
    Suppression.objects.create(recipient="+393330000009")
    lines = ["+39 333 000-0001", "00393330000002", "", "12", "+393330000001", "+393330000009"]
    answer = press("_check", browser, *lines)
    shown = (
        "2 messages",
        "1 line repeats",
        "Line 4, column 1, “12”: recipient must",
        "Line 6, column 1, “+393330000009”: It is on",
    )
    assert not missing(answer, *shown)
    confirm(browser, answer)
    # Threads send them, in any order.
    assert {sms.recipient for sms in smsoutbox} == {"+393330000001", "+393330000002"}


def test_a_number_that_no_plan_has_is_shown_and_sent_to(browser, smsoutbox):
    answer = press("_check", browser, "+999 1234567", NUMBER)
    assert not missing(answer, "2 messages", "1 of these numbers is in no numbering plan")
    confirm(browser, answer)
    assert {sms.recipient for sms in smsoutbox} == {"+9991234567", NUMBER}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"recipient\n+393330000001\n+393330000002", "2 messages"),
        (b"\xef\xbb\xbf+393330000001", "1 message"),
        (b"+393330000001\n" * 80_000, "larger than one megabyte"),
        (b"name\nAnn\n", "start with the plus sign"),
        (b"\n".join(b"+39333%07d" % n for n in range(10_001)), "At most 10000 numbers"),
    ],
)
def test_a_file_of_numbers_is_checked_like_typed_ones(browser, content, said):
    file = SimpleUploadedFile("numbers.csv", content)
    assert not missing(press("_check", browser, recipients="", file=file), said)


def test_the_form_names_the_time_zone_of_a_later_time(browser):
    there = admin_url("message_compose")
    assert not missing(browser.get(there), "In the time zone Europe/Rome. Empty: now.")
    with timezone.override("America/New_York"):
        assert not missing(browser.get(there), "In the time zone America/New_York.")


def test_up_to_twenty_leave_at_once_and_lead_to_their_batch(browser, smsoutbox):
    answer = press("_send", browser, *numbers(20))
    assert len(smsoutbox) == 20
    batch = Message.objects.first().batch
    assert answer.url == admin_url("batch_page", batch)


@pytest.mark.parametrize("typed", [None, "", "20", "21 000", "x", "0"])
def test_more_than_twenty_need_their_count_typed_in(browser, smsoutbox, sweeper, typed):
    count = {} if typed is None else {"count": typed}
    assert not missing(press("_send", browser, *numbers(21), **count), "Type in how many")
    assert not Message.objects.exists()


def test_more_than_twenty_always_wait_in_the_queue(browser, smsoutbox, sweeper):
    press("_send", browser, *numbers(21), count=" 21 ")
    assert smsoutbox == []
    rows = Message.objects.all()
    assert {row.state for row in rows} == {State.QUEUED}
    assert (len(rows), len({row.batch for row in rows})) == (21, 1)
    assert all(row.preflight for row in rows)


def test_many_are_refused_where_nothing_delivers_the_queue(browser, smsoutbox):
    for beat in (None, timezone.now() - timedelta(minutes=11)):
        if beat:
            Heartbeat.objects.create(name="sweep:default", beat_at=beat)
        answer = press("_send", browser, *numbers(21), count="21")
        assert missing(answer, "no worker is running", 'name="_send"') == ['name="_send"']
    assert not Message.objects.exists()


def test_an_engine_of_the_project_delivers_the_queue(browser, settings, monkeypatch):
    told = []
    monkeypatch.setattr("tests.support.people.told", lambda *args: told.append(args), raising=False)
    settings.SMSWW = {"default": LOCMEM | {"OPTIONS": {"queue": "tests.support.people.told"}}}
    answer = press("_send", browser, *numbers(21), count="21")
    assert answer.status_code == 302
    assert Message.objects.queued().count() == 21


@pytest.mark.parametrize("count", [1_000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_ten_thousand_numbers_are_written_down(browser, smsoutbox, sweeper, count):
    press("_send", browser, *numbers(count), count=str(count))
    assert Message.objects.queued().count() == count


# During a pause

PAUSED = "Sending is paused: each message would fail now. Try again "
LATER = "Or go back to the text and choose a later time"


@pytest.mark.parametrize("count", [1, 3])
def test_during_a_pause_nothing_that_would_fail_is_stored(browser, gateway, count):
    Suspension.objects.pause("default", "")
    for button in ("_check", "_send"):
        answer = press(button, browser, *numbers(count))
        shown = (f"{PAUSED}after the pause.", LATER, 'name="_send"')
        assert missing(answer, *shown) == [LATER, 'name="_send"']  # no worker runs
        assert dict(answer.context["hidden"])["recipients"] == "\n".join(numbers(count))
    assert (Message.objects.count(), gateway.sent) == (0, [])


def test_the_question_says_when_a_pause_ends_and_that_later_messages_wait(browser, sweeper):
    until = timezone.now().replace(second=1, microsecond=0) + timedelta(minutes=30)
    Suspension.objects.create(alias="default", error="InsufficientCredit", until=until)
    shown = timezone.localtime(until + timedelta(minutes=1))
    assert not missing(
        press("_check", browser), f"{PAUSED}from", f"{shown:%H:%M}</time> on.", LATER
    )
    tomorrow = f"{timezone.localtime(until + timedelta(days=1)):%Y-%m-%dT%H:%M}"
    question = press("_check", browser, send_at=tomorrow)
    assert missing(question, "the messages wait until the pause is over", PAUSED) == [PAUSED]
    confirm(browser, question)
    assert Message.objects.get().state == State.QUEUED


@pytest.mark.parametrize("queue", [True, "tests.support.people.told"])
def test_a_queue_holds_messages_until_the_pause_is_over(
    browser, settings, monkeypatch, sweeper, queue
):
    monkeypatch.setattr("tests.support.people.told", lambda *args: None, raising=False)
    settings.SMSWW = {"default": LOCMEM | {"OPTIONS": {"queue": queue}}}
    Suspension.objects.pause("default", "")
    question = press("_check", browser, *numbers(3))
    assert not missing(question, "the messages wait until the pause is over", 'name="_send"')
    confirm(browser, question)
    assert Message.objects.queued().count() == 3


@pytest.mark.parametrize("queue", [False, True])
def test_a_text_that_the_gateway_refused_is_not_stored_again(browser, settings, sweeper, queue):
    settings.SMSWW = {"default": LOCMEM | {"OPTIONS": {"queue": queue}}}
    Suspension.objects.impose("default", "", ContentRefused(), fingerprint("Hello"))
    assert not missing(press("_send", browser), "The gateway refused this text.")
    assert not Message.objects.exists()
    assert press("_send", browser, body="Another text").status_code == 302


# Who may


def test_who_may_not_send_to_many_sends_to_one(smsoutbox):
    client = browser_of(staff("view_message", "view_message_content", "send_message"))
    assert missing(client.get(COMPOSE), 'name="file"')
    file = SimpleUploadedFile("numbers.csv", b"+393330000007")
    for fields in ({"recipients": "\n".join(numbers(2))}, {"recipients": "", "file": file}):
        assert not missing(press("_send", client, **fields), "errornote")
    assert smsoutbox == []
    assert press("_send", client).status_code == 302


@pytest.mark.django_db(transaction=True)
def test_the_question_names_the_price_that_a_try_found(browser, gateway):
    before = "The cost is not known yet. To ask the gateway for it, go back to the text"
    assert not missing(press("_check", browser, *numbers(3)), before)
    gateway.answer = staticmethod(lambda sms: SendResult(total_price=Decimal("0.21")))
    press("_try", browser, *numbers(3))
    question = press("_check", browser, *numbers(3))
    assert missing(question, "0.21 EUR for the first number", "about 0.63 EUR", before) == [before]
    other = press("_check", browser, *numbers(3), body="Another text")
    assert missing(other, "0.21 EUR", before) == ["0.21 EUR"]


def test_without_a_try_the_question_names_the_last_known_prices(browser, make_message):
    make_message(state=State.DELIVERED, country="IT", price=Decimal("0.05"))
    question = press("_check", browser, *numbers(2), "+34600000000", body="x" * 200)
    shown = (
        "6 segments",
        "Countries: IT (2), ES (1).",
        "At the last known prices they cost about 0.2 EUR.",
        "The cost of 1 message is not known.",
    )
    assert missing(question, *shown, "not known yet") == ["not known yet"]
    alone = press("_check", browser)
    assert not missing(alone, "At the last known prices it costs about 0.05 EUR.")


def test_the_last_known_price_is_looked_for_once_a_country(browser, make_message, queries):
    make_message(state=State.DELIVERED, country="IT", price=Decimal("0.05"))
    counts = []
    for count in (2, 20):
        with queries:
            press("_check", browser, *numbers(count))
        counts.append(len(queries))
    assert counts[0] == counts[1]


@pytest.mark.django_db(transaction=True)
def test_without_the_permission_no_cost_is_told(gateway, make_message):
    make_message(state=State.DELIVERED, country="IT", price=Decimal("0.05"))
    gateway.answer = staticmethod(lambda sms: SendResult(total_price=Decimal("0.21")))
    client = browser_of(staff("view_message", "send_message"))
    assert missing(press("_try", client), "Nothing was sent", "0.21") == ["0.21"]
    assert missing(press("_check", client), "1 message", "0.21", "cost") == ["0.21", "cost"]


@pytest.mark.django_db(transaction=True)
def test_a_message_leaves_where_each_request_is_a_transaction(browser, gateway, monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    answer = browser.post(COMPOSE, form() | {"_send": "1"}, follow=True)
    assert notices(answer) == ["The gateway accepted it."]
