"""The callback door under attack."""

import json
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from django.test import override_settings
from django.urls import resolve

from django_smsww.callbacks.parsers import MAX_BYTES
from django_smsww.gateway.signature import HEADER, header_stamp, sign
from django_smsww.states import State

from ..support.door import (
    ENVIRONMENT,
    FORM,
    URL,
    document,
    hear,
    mark,
    post,
    refused_with,
    signed,
    unread_with,
)
from .conftest import assert_untouched, stored

pytestmark = pytest.mark.django_db


# Signatures


def test_no_signature_is_refused(message):
    assert refused_with(401, {"data": document(), "custom": {"order": 1}}) == "not_authentic"
    assert_untouched(message)


@override_settings(SMSWW={})
def test_no_signature_is_refused_where_nothing_is_configured(message):
    refused_with(401, document())
    refused_with(401, document(), {HEADER: ""})
    assert_untouched(message)


@pytest.mark.parametrize("name", ["reference", "environment", "signature"])
@pytest.mark.parametrize("value", ["", "x", "\ud800", "\x00", None, 1, [], {}, True, "🙂" * 9999])
def test_a_forged_mark_is_refused(message, name, value):
    refused_with(401, {"data": document(), "custom": mark(message, **{name: value})})
    assert_untouched(message)


@pytest.mark.parametrize("stamp", ["", "x", 0, [], {}, False, {"signature": None}])
def test_a_mark_that_is_none_of_ours_is_refused(message, stamp):
    refused_with(401, {"data": document(), "custom": {"_smsww": stamp}})


@pytest.mark.parametrize("value", ["x", ":", "::", ":::", "a:b:c", "x" * 5000])
def test_a_forged_header_is_refused(message, value):
    refused_with(401, document(), {HEADER: value})


def test_the_signature_of_another_message_is_refused(make_message, message):
    other = make_message(environment=ENVIRONMENT)
    signature = sign(other.reference, ENVIRONMENT)
    refused_with(401, {"data": document(), "custom": mark(message, signature=signature)})
    forged = f"{ENVIRONMENT}:{message.reference}:{signature}"
    refused_with(401, document(), {HEADER: forged})
    assert_untouched(message)


def test_the_signature_of_another_environment_is_refused(message):
    signature = sign(message.reference, "staging")
    refused_with(401, {"data": document(), "custom": mark(message, signature=signature)})
    assert_untouched(message)


def test_a_right_signature_beside_a_wrong_one_does_not_count(message):
    right, wrong = mark(message), mark(message, signature="x")
    refused_with(401, {"data": document(), "custom": wrong}, signed(message))
    refused_with(401, {"data": document(), "custom": right}, {HEADER: "x"})
    assert_untouched(message)


def test_a_signature_survives_the_rotation_of_the_key(message, settings):
    headers = signed(message)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "a new key", [settings.SECRET_KEY]
    assert post(document("PENDING"), headers).status_code == 200
    settings.SECRET_KEY_FALLBACKS = []
    refused_with(401, document(), headers)
    assert stored(message).state == State.PENDING


def test_a_mark_in_the_wrong_place_names_nothing(message):
    refused_with(401, {"data": document(), "nested": {"custom": mark(message)}})
    refused_with(401, {"data": document(options={"custom": mark(message)})})
    refused_with(401, mark(message))


def test_a_header_of_a_reference_in_another_spelling_is_refused(message):
    value = header_stamp(message.reference, ENVIRONMENT)[HEADER]
    spelled = value.replace(str(message.reference), message.reference.hex)
    refused_with(401, document(), {HEADER: spelled})
    refused_with(401, document(), {HEADER: value.replace(str(message.reference), str(uuid4()))})


# Bodies

DEEP = {
    "brackets": b"[" * 60_000,
    "pairs of brackets": b"[" * 30_000 + b"]" * 30_000,
    "objects": b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
    "deeper than allowed": b'{"a":' * 40 + b"1" + b"}" * 40,
}
UNREADABLE = DEEP | {
    "nothing": b"",
    "no JSON": b"DELIVERED",
    "half of it": b'{"id": "a',
    "a number": b"1",
    "an empty list": b"[]",
    "a list of two": b"[{}, {}]",
    "null": b"null",
    "a long number": b'{"id":' + b"9" * 200_000 + b"}",
    "a long fraction": b'{"price": 1e' + b"9" * 100_000 + b"}",
    "no number": b'{"price": NaN}',
    "a repeated key": b'{"id": "a", "id": "b"}',
    "a repeated key within": b'{"data": {"id": "a", "id": "b"}}',
    "no UTF-8": b'{"id": "\xff"}',
    "UTF-16": '{"id": "a"}'.encode("utf-16"),
    "zlib": b"\x78\x9c\xab\x56\xca\x4c\x51\xb2\x52\x4a",
}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)
def test_what_cannot_be_read_is_refused(message, body):
    assert refused_with(400, body) == "unreadable"
    assert_untouched(message)
    assert unread_with(400, message, body) == "unreadable"


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)
def test_a_form_does_not_hide_what_cannot_be_read(message, body):
    field = urlencode({"data": body}).encode()
    unread_with(400 if len(field) <= MAX_BYTES else 413, message, field, FORM)


@pytest.mark.parametrize(
    "body",
    [
        b"data={}&data={}",
        b"data={}&custom={&",
        b"data={}&custom={}&custom={}",
        b"a={}&b={}",
        b"a=1",
        b"data=%FF",
        b"data=\xff",
        b"custom={}",
        b"&".join(b"a%d=1" % number for number in range(1000)) + b"&data={}",
    ],
)
def test_a_form_that_cannot_be_read_is_refused(message, body):
    assert unread_with(400, message, body, FORM) == "unreadable"


def test_the_custom_of_a_form_is_no_way_around_the_limits(message):
    body = urlencode({"data": "{}", "custom": DEEP["deeper than allowed"]}).encode()
    unread_with(400, message, body, FORM)


def test_a_number_of_a_million_digits_is_refused(message):
    unread_with(413, message, b'{"id":' + b"9" * 1_000_000 + b"}")


@pytest.mark.parametrize("content_type", ["application/json", FORM])
def test_ten_megabytes_are_refused(message, content_type):
    body = b'{"a": "' + b"x" * 10_000_000 + b'"}'
    assert refused_with(413, body, content_type=content_type) == "too_large"
    assert unread_with(413, message, body, content_type) == "too_large"


class Endless:
    """A stream that never ends, and counts what was read of it."""

    def __init__(self):
        self.given = 0

    def read(self, size=-1):
        assert 0 <= size <= 2 * MAX_BYTES, "it must not read all of it"
        self.given += size
        return b" " * size


def answer_to_stream(rf, message, stream, length=2):
    headers = signed(message) | {"Content-Length": str(length)}
    request = rf.post(URL, b"{}", content_type="application/json", headers=headers)
    request._stream = stream
    return resolve(URL).func(request).status_code


def test_a_length_that_lies_reads_no_further_than_the_limit(message, rf):
    assert answer_to_stream(rf, message, stream := Endless()) == 413
    assert stream.given == MAX_BYTES + 1


def test_of_what_is_declared_too_long_nothing_is_read(message, rf):
    assert answer_to_stream(rf, message, stream := Endless(), length=MAX_BYTES + 1) == 413
    assert stream.given == 0


@pytest.mark.parametrize("limit", [10, None, 10**9])
def test_the_limit_is_ours_and_not_the_projects(message, settings, limit):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = limit
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 0
    assert hear(message) == "moved"
    body = urlencode({"data": json.dumps(document()), "custom": ""}).encode()
    assert post(body, signed(message), FORM).status_code == 200
    refused_with(413, b" " * (MAX_BYTES + 1))


def test_a_connection_that_breaks_is_not_answered_with_a_fault(message, rf):
    class Broken:
        def read(self, size):
            raise OSError("reset")

    assert answer_to_stream(rf, message, Broken()) == 400
    assert stored(message).state == State.NEW


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "multipart/form-data; boundary=x", "application/xml", "", "application/jsonx"],
)
def test_another_content_type_is_refused(message, content_type):
    body = json.dumps(document()).encode()
    assert refused_with(415, body, content_type=content_type) == "unsupported_media_type"
    assert unread_with(415, message, body, content_type) == "unsupported_media_type"


@pytest.mark.parametrize("charset", ["utf-16", "latin-1", "nonsense", "\ud800"])
def test_a_charset_changes_nothing_of_how_json_is_read(message, charset):
    body = json.dumps(document(sender="Caffè"), ensure_ascii=False)
    content_type = f"application/json; charset={charset}".encode(errors="replace").decode()
    assert post(body.encode(), signed(message), content_type).status_code == 200
    refused_with(400, body.encode("utf-16"), content_type=content_type)
