"""What the provider says is read leniently, bounded, and never with an exception."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from django_smsww.gateway.payload import (
    is_message,
    load_json,
    read_count,
    read_custom,
    read_message,
    read_money,
    read_time,
    unwrap,
)
from django_smsww.sms import SendResult

MESSAGE = {
    "id": "633aabe3e4a9a0e69811ad7f",
    "username": "someone",
    "state": "PENDING",
    "sender": "Acme",
    "recipient": "+393331234567",
    "internationalPrefix": "39",
    "countryCode": "IT",
    "message": "Hello",
    "encoding": "GSM-7",
    "charactersCount": 5,
    "messageCount": 1,
    "price": Decimal("0.045"),
    "totalPrice": Decimal("0.045"),
    "blocklisted": False,
    "blocklistedReason": None,
    "options": {"dryRun": False},
    "callback": {"custom": {"order": 7}, "headers": {"X": "y"}},
    "createdAt": "2026-02-12T10:00:00+01:00",
    "updatedAt": "2026-02-12T09:00:01.500Z",
    "sentAt": None,
    "isOtp": False,
}


def test_documented_message_is_read():
    result = read_message({"data": MESSAGE})
    assert result == SendResult(
        provider_id="633aabe3e4a9a0e69811ad7f",
        state="PENDING",
        encoding="GSM-7",
        characters=5,
        segments=1,
        country="IT",
        prefix="39",
        price=Decimal("0.045"),
        total_price=Decimal("0.045"),
        created_at=datetime(2026, 2, 12, 9, tzinfo=UTC),
        updated_at=datetime(2026, 2, 12, 9, 0, 1, 500000, tzinfo=UTC),
        recipient="+393331234567",
        sender="Acme",
        body="Hello",
        custom={"order": 7},
    )


def test_bare_message_is_read_the_same():
    assert read_message(MESSAGE) == read_message({"data": {"data": MESSAGE}})


@pytest.mark.parametrize("value", [None, [], {}, True, "text", 3, {"data": None}, {"data": [1]}])
def test_what_is_no_message_is_empty(value):
    assert read_message(value) == SendResult()
    assert not is_message(value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.fixed_dictionaries({}, optional=dict.fromkeys([*MESSAGE, "custom", "data"], json_values)))
def test_no_value_of_any_field_is_too_strange(payload):
    result = read_message(payload)
    assert len(result.provider_id) <= 64
    assert len(result.state) <= 32
    assert len(result.blocklisted_reason) <= 255
    assert result.segments is None or 0 <= result.segments <= 32767
    assert result.price is None or 0 <= result.price < 10**6


@pytest.mark.parametrize(
    ("value", "amount"),
    [
        *((0, "0"), ("0.045", "0.045"), (" 4.5E-2 ", "0.045"), (0.1, "0.1"), (999999, "999999")),
        *((Decimal("1E+2"), "100"), (Decimal("1E-999999999"), "0")),
        *((Decimal("0.0000005"), "0"), (Decimal("0.0000015"), "0.000002")),
        *((bad, None) for bad in (10**6, -1, float("inf"), True, None, [])),
        *((bad, None) for bad in ("NaN", "0,045", "", "1" * 5000)),
        *((Decimal(bad), None) for bad in ("999999.9999999", "9E+999999999", "NaN", "sNaN")),
    ],
)
def test_money_is_exact_and_bounded(value, amount):
    money = read_money(value)
    assert money == (None if amount is None else Decimal(amount))
    assert money is None or money.as_tuple().exponent == -6


@pytest.mark.parametrize(
    ("value", "count"),
    [(3, 3), ("3", 3), (Decimal("3.0"), 3), (0, 0), (32767, 32767)]
    + [(bad, None) for bad in (32768, -1, 2.5, "three", "٣", True, None, [], Decimal("NaN"))]
    + [(bad, None) for bad in (float("inf"), 10**4000, Decimal("1E+999999999"))],
)
def test_count_is_a_small_whole_number(value, count):
    assert read_count(value) == count


NOON = datetime(2026, 2, 12, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        *("2026-02-12T12:00:00Z", "2026-02-12T13:00:00+01:00", "2026-02-12T12:00:00.000"),
        *("2026-02-12 12:00:00", "1770897600", 1770897600, Decimal("1770897600.0")),
    ],
)
def test_time_is_read_in_every_form(value):
    assert read_time(value) == NOON


@pytest.mark.parametrize(
    "value",
    [
        *("", "soon", "2026-02-30T00:00:00Z", "0000-00-00 00:00:00", "0001-01-01T00:00:00+14:00"),
        *("9999-12-31T23:59:59-14:00", "1999-12-31T23:59:59Z", "9" * 12),
        *(0, -1, 7e16, 10**30, 1e400, float("nan"), Decimal("NaN"), True, None, [], {}),
    ],
)
def test_time_out_of_range_is_none(value):
    assert read_time(value) is None


def test_time_is_naive_where_the_project_says_so(settings):
    settings.USE_TZ, settings.TIME_ZONE = False, "Europe/Rome"
    assert read_time("2026-02-12T12:00:00Z") == datetime(2026, 2, 12, 13)


@pytest.mark.parametrize(
    ("value", "read"),
    [(value, True) for value in (True, 1, "1", "true", " TRUE ", "yes")]
    + [(value, False) for value in (False, 0, "0", "false", "", None, [], {}, 10**4000)],
)
def test_blocklisted_is_seen_in_every_form(value, read):
    assert read_message({"blocklisted": value}).blocklisted is read


@pytest.mark.parametrize(
    ("field", "key", "value", "read"),
    [
        ("provider_id", "id", 12345, "12345"),
        ("provider_id", "id", "x" * 65, ""),
        ("state", "state", "Ärger\x00" + "x" * 99, "Ärger" + "x" * 27),
        ("country", "countryCode", "it", "IT"),
        ("country", "countryCode", "ITA", ""),
        ("prefix", "internationalPrefix", 39, "39"),
        ("prefix", "internationalPrefix", "+39", "39"),
        ("blocklisted_reason", "blocklistedReason", "y" * 300, "y" * 255),
        ("body", "message", "a\ud800b\x00c", "abc"),
        ("body", "message", ["a"], ""),
    ],
)
def test_text_is_cleaned_and_bounded(field, key, value, read):
    assert getattr(read_message({key: value}), field) == read


def test_text_of_a_one_time_code_is_not_kept():
    assert read_message({**MESSAGE, "isOtp": True}).body == ""


CALLED = {"id": "1", "callback": {"custom": {"a": 1}}}


@pytest.mark.parametrize(
    "payload",
    [
        {"data": {"id": "1"}, "custom": {"a": 1}},
        {"data": {"data": {"id": "1"}, "custom": {"a": 1}}},
        {"id": "1", "custom": {"a": 1}},
        *({"data": CALLED}, {"data": CALLED, "custom": None}, {"data": CALLED, "custom": []}),
        {"data": CALLED | {"callback": {"custom": {"a": 2}}}, "custom": {"a": 1}},
    ],
)
def test_custom_is_found_wherever_it_comes_back(payload):
    assert read_custom(payload) == read_message(payload).custom == {"a": 1}


def test_message_with_data_of_its_own_is_not_unwrapped():
    assert unwrap({"id": "1", "data": {"id": "2"}})["id"] == "1"


def test_json_numbers_never_become_floats():
    assert load_json(b'{"a": [0.1, 1e2]}') == {"a": [Decimal("0.1"), Decimal("1e2")]}
    assert load_json(b"\xef\xbb\xbf1.10").as_tuple().digits == (1, 1, 0)


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"<html></html>", b"NaN", b"[Infinity]", b'"caff\xe8"', b'{"a": 1, "a": 2}'),
        *('{"a": 1}'.encode("utf-16"), b"9" * 5000, b"1e99999999999999999999"),
        *(b"[" * 33 + b"]" * 33, b"[" * 200_000),
    ],
    ids=range(12),
)
def test_json_beyond_reason_is_refused_without_a_trace_of_it(body):
    with pytest.raises(ValueError, match=r"^This is not JSON that can be read\.$") as caught:
        load_json(body)
    assert caught.value.__context__ is None


def test_json_as_deep_as_reason_goes_is_read():
    body = b"[" * 32 + b"]" * 32
    assert json.dumps(load_json(body)).encode() == body
