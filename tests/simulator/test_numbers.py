"""Each test number behaves as the table says."""

import json
import re
import socket
import time
from contextlib import closing, suppress
from urllib.parse import urlsplit

import pytest
import requests

from django_smsww.contrib.simulator.behaviours import TEST_NUMBERS
from django_smsww.contrib.simulator.store import SQLiteStore
from django_smsww.numbers import country_of

from ..support.sampling import slow_unless
from .door import NUMBER


def number(ending):
    return f"+447400000{ending}"


PREFIXES = {"+393330000": "IT", "+346000000": "ES"}
PREFIXES |= {"+447400000": "GB", "+12025550": "US"}
ENDS = {"567": "DELIVERED", "901": "UNDELIVERABLE", "902": "EXPIRED", "903": "REJECTED"}
ENDS |= {"904": "PENDING", "905": "NEW", "932": "QUARANTINED"}


@pytest.mark.parametrize(("ending", "state"), ENDS.items())
@pytest.mark.parametrize(
    ("prefix", "country"), slow_unless(lambda _prefix, country: country == "IT", PREFIXES.items())
)
def test_number_ends_in_its_state(door, prefix, country, ending, state):
    recipient = f"{prefix}{ending}"
    assert country_of(recipient) == country  # so that allowed_countries lets it pass
    message = door.send(recipient=recipient)
    assert door.message(message["id"])["state"] == state


JSON, HTML, PLAIN = "application/json", "text/html", "text/plain"
ACCEPTED = """
    912 500 JSON  917 503 HTML  922 200 HTML  934 408 JSON  935 502 HTML  936 504 HTML
    943 500 JSON  946 502 JSON  948 504 JSON  950 201 PLAIN
"""
REFUSED = """
    913 500 JSON  916 503 JSON  918 429 JSON  919 402 JSON  920 417 JSON  924 307 JSON
    933 401 JSON  937 502 HTML  941 504 HTML  942 503 HTML  944 500 JSON  945 503 JSON
    947 502 JSON  949 504 JSON
"""


@pytest.mark.parametrize(
    ("accepted", "case"),
    [
        (accepted, case)
        for accepted, table in enumerate([REFUSED, ACCEPTED])
        for case in re.findall(r"(\d+) (\d+) (\w+)", table)
    ],
)
def test_number_answers_with_its_status(door, accepted, case):
    ending, status, content_type = case[0], int(case[1]), globals()[case[2]]
    response = door.post(recipient=number(ending))
    assert (response.status_code, response.headers["Content-Type"]) == (status, content_type)
    assert len(door.ledger()) == accepted
    assert door.requests()[0]["outcome"] == ("accepted" if accepted else "refused")
    assert door.requests()[0]["status"] == status
    assert response.headers.get("Retry-After") == ("1" if status == 429 else None)


@pytest.mark.parametrize("ending", ["916", "920", "943", "944", "947", "948"])
def test_these_numbers_answer_in_the_envelope_of_the_platform(door, ending):
    body = door.post(recipient=number(ending)).json()
    assert set(body) == {"success", "message", "error", "data"}
    assert body["success"] is False


@pytest.mark.parametrize(
    ("ending", "error", "accepted"),
    [
        ("914", "ConnectionResetError", 1),
        ("915", "ConnectionResetError", 0),
        ("911", "Read timed out", 1),
        ("940", "Read timed out", 0),
        ("939", "IncompleteRead", 1),  # the body ends before its length
    ],
)
def test_answer_does_not_arrive(door, ending, error, accepted):
    body = {"recipient": number(ending), "message": "Hello"}
    timeout = 0.1 if error == "Read timed out" else 5
    with pytest.raises(requests.RequestException) as caught:
        door.session.post(f"{door.url}/WW-messages", json=body, timeout=timeout)
    assert error in repr(caught.value)
    assert len(door.ledger()) == accepted
    assert door.requests()[0]["status"] == (201 if ending == "939" else 0)


@pytest.mark.parametrize(
    ("ending", "statuses", "accepted"),
    [("953", [103, 102, 201], 1), ("954", [103, 102, 429], 0), ("955", [429, 201], 1)],
)
def test_answers_before_the_last_one(door, ending, statuses, accepted):
    body = json.dumps({"recipient": number(ending), "message": "Hello"}).encode()
    with raw_request(door, body, len(body)) as connection:
        answers = connection.makefile("rb").read()
    assert [int(status) for status in re.findall(rb"HTTP/1.1 (\d+)", answers)] == statuses
    assert len(door.ledger()) == accepted


def raw_request(door, body, length):
    url = urlsplit(door.url)
    connection = socket.create_connection((url.hostname, url.port), 5)
    connection.sendall(
        b"POST /WW-messages HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer x\r\n"
        b"Content-Type: application/json\r\nConnection: close\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (length, body)
    )
    return closing(connection)


def test_request_that_breaks_off_is_not_accepted(door):
    with raw_request(door, b"{", 100):
        pass
    assert door.requests() == []
    assert door.post().status_code == 201


def test_json_breaks_off_after_accepting(door):
    response = door.post(recipient=number("921"))
    assert response.status_code == 201
    with pytest.raises(requests.JSONDecodeError):
        response.json()
    assert len(door.ledger()) == 1


def test_slow_answer_comes_byte_by_byte(open_door):
    door = open_door(drip=0.0005)
    started = time.monotonic()
    response = door.post(recipient=number("923"))
    assert time.monotonic() - started > 0.0005 * len(response.content)
    assert response.json()["data"]["recipient"] == number("923")


def test_following_the_redirect_would_send(door):
    response = door.post(recipient=number("924"))
    target = door.url + response.headers["Location"]
    body = {"recipient": number("924"), "message": "Hello"}
    assert door.session.post(target, json=body, timeout=5).status_code == 201
    assert len(door.ledger()) == 1


def test_blocklisted_message_is_accepted_and_fined(door):
    message = door.send(recipient=number("925"))
    assert (message["blocklisted"], bool(message["blocklistedReason"])) == (True, True)
    assert door.credit() == 9999
    assert door.message(message["id"])["state"] == "REJECTED"


def test_refusing_number_refuses_a_dry_run_too(door):
    assert door.post(recipient=number("919"), options={"dryRun": True}).status_code == 402


def test_next_requests_can_be_given_a_behaviour(door):
    door.control("next", {"ending": "916", "times": 2})
    door.control("next", {"ending": "937", "method": "GET"})
    assert [door.post().status_code for _ in range(3)] == [503, 503, 201]
    assert [door.get("/messages").status_code for _ in range(2)] == [502, 200]


def test_every_ending_is_three_digits_of_the_nine_hundreds():
    assert all(re.fullmatch(r"9\d\d", ending) for ending in TEST_NUMBERS)
    assert NUMBER[-3:] not in TEST_NUMBERS


def test_store_rolls_back_what_fails(tmp_path):
    store = SQLiteStore(str(tmp_path / "store.sqlite3"))
    with suppress(ZeroDivisionError), store.transaction():
        store.insert("account", name="credit", value=1)
        raise ZeroDivisionError
    assert store.rows("SELECT * FROM account") == []
    store.close()
