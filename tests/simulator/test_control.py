"""The endpoints below /_simulator/."""

import pytest
import requests

from django_smsww.contrib.simulator.auth import check_local
from django_smsww.contrib.simulator.http import Refusal, Request


def test_ledger_says_what_was_really_sent(door, receiver):
    custom = {"_smsww": {"reference": "r1"}}
    sent = door.send(sender="Shop", callback={"url": receiver.url, "custom": custom})
    door.send()
    line, _other = door.ledger()
    assert (line["id"], line["reference"], line["sender"]) == (sent["id"], "r1", "Shop")
    assert (line["recipient"], line["body"]) == (sent["recipient"], "Hello")
    assert (line["state"], line["price"], line["charged"]) == ("DELIVERED", "0.0690", "0.069000")


def test_every_request_is_written_down(door):
    door.post()
    door.post(recipient="nonsense")
    door.post(options={"dryRun": True})
    lines = door.requests()
    assert [line["outcome"] for line in lines] == ["accepted", "refused", "validated"]
    assert [line["status"] for line in lines] == [201, 422, 201]


def test_reset_forgets_everything(open_door):
    door = open_door(profiles=("bare",))
    door.post(message="forbidden-word")
    door.control("profile", {"profiles": []})
    door.control("next", {"ending": "913"})
    door.control("reset", {})
    assert (door.ledger(), door.requests()) == ([], [])
    assert door.credit() == 10000
    assert door.post().json()["state"] == "NEW"


def test_account_can_be_set(door):
    door.post(message="forbidden-word")
    values = {"credit": "2.5", "blocklisted": False}
    assert door.control("account", values).json() == values
    assert door.post().status_code == 201


@pytest.mark.parametrize(
    ("name", "body", "status"),
    [
        ("nonsense", None, 404),
        ("account", {"nonsense": 1}, 422),
        ("account", {"credit": "much"}, 422),
        ("account", {"blocklisted": None}, 422),
        ("next", {"ending": "567"}, 422),
        ("next", {"ending": "914", "times": 0}, 422),
        ("next", {"ending": "914", "method": "PUT"}, 422),
        ("next", {"ending": "914", "method": "CONNECT"}, 422),
        ("profile", {"profiles": "bare"}, 422),
        ("profile", [], 422),
        ("hold", {"held": "yes"}, 422),
        ("decide", {"id": "nobody", "state": "EXPIRED"}, 404),
        ("decide", {"state": "EXPIRED"}, 404),
        ("decide", {"id": "nobody", "state": "NEW"}, 422),
        ("decide", {"id": "nobody", "state": "EXPIRED", "callbacks": "forged"}, 422),
        ("repeat", {"id": "nobody"}, 404),
        ("repeat", {"id": "nobody", "callbacks": []}, 422),
    ],
)
def test_wrong_control_is_refused(door, name, body, status):
    assert door.control(name, body).status_code == status


def test_web_page_cannot_control_it(door):
    url, named = f"{door.url}/_simulator", {"Host": "attacker.example"}
    assert requests.post(f"{url}/reset", data={"a": "b"}, timeout=5).status_code == 400
    assert requests.get(f"{url}/ledger", headers=named, timeout=5).status_code == 403


@pytest.mark.parametrize("client", ["192.0.2.1", "10.0.0.1", "2001:db8::1"])
def test_other_machines_cannot_control_it(client):
    request = Request("GET", "/_simulator/ledger", {}, {"Host": "127.0.0.1:80"}, client=client)
    with pytest.raises(Refusal) as caught:
        check_local(request)
    assert caught.value.response.status == 403
