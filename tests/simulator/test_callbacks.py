"""What arrives at a callback URL, how often and in which form."""

import pytest

from django_smsww.contrib.simulator.posting import may_post_to

from .conftest import PACE

CUSTOM = {"order": 7, "_smsww": {"reference": "r1", "signature": "s1"}}
HEADERS = {"X-SMSWW-Signature": "s1"}


def callback(receiver, **changes):
    return {"url": receiver.url, "custom": CUSTOM, "headers": HEADERS, **changes}


def send(door, receiver, ending="567", **changes):
    recipient = f"+393330000{ending}"
    response = door.post(recipient=recipient, callback=callback(receiver, **changes))
    door.wait_until_idle()
    return response.json()["data"]


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
def test_anything_but_200_is_tried_again(door, receiver, status):
    receiver.statuses = [status]
    send(door, receiver, ending="904", retry=1)
    assert receiver.states == ["PENDING", "PENDING"]


def test_retries_have_growing_intervals_and_an_end(door, receiver):
    receiver.statuses = [503] * 9
    send(door, receiver, ending="904", retry=3)
    first, second, third, fourth = (post.arrived for post in receiver.posts)
    assert second - first >= PACE
    assert third - second >= 2 * PACE
    assert fourth - third >= 4 * PACE


def test_without_retry_there_is_one_attempt(door, receiver):
    receiver.statuses = [500, 500]
    send(door, receiver)
    assert receiver.states == ["PENDING", "DELIVERED"]


def test_receiver_that_is_absent_does_not_stop_the_message(door, receiver):
    url = "http://127.0.0.1:9/"
    message_id = door.post(callback=callback(receiver, url=url, retry=1)).json()["data"]["id"]
    door.wait_until_idle()
    assert door.message(message_id)["state"] == "DELIVERED"


@pytest.mark.parametrize(
    ("ending", "states"),
    [
        ("905", []),
        ("926", []),
        ("927", ["PENDING", "PENDING", "DELIVERED", "DELIVERED"]),
        ("928", ["DELIVERED", "PENDING"]),
        ("930", ["REJECTED", "PENDING", "REJECTED", "DELIVERED"]),
        ("931", ["REJECTED", "PENDING", "REJECTED", "DELIVERED"]),
        ("932", ["PENDING", "QUARANTINED"]),
    ],
)
def test_number_spoils_its_callbacks(door, receiver, ending, states):
    message = send(door, receiver, ending)
    assert receiver.states == states
    assert door.message(message["id"])["state"] == (states[-1] if ending == "932" else _end(ending))


def _end(ending):
    return "NEW" if ending == "905" else "DELIVERED"


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
    response = door.post(recipient="+393330000929", callback=callback(receiver))
    assert receiver.states == ["PENDING", "DELIVERED"]
    assert response.json()["data"]["state"] == "NEW"


def test_late_callbacks_come_after_the_final_state(door, receiver):
    message_id = door.post(recipient="+393330000938", callback=callback(receiver)).json()["data"][
        "id"
    ]
    while door.message(message_id)["state"] != "DELIVERED":
        assert receiver.states == []
    door.wait_until_idle()
    assert receiver.states == ["PENDING", "DELIVERED"]


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("http://127.0.0.1:8000/x", True),
        ("http://127.8.8.8/", True),
        ("http://localhost/", True),
        ("http://[::1]:80/", True),
        ("http://192.0.2.8/", False),
        ("https://example.com/", False),
        ("http://127.0.0.1@example.com/", False),
        ("http://localhost.example.com/", False),
        ("http://0.0.0.0/", False),
        ("http://[::1/", False),
    ],
)
def test_callbacks_stay_on_this_machine(url, allowed):
    assert may_post_to(url) is allowed


def test_callback_to_elsewhere_is_recorded_as_unanswered(door):
    door.post(callback={"url": "http://192.0.2.8/"})
    door.wait_until_idle()
    [message] = door.control("messages").json()["messages"]
    assert [line["status"] for line in message["callbacks"]] == [0, 0]
