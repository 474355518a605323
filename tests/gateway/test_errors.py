"""What an answer of no success is taken to mean, and what its error does not show."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from django_smsww.exceptions import (
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
from ..support.raw_server import (
    answers,
    own_connections,  # noqa: F401
)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, b"", InvalidToken),
        (401, XML, InvalidToken),
        (401, platform(None, "Wrong Token"), InvalidToken),
        (402, platform(None, "Wrong Token"), InvalidToken),
        (402, platform(5, "Insufficient Credit in Wallet: 2 > 1"), InsufficientCredit),
        (402, b"", InsufficientCredit),
        (403, envelope(2020), AccountBlocklisted),
        (403, envelope("2020"), AccountBlocklisted),
        (403, envelope(1), SMSRefused),
        (403, HTML, SMSRefused),
        (404, b"", SMSRefused),
        (408, envelope(1), SMSOutcomeUnknown),
        (413, HTML, SMSRefused),
        (417, platform(1), SMSUnavailable),
        (417, envelope(1), SMSUnavailable),
        (417, HTML, SMSOutcomeUnknown),
        (417, b"", SMSOutcomeUnknown),
        (417, b'{"message": "a proxy"}', SMSOutcomeUnknown),
        (422, envelope(2011), SMSRefused),
        (422, envelope(2044), ContentRefused),
        (422, envelope(2050), ContentRefused),
        (422, platform(2044.0), ContentRefused),
        (429, b"", SMSUnavailable),
        (429, HTML, SMSUnavailable),
        (500, envelope(2044), SMSOutcomeUnknown),
        (501, b"", SMSOutcomeUnknown),
        (502, HTML, SMSOutcomeUnknown),
        (503, platform(1), SMSUnavailable),
        (503, HTML, SMSOutcomeUnknown),
        (503, b"", SMSOutcomeUnknown),
        (503, b"[]", SMSOutcomeUnknown),
        (504, envelope(1), SMSOutcomeUnknown),
        (599, b"", SMSOutcomeUnknown),
        (304, b"", SMSOutcomeUnknown),
        (307, b"", SMSOutcomeUnknown),
    ],
)
def test_status_decides_what_is_certain(status, body, kind):
    assert refused(answers(status, body, keep=False), kind).status == status


def test_interim_answer_without_a_final_one_is_unknown():
    assert refused(answers(103, b"", keep=False), SMSOutcomeUnknown).status is None


def test_every_other_refusal_is_final():
    certain = {401, 402, 429, 408, 417}
    kinds = {type(error_of(s, {}, b"")) for s in range(400, 500) if s not in certain}
    assert kinds == {SMSRefused}


def test_the_guide_lists_the_table():
    rows = [
        f"| {'4xx but 408, 417' if len(statuses) > 9 else ', '.join(map(str, statuses))} "
        f"| {condition} | `{kind.__name__}` |"
        for statuses, condition, kind in errors._ERRORS
    ]
    assert "\n".join(rows) in guides.text_of("delivery.md")


def test_redirect_says_what_to_configure():
    error = refused(answers(307, headers=["Location: /elsewhere"]), SMSOutcomeUnknown)
    assert "configure the host it redirects to" in str(error)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (envelope(2011), "2011"),
        (platform(125.22), "125.22"),
        (platform(1000.0), "1000"),
        (platform(None), "refused"),
        (platform(True), "refused"),
        (envelope("x" * 50), "x" * 32),
        (envelope(10**30), "refused"),
        (HTML, "refused"),
        (b"", "refused"),
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


# What must not be seen


@pytest.mark.parametrize(
    "echo",
    [
        "number +393331234567 is bad",
        "number 393331234567 is bad",
        "number 3331234567 is bad",
        "another 00441234567 is bad",
        f"token {TOKEN} is bad",
        "text 'Hello, private words' is bad",
        "text 'hello, PRIVATE words' is bad",
        "text 'Hello, privat...' is bad",
        "text 'Hello,\n  private\twords' is bad",
    ],
)
@pytest.mark.parametrize("wrapped", [envelope, platform, lambda code, text: text.encode()])
def test_detail_holds_nothing_personal(echo, wrapped):
    body = wrapped(1, echo) if wrapped is envelope else wrapped(2, echo)
    detail = refused(answers(422, body), SMSRefused).detail
    assert "***" in detail
    for secret in ("3331234567", "1234567", "privat", "PRIVAT", TOKEN, "\n"):
        assert secret not in detail


def test_detail_hides_how_a_page_may_spell_the_text():
    sms = HELLO.replace(body='<b>"più"</b> & co')
    page = (
        b"<p>&lt;b&gt;&quot;pi\xc3\xb9&quot;&lt;/b&gt; &amp; co</p> "
        + json.dumps(sms.body).encode()
    )
    detail = refused(answers(422, page), SMSRefused, sms).detail
    assert "pi" not in detail


def test_short_text_is_hidden_as_a_word_and_leaves_the_others_readable():
    detail = refused(
        answers(422, envelope(1, "text a is bad")), SMSRefused, HELLO.replace(body="a")
    ).detail
    assert detail == "text *** is bad"


def test_detail_is_bounded_and_keeps_what_helps():
    body = envelope(1, "not approved for country IT " + "x" * 9000)
    detail = refused(answers(422, body), SMSRefused).detail
    assert detail.startswith("not approved for country IT")
    assert len(detail) == 500
