"""What an answer of no success is taken to mean, and what its error does not show."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from django_smsww.exceptions import (
    AccessRefused,
    AccountBlocklisted,
    ContentRefused,
    InsufficientCredit,
    InvalidToken,
    SMSOutcomeUnknown,
    SMSRefused,
    SMSUnavailable,
)
from django_smsww.gateway import errors
from django_smsww.gateway.errors import error_of

from ..support import guides
from ..support.raw_client import HELLO, HTML, TOKEN, XML, envelope, platform, refused
from ..support.raw_server import answers

WRONG_TOKEN = platform(None, "Wrong Token")
NO_CREDIT = platform(5, "Insufficient Credit in Wallet: 2 > 1")
PROXY = b'{"message": "a proxy"}'
KINDS = [
    (401, InvalidToken, [b"", XML, WRONG_TOKEN]),
    (402, InvalidToken, [WRONG_TOKEN]),
    (402, InsufficientCredit, [b"", NO_CREDIT]),
    (403, AccountBlocklisted, [envelope(2020), envelope("2020")]),
    (403, ContentRefused, [envelope(2044)]),
    (403, AccessRefused, [envelope(1), b"", HTML]),
    (404, AccessRefused, [b"", HTML, envelope(1)]),
    *((status, AccessRefused, [b"", platform(1)]) for status in (405, 407, 410, 451)),
    (413, SMSRefused, [b"", envelope(1)]),
    *((status, AccessRefused, [HTML, b" \n<!DOCTYPE html>", XML]) for status in (400, 413, 422)),
    (400, SMSRefused, [b"", envelope(1), b"Bad Request"]),
    (417, SMSUnavailable, [platform(1), envelope(1)]),
    (417, SMSOutcomeUnknown, [HTML, b"", PROXY]),
    (422, SMSRefused, [envelope(2011)]),
    (422, ContentRefused, [envelope(2044), envelope(2050), platform(2044.0)]),
    (429, SMSUnavailable, [b"", HTML]),
    (500, SMSOutcomeUnknown, [envelope(2044)]),
    (502, SMSOutcomeUnknown, [HTML]),
    (503, SMSUnavailable, [platform(1)]),
    (503, SMSOutcomeUnknown, [HTML, b"", b"[]"]),
    *((status, SMSOutcomeUnknown, [b""]) for status in (304, 307, 501, 599)),
    *((status, SMSOutcomeUnknown, [envelope(1)]) for status in (408, 504)),
]


@pytest.mark.parametrize(
    ("status", "kind", "body"),
    [(status, kind, body) for status, kind, bodies in KINDS for body in bodies],
)
def test_status_decides_what_is_certain(status, kind, body):
    assert refused(answers(status, body, keep=False), kind).status == status


def test_every_other_refusal_is_about_the_site_and_ends_no_message():
    known = {400, 401, 402, 408, 413, 417, 422, 429}
    kinds = {type(error_of(s, {}, b"")) for s in range(400, 500) if s not in known}
    assert kinds == {AccessRefused}


def test_the_credit_that_is_left_is_no_code_of_the_error():
    body = b'{"success":false,"message":"Insufficient Credit in Wallet: 1 > 0.25","error":0.25}'
    assert error_of(402, {}, body).code == "insufficient_credit"


def test_the_guide_lists_the_table():
    rows = [
        f"| {'4xx except 408, 417' if len(statuses) > 9 else ', '.join(map(str, statuses))} "
        f"| {'the code ' * condition.isdigit()}{condition} | `{kind.__name__}` |"
        for statuses, condition, kind in errors._ERRORS
    ]
    assert "\n".join(rows) in guides.text_of("delivery.md")


def test_redirect_says_what_to_configure():
    error = refused(answers(307, headers=["Location: /elsewhere"]), SMSOutcomeUnknown)
    assert "configure the host to which it redirects" in str(error)


NO_CODES = (platform(None), platform(True), envelope(10**30), b"Unprocessable", b"")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        *((envelope(2011), "2011"), (envelope("x" * 50), "x" * 32)),
        *((platform(125.22), "125.22"), (platform(1000.0), "1000")),
        *((body, "refused") for body in NO_CODES),
    ],
)
def test_code_is_taken_from_either_envelope(body, code):
    assert error_of(422, {}, body).code == code


def in_an_hour():
    return format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)


@pytest.mark.parametrize(
    ("value", "least", "most"),
    [
        ("30", 30, 30),
        ("999999999", 86400, 86400),
        (in_an_hour, 3500, 3600),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0),
        ("Wed, 21 Oct 2099 07:28:00", 86400, 86400),
    ],
)
def test_retry_after_is_read_and_bounded(value, least, most):
    value = value() if callable(value) else value  # now, not when the tests were collected
    error = refused(answers(429, headers=[f"Retry-After: {value}"]), SMSUnavailable)
    assert least <= error.retry_after <= most


@pytest.mark.parametrize("value", ["", "soon", "-1", "1.5", "9" * 40, "Wed, 99 Oct 2015"])
def test_retry_after_that_cannot_be_read_is_none(value):
    assert error_of(429, {"Retry-After": value}, b"").retry_after is None


@pytest.mark.parametrize(
    "echo",
    [
        *("+393331234567", "393331234567", "3331234567", "another 00441234567", TOKEN),
        *("'Hello, private words'", "'hello, PRIVATE words'", "'Hello, privat...'"),
        "'Hello,\n  private\twords'",
    ],
)
@pytest.mark.parametrize("wrapped", [envelope, platform, lambda code, text: text.encode()])
def test_detail_holds_nothing_personal(echo, wrapped):
    body = wrapped(1, f"number or text {echo} is bad")
    detail = refused(answers(422, body), SMSRefused).detail
    assert "***" in detail
    for secret in ("3331234567", "1234567", "privat", "PRIVAT", TOKEN, "\n"):
        assert secret not in detail


@pytest.mark.parametrize(
    ("echo", "secret"),
    [
        *((f"<{piece}>", piece) for piece in ("vate word", "ello, pri", "LO, PRIVATE WO")),
        *((number, "4567") for number in ("+39 333 123 4567", "333-123 45 67", "(39)3331.234567")),
        ("+39 333 123\u00a04567", "4567"),
        ("12 34567", "34567"),
        ("+44 20 7946 0018", "0018"),
        ("code 48 29 13", "13"),
    ],
)
def test_detail_holds_no_piece_of_a_text_and_no_number_however_it_is_spelled(echo, secret):
    sms = HELLO.replace(body="Hello, private words, your code is 482913")
    detail = refused(answers(422, envelope(1, f"it is {echo} here")), SMSRefused, sms).detail
    assert (detail.startswith("it is "), detail.endswith(" here")) == (True, True)
    assert secret not in detail


@pytest.mark.parametrize("text", ["2044 or 2050, see 2026-03-01 10:00", "10.20.30.40: 99 of 100"])
def test_detail_keeps_other_digits(text):
    assert refused(answers(422, envelope(1, text)), SMSRefused).detail == text


def test_detail_hides_how_a_page_may_spell_the_text():
    sms = HELLO.replace(body='<b>"più"</b> & co')
    page = "<p>&lt;b&gt;&quot;più&quot;&lt;/b&gt; &amp; co</p> " + json.dumps(sms.body)
    assert "pi" not in refused(answers(422, page.encode()), AccessRefused, sms).detail


def test_short_text_is_hidden_as_a_word_and_leaves_the_others_readable():
    script = answers(422, envelope(1, "text a is bad"))
    assert refused(script, SMSRefused, HELLO.replace(body="a")).detail == "text *** is bad"


def test_detail_is_bounded_and_keeps_what_helps():
    body = envelope(1, "not approved for country IT " + "x" * 9000)
    detail = refused(answers(422, body), SMSRefused).detail
    assert detail.startswith("not approved for country IT")
    assert len(detail) == 500
