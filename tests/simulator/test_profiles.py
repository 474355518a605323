"""Each guess about the gateway can be made true."""

import time

import pytest

from django_smsww.contrib.simulator.context import Options
from django_smsww.contrib.simulator.profiles import DESCRIPTIONS, UnknownProfileError
from django_smsww.contrib.simulator.server import Simulator

from ..support.sampling import slow_unless

CUSTOM = {"_smsww": {"reference": "r1"}}


@pytest.fixture
def under(open_door, receiver):
    """Send one message under profiles; return the door, the message and the final callback."""

    def send(*profiles, method="JSON"):
        door = open_door(profiles=profiles)
        callback = {"url": receiver.url, "method": method, "custom": CUSTOM}
        door.send(callback=callback | {"headers": {"X-Mine": "1"}})
        listed = door.get("/messages").json()
        messages = listed if "bare" in profiles else listed["data"]
        return door, messages[0], receiver.posts[-1]

    return send


def test_custom_is_not_echoed_but_the_judge_knows_it(under):
    door, message, post = under("custom-not-echoed")
    assert "custom" not in message["callback"]
    assert post.json["custom"] is None
    assert door.ledger()[0]["reference"] == "r1"


def test_callback_is_not_echoed(under):
    _, message, post = under("callback-not-echoed")
    assert ("callback" in message, post.json["custom"]) == (False, CUSTOM)


def test_headers_are_not_sent(under):
    _, message, post = under("headers-not-sent")
    assert "x-mine" not in post.headers
    assert message["callback"]["headers"] == {"X-Mine": "1"}


def test_price_stays_zero_but_the_wallet_pays(under):
    door, message, _ = under("price-zero")
    assert (message["price"], message["totalPrice"]) == (0, 0)
    assert door.credit() == 9999.931


@pytest.mark.parametrize(
    ("profile", "spelling"),
    [
        ("recipient-without-plus", "393331234567"),
        ("recipient-with-00", "00393331234567"),
        ("recipient-with-separators", "+39 (0) 333-1234567"),
        ("recipient-missing", None),
    ],
)
def test_recipient_is_spelled_otherwise_but_the_judge_knows_it(under, profile, spelling):
    door, message, post = under(profile)
    assert (message.get("recipient"), post.json["data"].get("recipient")) == (spelling, spelling)
    assert door.ledger()[0]["recipient"] == "+393331234567"


@pytest.mark.parametrize(
    "profile", slow_unless({"bare", "flat"}.__contains__, sorted(DESCRIPTIONS))
)
def test_callbacks_with_the_id_of_another_are_posted_under_each_profile(
    open_door, receiver, profile
):
    door = open_door(profiles=[profile])
    callback = {"url": receiver.url, "method": "JSON", "custom": CUSTOM, "headers": {}}
    door.post(recipient="+393331234931", callback=callback)
    door.wait_until_idle()
    assert len(receiver.posts) == 4


@pytest.mark.parametrize("method", ["JSON", "POST"])
def test_nested_payload(under, method):
    _, message, post = under("payload-nested", method=method)
    payload = post.json if method == "JSON" else post.form["data"]
    assert payload == {"data": {"data": message, "custom": CUSTOM}}


@pytest.mark.parametrize(
    ("also", "custom"),
    [([], CUSTOM), (["callback-not-echoed"], CUSTOM), (["custom-not-echoed"], None)],
)
def test_flat_payload_has_custom_in_its_callback(under, also, custom):
    _, message, post = under("payload-flat", *also)
    assert post.json["id"] == message["id"]
    assert post.json["callback"].get("custom") == custom


def test_flat_payload_in_a_form(under):
    _, message, post = under("payload-flat", method="POST")
    assert post.form == {"data": message}


def test_bare_bodies_are_not_wrapped(open_door):
    door = open_door(profiles=("bare",))
    message = door.post().json()
    assert message["state"] == "NEW"
    assert door.get(f"/messages/{message['id']}").json()["id"] == message["id"]
    assert isinstance(door.get("/messages").json(), list)


def test_oldest_message_is_listed_first(open_door):
    door = open_door(profiles=("oldest-first",))
    sent = [door.post().json()["data"]["id"] for _ in range(3)]
    assert [message["id"] for message in door.listed()] == sent


def test_pages_of_fifty(open_door):
    door = open_door(profiles=("pages-of-50",))
    for _ in range(51):
        door.post()
    assert len(door.listed(limit=100)) == 50


def test_list_shows_a_message_late_but_a_look_up_at_once(open_door):
    door = open_door(profiles=("list-late=0.4",))
    message_id = door.post().json()["data"]["id"]
    assert door.listed() == []
    assert door.message(message_id)["id"] == message_id
    time.sleep(0.4)
    assert len(door.listed()) == 1


def test_empty_list_is_a_404(open_door):
    response = open_door(profiles=("empty-list-404",)).get("/messages")
    assert (response.status_code, response.json()["success"]) == (404, False)


def test_profiles_can_be_combined(under):
    _, message, post = under("bare", "price-zero", "payload-flat")
    assert post.json == message
    assert message["price"] == 0


def test_profiles_change_while_it_runs(door):
    names = ["bare", "list-late=0.5"]
    assert door.control("profile", {"profiles": names}).json() == {"profiles": names}
    assert "data" not in door.post().json()
    door.control("profile", {"profiles": []})
    assert "data" in door.post().json()


@pytest.mark.parametrize("name", ["nonsense", "bare=1", "list-late=soon"])
def test_unknown_profile_is_refused(door, name):
    response = door.control("profile", {"profiles": [name]})
    assert response.status_code == 422
    with pytest.raises(UnknownProfileError, match=name.partition("=")[0]):
        Simulator(Options(profiles=(name,)))


def test_every_profile_is_described_and_can_be_switched_on(door):
    response = door.control("profile", {"profiles": list(DESCRIPTIONS)})
    assert len(response.json()["profiles"]) == len(DESCRIPTIONS) > 10
