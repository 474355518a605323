"""The probe says what came back, and whether callbacks would arrive."""

import json

import pytest

from django_smsww.callbacks import refusals
from django_smsww.callbacks.probe import probe
from django_smsww.gateway.signature import HEADER, PROBE, header_stamp
from django_smsww.models import Callback, Heartbeat

from ..support.door import ENVIRONMENT, post
from ..support.raw_server import RawServer, answers, own_connections, says_nothing  # noqa: F401

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def door(live_server):
    return f"{live_server.url}/sms/callback/"


@pytest.mark.parametrize("method", ["JSON", "POST"])
def test_a_door_that_is_open_is_fine_and_nothing_is_stored(door, method):
    report = probe(door, ENVIRONMENT, method=method)
    assert (report.outcome, report.status, report.is_fine) == ("ok", 200, True)
    assert not Callback.objects.exists()


def test_a_probe_is_signed_like_any_other_callback():
    forged = {HEADER: header_stamp(PROBE, ENVIRONMENT)[HEADER][:-1] + "_"}
    assert post({"data": {"state": "PROBE"}}, forged).status_code == 401
    assert post({"data": {"state": "PROBE"}}).status_code == 401


def test_a_lost_header_is_noticed_and_does_no_harm(door, monkeypatch):
    monkeypatch.setattr("django_smsww.callbacks.probe.header_stamp", lambda *args: {"X-Lost": "x"})
    report = probe(door, ENVIRONMENT)
    assert (report.outcome, report.is_fine) == ("header_lost", True)


def test_another_secret_key_is_named(door, settings, monkeypatch):
    wrong = {HEADER: header_stamp(PROBE, ENVIRONMENT)[HEADER] + "x"}
    monkeypatch.setattr("django_smsww.callbacks.probe.header_stamp", lambda *args: wrong)
    report = probe(door, ENVIRONMENT)
    assert (report.outcome, report.status) == ("not_authentic", 401)
    assert "SECRET_KEY" in report.text


def test_a_missing_slash_is_named(door):
    report = probe(door.rstrip("/"), ENVIRONMENT)
    # Django's own redirect, where APPEND_SLASH is on, is an error for a POST under DEBUG alone.
    assert (report.outcome, report.status) in {("redirect", 301), ("not_found", 404)}


ANSWERS = {
    "redirect": (302, "redirect", "final URL"),
    "log-in": (401, "unauthorized", "credentials"),
    "firewall": (403, "forbidden", "firewall"),
    "nothing there": (404, "not_found", "URLconf"),
    "no POST": (405, "wrong_view", "POST"),
    "another 4xx": (418, "refused", "200 alone"),
    "fails": (500, "server_error", "log"),
    "down": (503, "unavailable", "down"),
    "another view": (200, "wrong_view", "callback_url"),
    "another success": (204, "refused", "200 alone"),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_each_wrong_answer_says_what_to_do(case):
    status, outcome, text = ANSWERS[case]
    with RawServer(answers(status, b"<p>hello</p>" if status != 204 else b"")) as server:
        report = probe(f"{server.url}/sms/callback/", ENVIRONMENT)
    assert (report.outcome, report.status, report.is_fine) == (outcome, status, False)
    assert text in report.text
    assert server.connections == 1


def redirects_to(location):
    return answers(301, b"", [f"Location: {location}"])


def test_a_redirect_is_not_followed_and_its_target_named_without_the_query():
    with RawServer(redirects_to("https://example.com/login?next=secret")) as server:
        report = probe(f"{server.url}/sms/callback/", ENVIRONMENT)
    assert "'https://example.com/login'" in report.text
    assert (server.connections, "secret" in report.text) == (1, False)


def test_a_redirect_to_the_same_url_with_a_slash_is_explained():
    with RawServer() as server:
        url = f"{server.url}/sms/callback"
        server.scripts.append(redirects_to(f"{url}/"))
        assert "lacks the slash" in probe(url, ENVIRONMENT).text


def test_a_certificate_that_is_not_trusted_is_named():
    with RawServer(answers(), tls=True) as server:
        report = probe(f"{server.url}/sms/callback/", ENVIRONMENT)
    assert (report.outcome, report.status) == ("tls", None)


NOBODY = {
    "no_connection": "http://127.0.0.1:9/sms/callback/",
    "no_name": "https://nowhere.invalid/sms/callback/",
}


@pytest.mark.parametrize("outcome", NOBODY)
def test_where_nobody_answers_that_is_said(outcome):
    assert probe(NOBODY[outcome], ENVIRONMENT).outcome == outcome


def test_an_answer_that_does_not_come_is_given_up():
    with RawServer(says_nothing) as server:
        report = probe(f"{server.url}/sms/callback/", ENVIRONMENT, timeout=0.3)
    assert (report.outcome, report.seconds < 2) == ("timeout", True)


def test_a_door_that_is_slow_is_not_fine(door, monkeypatch):
    monkeypatch.setattr("django_smsww.callbacks.probe.SLOW", 0)
    assert probe(door, ENVIRONMENT).outcome == "slow"


# What the door refused is written down when somebody authentic comes


def test_refusals_are_written_down_with_the_next_probe():
    for _ in range(3):
        post({"data": {}}, {HEADER: "forged"})
    post(b"{")
    assert not Heartbeat.objects.exists()
    post({"data": {"state": "PROBE"}}, header_stamp(PROBE, ENVIRONMENT))
    counts = Heartbeat.objects.order_by("name").values_list("environment", "name", "times")
    assert list(counts) == [
        (ENVIRONMENT, "refused:not_authentic", 3),
        (ENVIRONMENT, "refused:unreadable", 1),
    ]


def test_refusals_are_written_down_with_a_callback_once_a_minute(make_message, monkeypatch):
    message = make_message(environment=ENVIRONMENT)
    signed = header_stamp(message.reference, ENVIRONMENT)
    monkeypatch.setattr(refusals, "_written_at", 0.0)
    for minute, expected in ((100, 1), (130, 1), (161, 3)):
        monkeypatch.setattr(refusals, "monotonic", lambda minute=minute: minute)
        post({"data": {}}, {HEADER: "forged"})
        assert post({"data": {"state": "NEW"}}, signed).status_code == 200
        assert Heartbeat.objects.get().times == expected


def test_the_body_holds_no_secret_but_the_signature_of_no_message():
    with RawServer(answers(200, json.dumps({"outcome": "probe", "header": True}).encode())) as s:
        assert probe(f"{s.url}/x", ENVIRONMENT).outcome == "ok"
        [request] = s.requests
    assert str(PROBE).encode() in bytes(str(request), "latin-1")
