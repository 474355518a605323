"""Whose an answer is: what it echoes, and what else was on its connection."""

import json

import pytest

from django_smsww.exceptions import SMSOutcomeUnknown, SMSUnavailable

from ..support.raw_client import HELLO, client, envelope, platform, refused, sent
from ..support.raw_server import RawServer, answers, says

OTHER = "8a6e0804-2bd0-4672-b79d-d97027f9071a"
OURS = str(HELLO.reference)


def stamped(reference, **more):
    return {"callback": {"custom": {"_smsww": {"reference": reference}}}} | more


def headed(reference, name="X-SMSWW-Signature"):
    return {"callback": {"headers": {name: f"app.example:8000:{reference}:signature"}}}


def twice(status, body=b"{}"):
    head = b"HTTP/1.1 %d Whatever\r\nContent-Length: %d\r\n\r\n" % (status, len(body))
    return says((head + body) * 2)


def message_with(facts, **more):
    return json.dumps({"data": {"id": "1", "state": "NEW"} | facts, **more}).encode()


ABOUT_OURS = {
    "reference": stamped(OURS),
    "reference in capitals": stamped(OURS.upper()),
    "reference, and number differently": stamped(OURS, recipient="+441234567890"),
    "header": headed(OURS),
    "header in small letters": headed(OURS, "x-smsww-signature"),
    "no reference": stamped(None),
    "reference cut": stamped(OTHER[:20]),
    "stamp of no form": {"callback": {"custom": {"_smsww": 5}, "headers": [1]}},
    "no callback": {"callback": None},
    "header cut": headed(OTHER[:20]),
    **{
        f"number {number!r}": {"recipient": number}
        for number in (
            *("+393331234567", "393331234567", "00393331234567", 393331234567, None, ""),
            *("+39 333 123-45.67", "+39 (0) 333/1234567", "(+39) 3331234567", " +393331234567 "),
            *("+39333***4567", "hidden", [1]),
        )
    },
}


@pytest.mark.parametrize("facts", ABOUT_OURS.values(), ids=ABOUT_OURS)
def test_answer_about_the_message_is_believed(facts):
    result, _ = sent(answers(201, message_with(facts)))
    assert (result.provider_id, result.error) == ("1", None)


ABOUT_ANOTHER = {
    "reference": message_with(stamped(OTHER)),
    "reference beside the message": message_with({}, custom={"_smsww": {"reference": OTHER}}),
    "header": message_with(headed(OTHER)),
    "reference ours, header not": message_with(
        {"callback": stamped(OURS)["callback"] | headed(OTHER)["callback"]}
    ),
    "reference not ours, number ours": message_with(stamped(OTHER, recipient=HELLO.recipient)),
    "number": message_with({"recipient": "+441234567890"}),
    "number without plus": message_with({"recipient": "39 333 1234568"}),
    "refused content": message_with(stamped(OTHER, blocklisted=True)),
}


@pytest.mark.parametrize("body", ABOUT_ANOTHER.values(), ids=ABOUT_ANOTHER)
@pytest.mark.parametrize("dry_run", [False, True])
def test_answer_about_another_message_is_unknown_and_told_by_reference_alone(body, dry_run, caplog):
    error = refused(answers(201, body), SMSOutcomeUnknown, HELLO.replace(dry_run=dry_run))
    [record] = [one for one in caplog.records if one.levelname == "ERROR"]
    assert OURS in record.getMessage()
    assert "393331234567" not in caplog.text + str(error) + error.detail
    assert "private" not in caplog.text + str(error) + error.detail


@pytest.mark.parametrize("status", [401, 402, 403, 404, 413, 417, 422, 429, 500, 503])
@pytest.mark.parametrize("body", [b"{}", platform(1), envelope(2044), envelope(2020)])
def test_refusal_beside_another_answer_is_unknown(status, body, caplog):
    assert refused(twice(status, body), SMSOutcomeUnknown).status == status
    assert f"POST /WW-messages: more than one answer came (message {OURS})" in caplog.text


def test_success_beside_another_answer_counts_if_it_echoes_the_reference():
    assert sent(twice(201, message_with(stamped(OURS))))[0].provider_id == "1"
    for facts in ({}, {"recipient": HELLO.recipient}):
        refused(twice(201, message_with(facts)), SMSOutcomeUnknown)


@pytest.mark.parametrize("body", [b'{"id": "1", "state": "NEW"}', b"[]", b""])
@pytest.mark.parametrize("status", [200, 404])
def test_look_up_beside_another_answer_says_nothing(status, body):
    for look_up in (lambda one: one.fetch("1"), lambda one: one.fetch_page()):
        with RawServer(twice(status, body)) as server, pytest.raises(SMSUnavailable):
            look_up(client(server.url))
