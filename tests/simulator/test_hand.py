"""Outcomes that somebody decides, and callbacks that are lost, repeated or delayed."""

import time

import pytest

from .door import wait_for

HELD = {"held": True}


@pytest.fixture
def held(door):
    """A door to a simulator in which messages stand still."""
    assert door.control("hold", HELD).json() == HELD
    return door


def send(door, receiver):
    return door.post(callback={"url": receiver.url, "retry": 0}).json()["data"]["id"]


def shown(door):
    return door.control("messages").json()["messages"][0]


def test_held_messages_stand_still_and_go_on(held):
    held.post()
    time.sleep(0.15)
    assert shown(held)["state"] == "NEW"
    held.control("hold", {"held": False})
    held.wait_until_idle()
    assert shown(held)["state"] == "DELIVERED"


@pytest.mark.parametrize("state", ["DELIVERED", "UNDELIVERABLE", "EXPIRED", "REJECTED"])
def test_an_outcome_is_decided_and_called_back(held, receiver, state):
    sent = send(held, receiver)
    assert held.control("decide", {"id": sent, "state": state}).status_code == 200
    wait_for(lambda: receiver.posts)
    assert [post.state for post in receiver.posts] == [state]
    assert (shown(held)["state"], shown(held)["over"]) == (state, True)
    assert held.ledger()[0]["charged"] == "0.069000"


def test_a_decided_outcome_lasts_and_a_final_one_is_not_decided_again(held, receiver):
    sent = send(held, receiver)
    held.control("decide", {"id": sent, "state": "PENDING"})
    held.control("hold", {"held": False})
    held.wait_until_idle()
    assert shown(held)["state"] == "PENDING"
    assert held.control("decide", {"id": sent, "state": "EXPIRED"}).status_code == 200
    assert held.control("decide", {"id": sent, "state": "DELIVERED"}).status_code == 409
    assert shown(held)["state"] == "EXPIRED"


def test_a_lost_callback_can_be_repeated(held, receiver):
    sent = send(held, receiver)
    held.control("decide", {"id": sent, "state": "EXPIRED", "callbacks": "lost"})
    assert [line["lost"] for line in shown(held)["callbacks"]] == [True]
    assert receiver.posts == []
    held.control("repeat", {"id": sent})
    wait_for(lambda: shown(held)["callbacks"][-1]["status"] == 200)
    assert [post.state for post in receiver.posts] == ["EXPIRED"]
    assert [line["lost"] for line in shown(held)["callbacks"]] == [True, False]


@pytest.mark.parametrize(("callbacks", "first", "last"), [("twice", 2, 2), ("late", 0, 1)])
def test_a_callback_comes_twice_or_late(held, receiver, callbacks, first, last):
    sent = send(held, receiver)
    held.control("decide", {"id": sent, "state": "DELIVERED", "callbacks": callbacks})
    wait_for(lambda: len(receiver.posts) >= first)
    assert len(receiver.posts) == first  # a late one takes twenty delays
    wait_for(lambda: len(receiver.posts) == last)


def test_a_message_without_a_callback_has_none_to_repeat(held):
    sent = held.post().json()["data"]["id"]
    assert held.control("repeat", {"id": sent}).status_code == 409


def test_reset_lets_messages_go_on(held):
    held.control("reset", {})
    assert held.control("messages").json() == {"held": False, "messages": []}
