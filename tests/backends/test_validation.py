"""What is refused before any row or request, and by which words."""

from collections import OrderedDict
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from django_smsww import SMS, InvalidSMS
from django_smsww.backends.dummy import SMSBackend

from ..conftest import NUMBER
from .conftest import cases

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
FAILS = "1 segment (fail_on_multiple_messages)"
LONG_BUT_ALLOWED = SMS("a" * 161, NUMBER, fail_on_multiple_messages=False)
LONG_AND_REFUSED = SMS("a" * 161, NUMBER, fail_on_multiple_messages=True)
QUOTED = SMS("“" + "a" * 150 + "”", NUMBER, fail_on_multiple_messages=True)
SECRET = "Your code is 90210"


def refusal(sms, **options):
    """Return why the message is refused, or "" if it is valid."""
    backend = SMSBackend(alias="default", **options)
    try:
        backend.validate(backend.prepare(sms))
    except InvalidSMS as error:
        return str(error)
    return ""


VALID = [
    *(
        SMS("Hello", number)
        for number in (NUMBER, "+6834000", "+123456789012345", "+34600000000", "+390612345678")
    ),
    *(SMS(body, NUMBER) for body in ("a", "a" * (255 * 153), "я" * (255 * 67), "👋", "{€}")),
    *(SMS("Hello", NUMBER, sender) for sender in ("", "Acme", "A1b", "Acme SpA 24", "24h", "1 A")),
    SMS(
        "Hello",
        NUMBER,
        key="k" * 200,
        tag="t" * 64,
        priority=-32768,
        send_at=NOON,
        expires_at=NOON + timedelta(seconds=1),
        custom=OrderedDict(order=[1, 2.5, None, True, {"note": "x" * 16000}]),
    ),
]


@pytest.mark.parametrize("sms", VALID, ids=range(len(VALID)))
def test_message_within_the_rules_is_valid(sms):
    assert refusal(sms) == ""


def test_content_is_checked_without_a_recipient():
    SMSBackend().validate_content(SMS("Hello", ""))
    with pytest.raises(InvalidSMS, match="body"):
        SMSBackend().validate_content(SMS("", ""))


NO_BODIES = {
    "must not be empty": ["", " \n\t\u00a0"],
    "NUL": ["before\x00after"],
    "surrogates": ["half \ud83d of a pair"],
    "255 segments": ["a" * (255 * 153 + 1), "я" * (255 * 67 + 1)],
    "body must be a string": [None, True, 5, b"Hello"],
}


@pytest.mark.parametrize(("body", "text"), cases(NO_BODIES))
@pytest.mark.parametrize("replace", [False, True])
def test_body_that_cannot_travel_is_refused(body, text, replace):
    assert text in refusal(SMS(body, NUMBER), replace_characters=replace)


@pytest.mark.parametrize(
    "sender",
    [
        *("Ac", "Acme Limited", "12345", "12 345", " Acme", "Acme ", "Acme\n", "A-Team", "Ac.me"),
        "Àcme",
    ],
)
def test_impossible_sender_is_refused(sender):
    assert "3 to 11 letters, digits and spaces" in refusal(SMS("Hello", NUMBER, sender))
    assert "3 to 11 letters, digits and spaces" in refusal(SMS("Hello", NUMBER), sender=sender)


NAIVE = NOON.replace(tzinfo=None)
WRONG_FIELDS = {
    "dry_run must be True, False or None": [{"dry_run": "no"}],
    "fail_on_multiple_messages must be True, False or None": [{"fail_on_multiple_messages": 1}],
    "sensitive must be True or False": [{"sensitive": None}],
    "key must be a string": [{"key": None}],
    "key must have at most 200 characters": [{"key": "k" * 201}],
    "key must hold neither NUL": [{"key": "a\x00"}],
    "tag must have at most 64 characters": [{"tag": "t" * 65}],
    "tag must hold neither NUL": [{"tag": "\udc00"}],
    "priority must be an integer from -32768 to 32767": [{"priority": 32768}, {"priority": -32769}],
    "priority must be an integer": [{"priority": True}, {"priority": 1.5}],
    "batch must be a UUID or None": [{"batch": "5"}],
    "reference must be a UUID": [{"reference": None}],
    "send_at must be a datetime": [{"send_at": "2030-01-01"}, {"send_at": NOON.date()}],
    "send_at must be an aware datetime": [{"send_at": NAIVE}],
    "expires_at must be an aware datetime": [{"expires_at": NAIVE}],
    "years 2000 to 2999": [{"expires_at": datetime.max.replace(tzinfo=UTC)}],
    "expires_at must be later than send_at": [{"send_at": NOON, "expires_at": NOON}],
}


@pytest.mark.parametrize(("changes", "text"), cases(WRONG_FIELDS))
def test_field_of_the_wrong_kind_is_refused(changes, text):
    assert text in refusal(SMS("Hello", NUMBER, **changes))


def test_project_without_time_zones_gives_naive_times(settings):
    settings.USE_TZ = False
    assert refusal(SMS("Hello", NUMBER, send_at=timezone.now())) == ""
    assert "send_at must be a naive datetime" in refusal(SMS("Hello", NUMBER, send_at=NOON))


def nested(levels):
    return {"a": nested(levels - 1)} if levels > 1 else {}


ENDLESS = {}
ENDLESS["self"] = ENDLESS


NO_CUSTOM = {
    "a dict or None": [[], "{}"],
    "reserved": [{"_smsww": {}}],
    "strings as keys": [{1: "one"}, {"a": [{2: "two"}]}],
    "NUL": [{"a": {"b": ["\x00"]}}, {"a\x00": 1}],
    "surrogates": [{"a": ("\ud800",)}],
    "plain JSON": [{"a": Decimal(1)}, {"a": NOON}, {"a": float("nan")}, {"a": {1}}],
    "16384 bytes": [{"a": "x" * 16384}],
    "32 levels": [nested(33), ENDLESS],
}


@pytest.mark.parametrize(("custom", "text"), cases(NO_CUSTOM))
def test_custom_that_is_not_plain_json_is_refused(custom, text):
    assert text in refusal(SMS("Hello", NUMBER, custom=custom))


@pytest.mark.parametrize(
    ("sms", "options", "reason"),
    [
        (SMS("a" * 306, NUMBER), {"max_segments": 2}, ""),
        (SMS("a" * 307, NUMBER), {"max_segments": 2}, "2 segments (max_segments)"),
        (SMS("a" * 161, NUMBER), {"fail_on_multiple_messages": True}, FAILS),
        (SMS("a" * 161, NUMBER), {"fail_on_multiple_messages": False}, ""),
        (LONG_BUT_ALLOWED, {"fail_on_multiple_messages": True}, ""),
        (LONG_AND_REFUSED, {"fail_on_multiple_messages": False}, FAILS),
        (QUOTED, {}, "1 segment"),
        (QUOTED, {"replace_characters": True}, ""),  # counted after replacement
    ],
)
def test_number_of_segments_is_limited(sms, options, reason):
    found = refusal(sms, **options)
    assert (reason in found, bool(found)) == (True, bool(reason))


def test_message_that_was_not_prepared_has_the_limits_of_its_alias():
    backend = SMSBackend(alias="default", fail_on_multiple_messages=True)
    with pytest.raises(InvalidSMS, match="1 segment") as caught:
        backend.validate(SMS("a" * 161, NUMBER))
    assert caught.value.code == "invalid"


@pytest.mark.parametrize(
    ("recipient", "countries", "is_allowed"),
    [
        *((number, ["it", "ES"], True) for number in (NUMBER, "+34600000000")),
        *((number, ["it", "ES"], False) for number in ("+447400123456", "+14155552671")),
        ("+8835100012345", ["it", "ES"], False),  # belongs to no country
        ("+9991234567", ["it", "ES"], False),  # a code that nobody has
        ("+16135550123", ["CA"], True),  # Canada and the USA share a code
        ("+16135550123", ["US"], False),
    ],
)
def test_numbers_of_other_countries_are_refused(recipient, countries, is_allowed):
    reason = refusal(SMS("Hello", recipient), allowed_countries=countries)
    names = ", ".join(sorted(code.upper() for code in countries))
    assert reason.endswith("" if is_allowed else f"not in allowed_countries: {names}.")
    assert bool(reason) != is_allowed


@given(body=st.text(max_size=400), recipient=st.text("+0123456789 -x", max_size=18))
def test_no_refusal_repeats_the_number_or_the_text(body, recipient):
    reason = refusal(SMS(SECRET + body, "+99" + recipient + "x"))
    assert reason
    assert SECRET not in reason
    assert "+99" not in reason
