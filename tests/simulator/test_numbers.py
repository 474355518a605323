"""Each test number does what the table says of it."""

import json
import re
import socket
import time
from contextlib import closing
from urllib.parse import urlsplit

import pytest
import requests

from django_smsww.contrib.simulator.behaviours import TEST_NUMBERS
from django_smsww.contrib.simulator.store import SQLiteStore

from .door import NUMBER


def number(ending):
    return f"+447700900{ending}"


@pytest.mark.parametrize(
    ("ending", "state"),
    [
        ("567", "DELIVERED"),
        ("901", "UNDELIVERABLE"),
        ("902", "EXPIRED"),
        ("903", "REJECTED"),
        ("904", "PENDING"),
        ("905", "NEW"),
        ("932", "QUARANTINED"),
    ],
)
@pytest.mark.parametrize("prefix", ["+39333", "+34600", "+1202"])
def test_number_ends_in_its_state(door, prefix, ending, state):
    message_id = door.post(recipient=f"{prefix}0000{ending}").json()["data"]["id"]
    door.wait_until_idle()
    assert door.message(message_id)["state"] == state


@pytest.mark.parametrize(
    ("ending", "status", "content_type", "accepted"),
    [
        ("912", 500, "application/json", 1),
        ("913", 500, "application/json", 0),
        ("916", 503, "application/json", 0),
        ("917", 503, "text/html", 1),
        ("918", 429, "application/json", 0),
        ("919", 402, "application/json", 0),
        ("920", 417, "application/json", 0),
        ("922", 200, "text/html", 1),
        ("924", 307, "application/json", 0),
        ("933", 401, "application/json", 0),
        ("934", 408, "application/json", 1),
        ("935", 502, "text/html", 1),
        ("936", 504, "text/html", 1),
        ("937", 502, "text/html", 0),
        ("941", 504, "text/html", 0),
        ("942", 503, "text/html", 0),
        ("943", 500, "application/json", 1),
        ("944", 500, "application/json", 0),
        ("945", 503, "application/json", 0),
        ("946", 502, "application/json", 1),
        ("947", 502, "application/json", 0),
        ("948", 504, "application/json", 1),
        ("949", 504, "application/json", 0),
        ("950", 201, "text/plain", 1),
    ],
)
def test_number_answers_with_its_status(door, ending, status, content_type, accepted):
    response = door.post(recipient=number(ending))
    assert (response.status_code, response.headers["Content-Type"]) == (status, content_type)
    assert len(door.ledger()) == accepted
    assert door.requests()[0]["outcome"] == ("accepted" if accepted else "refused")
    assert door.requests()[0]["status"] == status


@pytest.mark.parametrize("ending", ["916", "920", "943", "944", "947", "948"])
def test_these_numbers_answer_in_the_envelope_of_the_platform(door, ending):
    body = door.post(recipient=number(ending)).json()
    assert set(body) == {"success", "message", "error", "data"}
    assert body["success"] is False


def test_429_says_when_to_come_back(door):
    assert door.post(recipient=number("918")).headers["Retry-After"] == "1"


@pytest.mark.parametrize(("ending", "accepted"), [("914", 1), ("915", 0)])
def test_connection_is_reset(door, ending, accepted):
    with pytest.raises(requests.ConnectionError) as caught:
        door.post(recipient=number(ending))
    assert "ConnectionResetError" in repr(caught.value)
    assert len(door.ledger()) == accepted
    assert door.requests()[0]["status"] == 0


@pytest.mark.parametrize(("ending", "accepted"), [("911", 1), ("940", 0)])
def test_no_answer_ever_comes(door, ending, accepted):
    body = {"recipient": number(ending), "message": "Hello"}
    with pytest.raises(requests.ReadTimeout):
        door.session.post(door.url + "/WW-messages", json=body, timeout=0.1)
    assert len(door.ledger()) == accepted


@pytest.mark.parametrize(
    ("ending", "statuses", "accepted"),
    [("953", [103, 102, 201], 1), ("954", [103, 102, 429], 0), ("955", [429, 201], 1)],
)
def test_answers_before_the_last_one(door, ending, statuses, accepted):
    url = urlsplit(door.url)
    body = json.dumps({"recipient": number(ending), "message": "Hello"}).encode()
    with closing(socket.create_connection((url.hostname, url.port), 5)) as connection:
        connection.sendall(
            b"POST /WW-messages HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer x\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n"
            b"Connection: close\r\n\r\n%s" % (len(body), body)
        )
        said = connection.makefile("rb").read()
    assert [int(status) for status in re.findall(rb"HTTP/1.1 (\d+)", said)] == statuses
    assert len(door.ledger()) == accepted


def test_json_breaks_off_after_accepting(door):
    response = door.post(recipient=number("921"))
    assert response.status_code == 201
    with pytest.raises(requests.JSONDecodeError):
        response.json()
    assert len(door.ledger()) == 1


def test_body_ends_before_its_length_after_accepting(door):
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        door.post(recipient=number("939"))
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
    message = door.post(recipient=number("925")).json()["data"]
    door.wait_until_idle()
    assert (message["blocklisted"], bool(message["blocklistedReason"])) == (True, True)
    assert door.account("/wallet").json()["data"]["credit"] == 9999
    assert door.message(message["id"])["state"] == "REJECTED"


def test_refusing_number_refuses_a_dry_run_too(door):
    assert door.post(recipient=number("919"), options={"dryRun": True}).status_code == 402


def test_request_that_breaks_off_is_not_accepted(door):
    url = urlsplit(door.url)
    with closing(socket.create_connection((url.hostname, url.port), 5)) as connection:
        connection.sendall(
            b"POST /WW-messages HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer x\r\n"
            b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
        )
    assert door.requests() == []
    assert door.post().status_code == 201


def test_next_requests_can_be_given_a_behaviour(door):
    door.control("next", {"ending": "916", "times": 2})
    assert [door.post().status_code for _ in range(3)] == [503, 503, 201]


def test_reading_can_be_given_a_behaviour(door):
    door.control("next", {"ending": "937", "method": "GET"})
    assert door.post().status_code == 201
    assert [door.get("/messages").status_code for _ in range(2)] == [502, 200]


def test_every_ending_is_three_digits_of_the_nine_hundreds():
    assert all(re.fullmatch(r"9\d\d", ending) for ending in TEST_NUMBERS)
    assert NUMBER[-3:] not in TEST_NUMBERS


def test_store_rolls_back_what_fails(tmp_path):
    store = SQLiteStore(str(tmp_path / "store.sqlite3"))
    with pytest.raises(ZeroDivisionError):
        _insert_and_fail(store)
    assert store.rows("SELECT * FROM account") == []
    store.close()


def _insert_and_fail(store):
    with store.transaction():
        store.execute("INSERT INTO account VALUES ('credit', 1)")
        raise ZeroDivisionError
