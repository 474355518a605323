"""The four endpoints that send, against the gateway's specification 1.2.7."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from .door import NUMBER

KEYS = {
    *("id", "username", "state", "sender", "recipient", "internationalPrefix", "countryCode"),
    *("message", "encoding", "charactersCount", "messageCount", "price", "totalPrice", "isOtp"),
    *("blocklisted", "blocklistedReason", "options", "createdAt", "updatedAt", "sentAt"),
    "deliveredAt",
}
LONG = "{" * 77 + "€" * 10
SPAIN = "+34600123456"
LOCAL = "http://127.0.0.1:9/"
CALLBACK = {"url": LOCAL, "custom": {"a": [1]}, "headers": {"X-A": "b"}}
DEFAULTS = {"method": "JSON", "field": "data", "retry": 0}


def test_accepted_message_has_every_documented_field(door):
    response = door.post(callback={"url": LOCAL})
    message = response.json()["data"]
    assert response.status_code == 201
    assert set(message) == KEYS | {"callback"}
    assert re.fullmatch("[0-9a-f]{24}", message["id"])
    assert (message["state"], message["price"], message["totalPrice"]) == ("NEW", 0, 0)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", message["createdAt"])


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"recipient": SPAIN}, {"internationalPrefix": "34", "countryCode": "ES"}),
        ({"message": LONG}, {"encoding": "GSM-7", "charactersCount": 174, "messageCount": 2}),
        ({"sender": None}, {"sender": "Openapi"}),
        ({"sender": ""}, {"sender": "Openapi"}),
        ({"callback": CALLBACK}, {"callback": DEFAULTS | CALLBACK}),
        ({"path": "/IT-messages", "message": "a" * 161}, {"price": 0.0495, "totalPrice": 0.099}),
        ({"path": "/ES-messages", "recipient": SPAIN, "message": LONG}, {"totalPrice": 0.086}),
    ],
)
def test_accepted_message_tells(door, fields, told):
    message = door.post(**fields).json()["data"]
    assert {name: message[name] for name in told} == told


WRONG_RECIPIENTS = (
    *("393331234567", "+39 333 1234567", "+3933312345671234", "+39333123456७"),
    39333123456,
)
WRONG_CALLBACKS = (
    *(None, {}, {"url": "ftp://127.0.0.1/"}, {"url": LOCAL, "method": "GET"}),
    *({"url": LOCAL, "retry": 6}, {"url": LOCAL, "retry": True}, {"url": LOCAL, "custom": []}),
    {"url": LOCAL, "headers": {"a": "b\nc"}},
)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        *(({"recipient": recipient}, 2011) for recipient in WRONG_RECIPIENTS),
        *(({"sender": sender}, 2021) for sender in ("ab", "abcdefghijkl", "caffè", "   ")),
        ({"sender": "123456"}, 2024),
        ({"message": "a forbidden-word here"}, 2044),
        ({"sender": "Forbidden1"}, 2044),
        ({"sender": "NotApproved"}, 1000),
        *(({"message": text}, 1000) for text in ("", None, "a\ud800", "a" * (153 * 255 + 1))),
        *(({"options": options}, 1000) for options in (None, {"dryRun": "yes"})),
        ({"message": "a" * 161, "options": {"failOnMultipleMessages": True}}, 1000),
        *(({"callback": callback}, 1000) for callback in WRONG_CALLBACKS),
    ],
)
def test_invalid_request_is_refused_with_its_code(door, fields, code):
    response = door.post(**fields)
    assert (response.status_code, response.json()["code"]) == (422, code)
    assert set(response.json()) == {"code", "message"}
    assert door.ledger() == []


@pytest.mark.parametrize(("route", "abroad"), [("IT", SPAIN), ("ES", NUMBER)])
def test_national_endpoint_refuses_another_country(door, route, abroad):
    response = door.post(f"/{route}-messages", recipient=abroad)
    assert (response.status_code, response.json()["code"]) == (422, 2013)
    assert route in response.json()["message"]


def test_worldwide_price_is_filled_in_later_and_debited_exactly(door):
    message = door.message(door.send(message="a" * 161)["id"])
    assert (message["price"], message["totalPrice"]) == (0.069, 0.138)
    assert door.credit() == 9999.862


def test_states_move_on_with_growing_times(door):
    message = door.send()
    final = door.message(message["id"])
    assert final["state"] == "DELIVERED"
    assert message["createdAt"] < final["sentAt"] < final["deliveredAt"] == final["updatedAt"]


def test_dry_run_costs_nothing_and_is_not_recorded(door):
    response = door.post("/IT-messages", options={"dryRun": True})
    message = response.json()["data"]
    assert (response.status_code, message["totalPrice"]) == (201, 0.0495)
    assert door.ledger() == []
    assert door.get(f"/messages/{message['id']}").status_code == 404
    assert [line["outcome"] for line in door.requests()] == ["validated"]
    assert door.credit() == 10000


def test_same_request_twice_is_accepted_twice(door):
    custom = {"_smsww": {"reference": "r1"}}
    for _ in range(2):
        door.post(callback={"url": LOCAL, "custom": custom})
    assert [line["reference"] for line in door.ledger()] == ["r1", "r1"]
    assert len({line["id"] for line in door.ledger()}) == 2


@pytest.mark.parametrize(
    ("path", "dry_run", "code", "fine"),
    [
        *(("/WW-messages", False, 2044, 2), ("/WW-messages", True, 2044, 0)),
        *(("/IT-messages", False, 2050, 0.099), ("/IT-messages", True, 2044, 0)),
    ],
)
def test_forbidden_content_is_fined_and_ends_the_account(door, path, dry_run, code, fine):
    text = "forbidden-word " * 11
    response = door.post(path, message=text, options={"dryRun": dry_run})
    assert (response.status_code, response.json()["code"]) == (422, code)
    assert door.credit() == 10000 - fine
    following = door.post()
    assert following.status_code == (201 if dry_run else 403)
    assert dry_run or following.json()["code"] == 2020


def test_worldwide_send_needs_a_euro_a_segment(door):
    door.control("account", {"credit": 1})
    refused = door.post(message="a" * 161)
    assert refused.status_code == 402
    assert set(refused.json()) == {"success", "message", "error", "data"}
    assert "Insufficient Credit in Wallet: 2 > 1" in refused.json()["message"]
    assert door.post().status_code == 201


@pytest.mark.parametrize("value", ["Bearer wrong", "Bearer Bearer x", "Basic YTpi", ""])
def test_token_is_required(door, value):
    assert door.post().status_code == 201
    door.session.headers["Authorization"] = value
    response = door.post()
    assert (response.status_code, response.json()["message"]) == (401, "Wrong Token")


def test_configured_token_is_the_only_one(open_door):
    door = open_door(token="secret")
    assert door.post().status_code == 401
    door.session.headers["Authorization"] = "Bearer secret"
    assert door.post().status_code == 201


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b"[" * 100_000, b'{"recipient": ' + b"9" * 5000 + b"}", b"[1]"]
)
def test_malformed_body_is_refused(door, body):
    headers = {"Content-Type": "application/json"}
    response = door.session.post(door.url + "/WW-messages", body, headers=headers, timeout=5)
    assert response.status_code == (422 if body == b"[1]" else 400)
    assert body == b"[1]" or response.json()["success"] is False


def test_body_of_unknown_or_absurd_length_is_refused(door):
    chunks = requests.Request("POST", door.url + "/WW-messages", data=iter([b"{}"]))
    refused = door.session.send(door.session.prepare_request(chunks), timeout=5)
    assert (refused.status_code, refused.headers["Connection"]) == (411, "close")
    assert door.post(message="a" * 1_100_000).status_code == 413


def test_senders_at_once_are_all_recorded_and_all_paid(door):
    with ThreadPoolExecutor(16) as pool:
        answers = [pool.submit(door.post, "/IT-messages") for _ in range(16)]
    assert {answer.result().status_code for answer in answers} == {201}
    assert len(door.ledger()) == 16
    assert door.credit() == 10000 - 16 * 0.0495
