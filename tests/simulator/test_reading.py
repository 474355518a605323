"""GET /messages and GET /messages/{id}."""

import pytest


def test_list_is_newest_first_in_pages(door):
    response = door.get("/messages")
    assert (response.status_code, response.json()) == (200, {"data": []})
    sent = [door.post(message=str(n)).json()["data"]["id"] for n in range(5)]
    listed = [message["id"] for message in door.listed(skip=1, limit=2)]
    assert listed == [sent[3], sent[2]]


def test_page_holds_a_hundred_messages_at_most(door):
    for _ in range(101):
        door.post()
    assert len(door.listed(limit=500)) == 100
    assert len(door.listed(skip=100)) == 1


@pytest.mark.parametrize("skip", ["-1", "x", "9" * 30])
def test_page_that_is_no_number_is_refused(door, skip):
    assert door.get("/messages", skip=skip).status_code == 400


def test_unknown_message_is_an_empty_404(door):
    response = door.get("/messages/000000000000000000000000")
    assert (response.status_code, response.content) == (404, b"")


@pytest.mark.parametrize("path", ["/messages", "/messages/1"])
def test_reading_needs_the_token(door, path):
    door.session.headers["Authorization"] = "Bearer wrong"
    assert door.get(path).status_code == 401


def test_unknown_path_is_a_404(door):
    assert door.get("/nothing").json()["success"] is False
