"""Mass sends over REST, and the do-not-send list."""

from datetime import timedelta
from functools import partial

import pytest
from django.db import DatabaseError
from django.utils.dateparse import parse_datetime

from django_smsww.models import Batch, Event, Message, Suppression
from tests.conftest import NUMBER

from .conftest import READS, at_once
from .test_sending import OTHER, post

pytestmark = pytest.mark.django_db(transaction=True)

BATCHES, LIST = "/api/batches/", "/api/suppressions/"
SENDS = (*READS, "send_message", "mass_send_message", "cancel_message")
THIRD = "+4915112345678"
HELLO = {"recipients": [NUMBER, OTHER], "body": "Hello"}


@pytest.fixture
def sender(gateway, client_of):
    return client_of(*SENDS)


def send(client, data=HELLO, key="k-1"):
    return post(client, data, key=key, path=BATCHES)


def out_of_order(*args, **options):
    raise DatabaseError


def test_a_text_is_sent_to_many_and_its_batch_has_an_address(sender, gateway):
    response = send(sender, HELLO | {"recipients": [NUMBER, OTHER, "+39 333 123 4567"]})
    assert (response.status_code, response.data["states"]) == (201, {"NEW": 2})
    assert {sms.recipient for sms in gateway.sent} == {NUMBER, OTHER}
    assert len(gateway.sent) == 2
    shown = sender.get(response.headers["Location"]).data
    assert (shown["states"], shown["size"]) == ({"NEW": 2}, 2)
    found = sender.get("/api/messages/", {"batch": shown["reference"]}).data["results"]
    assert len(found) == len(sender.get(BATCHES).data["results"]) + 1 == 2


def test_a_repeated_mass_send_reaches_each_number_once(sender, gateway):
    first, second = send(sender), send(sender)
    assert (second.status_code, second.data["states"]) == (201, {"NEW": 2})
    assert first.data["reference"] == second.data["reference"]
    assert len(gateway.sent) == 2


@pytest.mark.parametrize("change", [{"recipients": [NUMBER]}, {"body": "Bye"}, {"tag": "other"}])
def test_a_key_stands_for_one_mass_send(sender, gateway, change):
    send(sender)
    assert send(sender, HELLO | change).status_code == 422
    assert post(sender).status_code == 422
    assert len(gateway.sent) == 2


@pytest.mark.postgresql
@pytest.mark.parametrize(
    "change",
    [
        {"body": "Bye"},
        {"recipients": [NUMBER, THIRD]},
        {"recipients": [THIRD, OTHER]},
        {"recipients": [OTHER, NUMBER]},
    ],
)
@pytest.mark.parametrize("is_unwanted", [False, True])
@pytest.mark.parametrize("queue", [False, True])
def test_of_two_different_mass_sends_with_one_key_one_sends(
    sender, gateway, change, is_unwanted, queue
):
    gateway.configure(queue=queue)
    if is_unwanted:
        Suppression.objects.create(recipient=NUMBER)
    for number in range(5):
        asks = [partial(send, data=HELLO | each, key=f"k-{number}") for each in ({}, change)]
        answers = at_once(sender.user, *asks)
        [lost] = [each for each in answers if each.status_code == 422]
        [won] = [each for each in answers if each is not lost]
        assert won.status_code in (201, 202)
        [batch] = Batch.objects.all()
        assert (str(batch.reference), batch.size) == (won.data["reference"], 2)
        rows = Message.objects.all()
        assert {(row.batch, row.body) for row in rows} == {
            (batch.reference, [HELLO, HELLO | change][answers.index(won)]["body"])
        }
        assert (rows.count(), len(gateway.sent) <= 2) == (2, True)
        for each in (Batch, Message):
            each.objects.all().delete()
        gateway.sent.clear()


@pytest.mark.postgresql
def test_equal_mass_sends_at_once_are_one_batch(sender, gateway):
    for number in range(5):
        answers = at_once(sender.user, *[partial(send, key=f"k-{number}")] * 4)
        assert {answer.status_code for answer in answers} <= {201, 202}
        assert len({answer.data["reference"] for answer in answers}) == 1
    assert len(gateway.sent) == 10
    assert set(Batch.objects.values_list("size", flat=True)) == {2}


def test_a_repeated_mass_send_tells_when_the_first_was(sender):
    first = send(sender)
    [batch] = Batch.objects.all()
    long_ago = batch.created_at - timedelta(days=1)
    Batch.objects.update(created_at=long_ago)
    assert parse_datetime(first.data["created_at"]) == batch.created_at
    assert parse_datetime(send(sender).data["created_at"]) == long_ago


def test_wrong_numbers_are_named_by_their_positions(sender, gateway):
    response = send(sender, HELLO | {"recipients": [NUMBER, "nobody", OTHER, "12"]})
    assert (response.status_code, list(response.data["recipients"])) == (400, [1, 3])
    assert (gateway.sent, Message.objects.count()) == ([], 0)


def test_a_large_batch_waits_in_the_queue_and_can_be_stopped(sender, gateway):
    numbers = [f"+3933312345{n}" for n in range(10, 40)]
    response = send(sender, HELLO | {"recipients": numbers})
    assert (response.status_code, response.data["states"]) == (202, {"QUEUED": 30})
    path = f"{response.headers['Location']}stop/"
    stopped = post(sender, {"reason": "wrong text"}, key="", path=path)
    assert (stopped.status_code, stopped.data["states"]) == (200, {"CANCELLED": 30})
    assert set(Event.objects.values_list("reason", "user")) == {("wrong text", sender.user.pk)}
    assert gateway.sent == []


def test_a_database_that_goes_away_within_a_batch_is_a_202(sender, gateway, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr("django_smsww.worker.worker.Worker.write_results", out_of_order)
        response = send(sender)
    assert (response.status_code, response.data["states"]) == (202, {})
    assert response.headers["Location"].endswith(f"{response.data['reference']}/")


def test_a_database_that_takes_no_batch_is_a_503(sender, gateway, monkeypatch):
    monkeypatch.setattr("django_smsww.models.batch.BatchQuerySet.note", out_of_order)
    assert send(sender).status_code == 503
    assert gateway.sent == []


def test_a_database_that_takes_one_row_is_a_202_and_the_same_key_sends(
    sender, gateway, monkeypatch
):
    with monkeypatch.context() as broken:
        broken.setattr("django_smsww.sending.rows.RowWriter.write", out_of_order)
        assert send(sender).status_code == 202
    assert gateway.sent == []
    again = send(sender)
    assert (again.status_code, again.data["states"], again.data["size"]) == (201, {"NEW": 2}, 2)
    assert len(gateway.sent) == 2


@pytest.fixture
def keeper(client_of):
    return client_of(
        "view_suppression", "add_suppression", "delete_suppression", "view_message_content"
    )


def test_a_number_is_put_on_the_do_not_send_list_and_taken_off(keeper):
    response = keeper.post(LIST, {"recipient": "+39 333 123 4567", "reason": "STOP"})
    entry = Suppression.objects.get()
    assert (response.status_code, entry.recipient) == (201, NUMBER)
    assert (entry.created_by, entry.reason) == (keeper.user, "STOP")
    [found] = keeper.get(LIST, {"recipient": "+39 333 1234567"}).data["results"]
    assert keeper.delete(f"{LIST}{found['id']}/").status_code == 204
    assert not Suppression.objects.exists()


@pytest.mark.parametrize("number", [NUMBER, "+39 333 123 4567", "nobody", ""])
def test_a_number_that_is_listed_or_none_is_refused(keeper, number):
    Suppression.objects.create(recipient=NUMBER)
    response = keeper.post(LIST, {"recipient": number})
    assert (response.status_code, list(response.data)) == (400, ["recipient"])


def test_the_list_hides_numbers_and_reasons(client_of):
    Suppression.objects.create(recipient=NUMBER, reason="Ada called")
    client = client_of("view_suppression")
    [entry] = client.get(LIST).data["results"]
    assert (entry["recipient"], entry["reason"]) == (None, None)
    assert client.get(LIST, {"recipient": NUMBER}).status_code == 403
