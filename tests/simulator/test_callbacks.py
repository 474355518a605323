"""The callbacks that arrive at a URL, and their form."""

import pytest

from django_smsww.contrib.simulator.posting import may_post_to

from .conftest import STATE_DELAY

CUSTOM = {"order": 7, "_smsww": {"reference": "r1", "signature": "s1"}}
HEADERS = {"X-SMSWW-Signature": "s1"}


def fields(receiver, ending="567", **changes):
    callback = {"url": receiver.url, "custom": CUSTOM, "headers": HEADERS, **changes}
    return {"recipient": f"+393330000{ending}", "callback": callback}


def send(door, receiver, ending="567", **changes):
    return door.send(**fields(receiver, ending, **changes))


def test_each_change_is_posted_as_json(door, receiver):
    message = send(door, receiver)
    assert receiver.states == ["PENDING", "DELIVERED"]
    final = receiver.posts[1]
    assert final.headers["content-type"] == "application/json"
    assert final.headers["x-smsww-signature"] == "s1"
    assert final.json == {"data": door.message(message["id"]), "custom": CUSTOM}
    assert final.json["data"]["totalPrice"] == 0.069


def test_form_method_posts_json_in_the_named_field(door, receiver):
    message = send(door, receiver, method="POST", field="payload")
    final = receiver.posts[1]
    assert final.headers["content-type"] == "application/x-www-form-urlencoded"
    assert final.form == {"payload": door.message(message["id"]), "custom": CUSTOM}


@pytest.mark.parametrize("status", [201, 204, 302, 404, 500, 503])
@pytest.mark.parametrize("retry", [0, 1])
def test_anything_but_200_is_tried_again(door, receiver, status, retry):
    receiver.statuses = [status] * 2
    send(door, receiver, ending="904", retry=retry)
    assert receiver.states == ["PENDING"] * (1 + retry)


def test_retries_have_growing_intervals_and_an_end(door, receiver):
    receiver.statuses = [503] * 9
    send(door, receiver, ending="904", retry=3)
    first, second, third, fourth = (post.arrived for post in receiver.posts)
    assert second - first >= STATE_DELAY
    assert third - second >= 2 * STATE_DELAY
    assert fourth - third >= 4 * STATE_DELAY


def test_receiver_that_is_absent_does_not_stop_the_message(door, receiver):
    message = send(door, receiver, url="http://127.0.0.1:9/", retry=1)
    assert door.message(message["id"])["state"] == "DELIVERED"


@pytest.mark.parametrize(
    ("ending", "states", "end"),
    [
        ("905", "", "NEW"),
        ("926", "", "DELIVERED"),
        ("927", "PENDING PENDING DELIVERED DELIVERED", "DELIVERED"),
        ("928", "DELIVERED PENDING", "DELIVERED"),
        ("930", "REJECTED PENDING REJECTED DELIVERED", "DELIVERED"),
        ("931", "REJECTED PENDING REJECTED DELIVERED", "DELIVERED"),
        ("932", "PENDING QUARANTINED", "QUARANTINED"),
    ],
)
def test_number_spoils_its_callbacks(door, receiver, ending, states, end):
    message = send(door, receiver, ending)
    assert receiver.states == states.split()
    assert door.message(message["id"])["state"] == end


def test_overtaken_callback_has_the_older_time(door, receiver):
    send(door, receiver, "928")
    final, pending = (post.json["data"] for post in receiver.posts)
    assert pending["updatedAt"] < final["updatedAt"]
    assert pending["deliveredAt"] is None


def test_forged_callback_proves_nothing(door, receiver):
    message = send(door, receiver, "930")
    forged, true = receiver.posts[2:]
    assert forged.json["data"]["id"] == message["id"]
    assert forged.headers["x-smsww-signature"] == "forged"
    assert forged.json["custom"]["_smsww"] == {"reference": "r1", "signature": "forged"}
    assert true.json["custom"] == CUSTOM


def test_foreign_callback_is_signed_but_for_another_message(door, receiver):
    message = send(door, receiver, "931")
    foreign = receiver.posts[2]
    assert foreign.headers["x-smsww-signature"] == "s1"
    assert foreign.json["data"]["id"] != message["id"]


def test_callbacks_come_before_the_answer(door, receiver):
    response = door.post(**fields(receiver, "929"))
    assert receiver.states == ["PENDING", "DELIVERED"]
    assert response.json()["data"]["state"] == "NEW"


def test_late_callbacks_come_after_the_final_state(door, receiver):
    message_id = door.post(**fields(receiver, "938")).json()["data"]["id"]
    while door.message(message_id)["state"] != "DELIVERED":
        assert receiver.states == []
    door.wait_until_idle()
    assert receiver.states == ["PENDING", "DELIVERED"]


@pytest.mark.parametrize(
    ("allowed", "hosts"),
    [
        (True, "127.0.0.1:8000 127.8.8.8 localhost [::1]:80"),
        (False, "192.0.2.8 example.com 127.0.0.1@example.com localhost.example.com 0.0.0.0 [::1"),
    ],
)
def test_callbacks_stay_on_this_machine(allowed, hosts):
    assert {may_post_to(f"http://{host}/x") for host in hosts.split()} == {allowed}


def test_callback_to_elsewhere_is_recorded_as_unanswered(door):
    door.send(callback={"url": "http://192.0.2.8/"})
    [message] = door.control("messages").json()["messages"]
    assert [line["status"] for line in message["callbacks"]] == [0, 0]
