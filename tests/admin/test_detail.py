"""The page of a message: its text as it travels, and everything that happened to it."""

import html
import re
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone
from django.utils.html import strip_tags

from django_smsww import State, send_sms
from django_smsww.admin.formatting import duration
from django_smsww.admin.text import MarkedText
from django_smsww.models import Callback, Event, Message, Suppression, Suspension

from ..conftest import NUMBER
from ..support.people import browser_of, missing, notices, page, resend_page, staff, text_of

BEGIN = datetime(2030, 1, 31, 12, 0, tzinfo=UTC)
pytestmark = pytest.mark.django_db


def at(seconds):
    return BEGIN + timedelta(seconds=seconds)


def entries(browser, message):
    return browser.get(page(message)).context["timeline"]


# The text


@pytest.mark.parametrize("text", ["x" * 160, "Ciao 🎂", "€" * 80])
def test_a_text_of_one_segment_has_no_marks_between(text):
    assert "smsww-cut" not in MarkedText.of(text).marked


@pytest.mark.parametrize(("text", "cuts"), [("x" * 161, 2), ("🎂" * 67, 3), ("x" * 460, 4)])
def test_segments_are_numbered_and_nothing_is_lost(text, cuts):
    marked = MarkedText.of(text).marked
    assert marked.count("smsww-cut") == marked.count("smsww-segment") == cuts
    for number in range(1, cuts + 1):
        marked = marked.replace(f'title="Segment {number}">{number}<', "><", 1)
    assert strip_tags(marked) == text


def test_what_forces_ucs2_is_marked_and_named():
    text = MarkedText.of("L’alba – così")
    quote, dash = "RIGHT SINGLE QUOTATION MARK", "EN DASH"
    assert [(one.code, one.name) for one in text.guilty] == [("U+2019", quote), ("U+2013", dash)]
    assert f'<mark class="smsww-guilty" title="U+2019 {quote}">’</mark>' in text.marked
    assert text.saving == "With plain punctuation it would be sent as GSM-7, in 1 segment."


def test_a_text_that_is_foreign_as_a_whole_is_not_marked_letter_by_letter():
    text = MarkedText.of("Съешь же ещё этих мягких французских булок")
    assert "<mark" not in text.marked
    assert (len(text.guilty), text.saving) == (12, "")
    assert text.more_guilty > 0


@pytest.mark.parametrize(
    ("character", "shown"),
    [("\u202e", "RLO"), ("\u2066", "LRI"), ("\u200b", "U+200B"), ("\x1b", "U+001B")],
)
def test_what_is_invisible_is_shown(character, shown):
    marked = MarkedText.of(f"pay{character}exe").marked
    assert character not in marked
    assert f">{shown}</bdi>" in marked


@pytest.mark.parametrize("text", ["👩‍👩‍👧", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "می‌خواهم", "one\ntwo"])
def test_what_shapes_emoji_and_letters_stays(text):
    assert text in strip_tags(MarkedText.of(text).marked)


def test_the_page_shows_segments_and_culprits(browser, make_message):
    answer = browser.get(page(make_message(body="“" + "x" * 100)))
    shown = ('title="Segment 2"', "U+201C", "left double quotation mark", "101 characters")
    assert not missing(answer, *shown)


def test_the_page_of_who_may_not_read_tells_nothing_of_the_text(make_message):
    message = make_message(body="“" + "x" * 100)
    answer = browser_of(staff("view_message")).get(page(message))
    hidden = ["Segment 2", "U+201C", "101 characters", "x" * 9, NUMBER]
    assert missing(answer, *hidden) == hidden


def test_the_page_says_that_a_worker_tries_again_and_from_when_on(browser, make_message):
    soon = timezone.now().replace(second=1, microsecond=0) + timedelta(minutes=5)
    shown = soon + timedelta(seconds=59)
    busy = {"error": "SMSUnavailable", "error_status": 503, "next_attempt_at": soon}
    again = f'A worker tries it again by itself, from <time datetime="{shown.isoformat()}"'
    assert not missing(browser.get(page(make_message(**busy))), again)
    held = make_message(**busy, error_code="suspended")
    after_pause = "A worker sends it by itself after the pause."
    assert not missing(browser.get(page(held)), after_pause)
    late = make_message(**busy | {"next_attempt_at": timezone.now() - timedelta(minutes=2)})
    assert not missing(browser.get(page(late)), "A worker tries it again by itself soon.")
    Suspension.objects.pause("default", "")
    for message in (late, make_message(**busy), make_message()):
        assert missing(browser.get(page(message)), after_pause, "again") == ["again"]


def test_the_page_says_that_only_the_dry_run_before_a_mass_send_failed(browser, make_message):
    soon = timezone.now() + timedelta(minutes=5)
    busy = {"error": "SMSUnavailable", "error_status": 503, "next_attempt_at": soon}
    failed = "The message was not tried, because the dry run for its mass send failed."
    assert not missing(browser.get(page(make_message(**busy, preflight=True))), failed)
    tried = browser.get(page(make_message(**busy, preflight=True, attempts=1)))
    assert missing(tried, failed, "A worker tries it again by itself") == [failed]
    late = busy | {"next_attempt_at": timezone.now() - timedelta(minutes=2)}
    shown = browser.get(page(make_message(**late, preflight=True)))
    assert not missing(shown, failed, "A worker repeats the dry run by itself soon.")


# The timeline


@pytest.fixture
def told(make_message):
    """A message that was tried twice, accepted, delivered and resent, and whose price changed."""
    seconds = {"created_at": 0, "claimed_at": 90, "sent_at": 91, "delivered_at": 95}
    times = {column: at(number) for column, number in seconds.items()}
    facts = {"attempts": 2, "state": State.DELIVERED, "created_by": staff(name="bob")}
    message = make_message(**times, **facts)
    failure = {"state": "QUEUED", "error": "SMSUnavailable", "error_status": 503}
    message.events.create(kind="attempt", created_at=at(2), **failure)
    for seconds, state, price in ((92, "PENDING", "0.0"), (96, "DELIVERED", 0.07)):
        message.callbacks.create(
            reference=message.reference,
            state=state,
            outcome="moved",
            digest=state,
            payload={"totalPrice": price, "id": "p-1"},
            received_at=at(seconds),
            times=seconds - 91,
        )
    message.callbacks.create(
        reference=message.reference,
        source="lookup",
        outcome="stood",
        payload={"total_price": "0.14"},
        received_at=at(4000),
        last_received_at=at(9_000_000),
    )
    make_message(resend_of=message, created_at=at(90_000), state=State.UNKNOWN)
    return message


def test_an_attempt_that_was_put_back_is_no_step(browser, make_message):
    message = make_message(claimed_at=timezone.now(), attempts=0)
    assert [str(entry.title) for entry in entries(browser, message)] == ["Created"]


def test_everything_that_happened_is_told_in_its_order(browser, told):
    said = [(str(entry.title), entry.after) for entry in entries(browser, told)]
    assert said == [
        ("Created", ""),
        ("Attempt", "2.0 s"),
        ("Handed over", "1 min 28 s"),
        ("Sent, according to the gateway", "1.0 s"),
        ("Callback", "1.0 s"),
        ("Delivered, according to the gateway", "3.0 s"),
        ("Callback", "1.0 s"),
        ("Look-up", "1 h 5 min"),
        ("Resent", "23 h 53 min"),
    ]


def test_the_timeline_names_errors_prices_and_people(browser, told):
    details = [[str(part) for part in entry.details] for entry in entries(browser, told)]
    assert details[1] == ["The gateway did not accept the message; nothing was sent", "HTTP 503"]
    assert details[2] == ["Attempt 2"]
    assert details[4] == ["State changed", "Price: 0 EUR"]
    assert details[6] == ["State changed", "5 times", "Price: 0 EUR → 0.07 EUR"]
    assert details[7] == ["State unchanged; other data updated", "Price: 0.07 EUR → 0.14 EUR"]
    assert entries(browser, told)[0].by == "bob"


def test_the_timeline_leads_to_resends_both_ways(browser, told):
    newer = told.resent_as
    assert entries(browser, told)[-1].link == (page(newer), str(newer.reference))
    assert entries(browser, newer)[0].link == (page(told), str(told.reference))


def test_who_may_not_see_costs_or_callbacks_reads_neither(told):
    answer = browser_of(staff("view_message", "view_message_content")).get(page(told))
    hidden = ["0.07", "0.14", "django_smsww/callback/"]
    assert missing(answer, *hidden, "State changed") == hidden


def test_a_reason_that_a_person_wrote_is_content(make_message):
    message = make_message(state=State.CANCELLED)
    message.events.create(kind="cancelled", reason=f"wrong number {NUMBER}")
    for permission, is_seen in (("view_message_costs", False), ("view_message_content", True)):
        client = browser_of(staff("view_message", permission, name=permission))
        assert ("wrong number" in text_of(client.get(page(message)))) == is_seen


def test_the_newest_answer_of_the_gateway_is_shown(browser, told):
    answer = text_of(browser.get(page(told))).partition("newest answer")[2]
    assert "&quot;total_price&quot;: &quot;0.14&quot;" in answer
    assert "p-1" not in answer


def test_a_long_story_takes_no_more_queries_and_has_an_end(browser, make_message, queries):
    counts = []
    for number in (1, 120):
        message = make_message()
        Callback.objects.bulk_create(
            Callback(message=message, reference=message.reference, digest=str(n))
            for n in range(number)
        )
        Event.objects.bulk_create(Event(message=message, kind="attempt") for _ in range(number))
        with queries:
            assert len(entries(browser, message)) == 1 + 2 * min(number, 100)
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 12


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0.0 s"),
        (0.44, "0.4 s"),
        (9.96, "9.9 s"),
        (10.2, "10 s"),
        (60, "1 min"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (3601, "1 h"),
        (7325, "2 h 2 min"),
        (86400 * 3 + 60, "3 d"),
        (86400 * 3 + 7200, "3 d 2 h"),
    ],
)
def test_durations_are_told_as_people_do(seconds, said):
    assert duration(timedelta(seconds=seconds)) == said


@pytest.mark.parametrize(("state", "is_said"), [("QUEUED", True), ("NEW", True), ("FAILED", False)])
def test_a_message_whose_alias_is_gone_is_shown_and_says_so(browser, make_message, state, is_said):
    message = make_message(alias="left", state=state)
    assert not missing(browser.get(page(message)), ">left<")
    said = not missing(browser.get(page(message)), "alias is not in the settings any more")
    assert said is is_said


# The advice


def of_error(error, code="", state=State.FAILED, **columns):
    return {"state": state, "error": error, "error_code": code, **columns}


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (of_error("InvalidSMS", "invalid"), "It was not valid"),
        (of_error("InvalidSMS", "suppressed"), "on the do-not-send list when it was to be sent"),
        (of_error("SMSUnavailable"), "The gateway could not be reached; nothing was sent."),
        (
            of_error("SMSUnavailable", "1000", error_status=503),
            "could not accept the message (HTTP 503)",
        ),
        (of_error("SMSUnavailable", "suspended"), "Sending was paused"),
        (of_error("SMSUnavailable", "interrupted"), "before it sent the message"),
        (of_error("SMSUnavailable", "settled_unsent"), "A person settled it as not sent"),
        (of_error("SMSUnavailable", "proved_absent"), "proves that the gateway never got it"),
        (of_error("SMSUnavailable", "expired_unsent"), "expired before it was sent"),
        (of_error("SMSLimited", "max_per_number"), "“max_per_number”"),
        (of_error("SMSOutcomeUnknown", "", State.UNKNOWN), "no clear answer came"),
        (of_error("SMSOutcomeUnknown", dry_run=True), "No answer came."),
        (of_error("SMSOutcomeUnknown", dry_run=True, error_status=500), "No clear answer came."),
        (of_error("SMSOutcomeUnknown", "worker_lost", State.UNKNOWN), "worker died"),
        (of_error("SMSOutcomeUnknown", "restored", State.UNKNOWN), "backup was restored"),
    ],
)
def test_the_advice_is_that_of_the_cause(browser, make_message, columns, said):
    assert said in advice(browser.get(page(make_message(**columns))))


def test_a_message_without_an_answer_says_when_its_lease_ends(browser, make_message):
    now = timezone.now()
    columns = {"state": State.SENDING, "claimed_at": now - timedelta(minutes=3)}
    message = make_message(**columns, lease_until=now + timedelta(minutes=2))
    said = advice(browser.get(page(message)))
    assert ("that sends it has died" in said, "on its way" in said) == (True, False)
    Message.objects.update(lease_until=now - timedelta(minutes=1))
    assert "died before an answer came" in advice(browser.get(page(message)))
    Message.objects.update(claimed_at=now, lease_until=now + timedelta(minutes=5))
    assert "It is on its way" in advice(browser.get(page(message)))


def test_a_message_of_a_call_is_not_said_to_wait_for_a_worker(browser, make_message):
    tomorrow = timezone.now() + timedelta(days=1)
    message = make_message(next_attempt_at=tomorrow, expires_at=tomorrow)
    said = "The call that stored it also sends it."
    assert said in advice(browser.get(page(message)))
    Suspension.objects.pause("default", "")
    assert said in advice(browser.get(page(message)))


def advice(answer):
    return text_of(answer).partition('class="smsww-advice')[2].partition("</section>")[0]


def test_an_answer_of_503_is_not_said_to_be_none(browser, make_message):
    message = make_message(**of_error("SMSUnavailable", error_status=503))
    assert missing(browser.get(page(message)), "could not be reached") == ["could not be reached"]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("suspended", "Sending paused"),
        ("interrupted", "Interrupted"),
        ("expired_unsent", "Too late"),
        ("proved_absent", "Never reached the gateway"),
    ],
)
def test_an_error_of_ours_is_not_said_to_be_the_gateways(browser, make_message, code, said):
    shown = browser.get(page(make_message(**of_error("SMSUnavailable", code))))
    assert missing(shown, said, "could not be reached") == ["could not be reached"]


def test_what_a_person_settled_as_not_sent_says_so(browser, make_message):
    unknown = of_error("SMSOutcomeUnknown", "", State.UNKNOWN, error_status=500)
    message = make_message(**unknown, claimed_at=timezone.now() - timedelta(hours=1))
    message.settle(False, by=staff(name="bob"), reason="the list lacks it")
    shown = browser.get(page(message))
    said = ("Settled as not sent", "A person settled it as not sent, and gave a reason")
    assert missing(shown, *said, "could not be reached") == ["could not be reached"]


def test_what_a_person_settled_as_sent_says_so(browser, make_message):
    message = make_message(state=State.UNKNOWN, claimed_at=timezone.now() - timedelta(hours=1))
    message.settle(True, by=staff(name="bob"), reason="the customer has it")
    assert not missing(browser.get(page(message)), "A person settled it as sent")


def test_what_was_resent_leads_to_the_new_message(browser, make_message):
    message = make_message(**of_error("InsufficientCredit"))
    newer = make_message(resend_of=message, state=State.DELIVERED)
    said = advice(browser.get(page(message)))
    assert "Resent as" in said
    assert page(newer) in said
    assert "resend it" not in said


# A resend that our own rules refuse


def refused(browser, message):
    """Return why the page says that a resend is refused; it must not be offered then."""
    answer = browser.get(page(message))
    is_offered = not missing(answer, resend_page(message))
    why = re.findall(r"It cannot be resent: (.*)</p>", text_of(answer))
    assert bool(why) is not is_offered
    return html.unescape("".join(why))


@pytest.mark.parametrize(
    ("columns", "options", "said"),
    [
        ({}, {}, ""),
        ({"recipient": "123"}, {}, "recipient must start with"),
        ({"alias": "gone"}, {}, "Its alias cannot be used"),
        ({"scrubbed": True}, {}, "Its text was deleted."),
        ({}, {"allowed_recipients": ["+34600000000"]}, "allowed_recipients"),
        ({}, {"max_segments": 1}, "max_segments"),
    ],
)
def test_a_resend_that_is_refused_is_not_offered(
    browser, make_message, gateway, columns, options, said
):
    gateway.configure(**options)
    message = make_message(**{"state": State.FAILED, "body": "x" * 200} | columns)
    assert said in refused(browser, message)


def test_a_number_on_the_do_not_send_list_is_not_offered_a_resend(browser, make_message, smsoutbox):
    message = make_message(**of_error("InvalidSMS", "suppressed"))
    assert refused(browser, message) == ""
    Suppression.objects.create(recipient=NUMBER)
    assert "do-not-send list" in refused(browser, message)
    answer = browser.post(resend_page(message), follow=True)
    assert "do-not-send list" in notices(answer)[0]
    assert smsoutbox == []


def test_a_resend_over_a_limit_is_not_offered(browser, make_message, settings, smsoutbox):
    options = {"max_per_number": (1, 3600)}
    settings.SMSWW = {
        "default": {"BACKEND": "django_smsww.backends.locmem.SMSBackend", "OPTIONS": options}
    }
    send_sms("Hello", NUMBER)
    assert "max_per_number (1) is reached" in refused(browser, make_message(state=State.FAILED))


def test_who_may_not_resend_is_not_told_why_it_is_refused(make_message):
    browser = browser_of(staff("view_message"))
    answer = browser.get(page(make_message(state=State.FAILED, alias="gone")))
    assert missing(answer, "It cannot be resent")


def test_the_page_of_a_message_from_elsewhere_says_so_and_offers_no_resend(browser, make_message):
    row = {"recipient": "+39…", "body": "", "scrubbed": True, "provider_id": "p1"}
    message = make_message(origin="elsewhere", state=State.EXPIRED, **row)
    text = text_of(browser.get(page(message)))
    assert "Another program sent it" in text
    assert "Its text is not stored." in text
    assert f"{message.pk}/resend/" not in text
