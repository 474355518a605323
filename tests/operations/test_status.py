"""The report: what waits, what is wrong, and what the gateway says of the account."""

import json
from datetime import timedelta
from decimal import Decimal
from io import StringIO
from uuid import uuid4

import pytest
import requests
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.utils import timezone

from django_smsww import InvalidToken, State, send_sms
from django_smsww.clock import local_time, rounded_up
from django_smsww.contrib.simulator.process import SimulatorProcess
from django_smsww.models import Callback, Heartbeat, Message, Suspension
from django_smsww.models.batch import stop_batch
from django_smsww.states import UNFINISHED

from ..conftest import NUMBER
from ..support.door import post, signed
from ..support.raw_server import own_connections  # noqa: F401

MOVE = "UPDATE django_smsww_message SET state = 'SENDING' WHERE id = {}"
SECRETS = (NUMBER, NUMBER[1:], "The secret text", "the-token", "the-key", "me@example.com", "Mario")
pytestmark = pytest.mark.django_db(transaction=True)


def ago(**span):
    return timezone.now() - timedelta(**span)


def run(*arguments):
    """Return (exit code, output)."""
    output, code = StringIO(), 0
    try:
        call_command("smsww_status", *arguments, stdout=output)
    except SystemExit as stop:
        code = stop.code
    return code, output.getvalue()


def shown(moment):
    return f"{local_time(rounded_up(moment)):%Y-%m-%d %H:%M %Z}"


def report(*arguments):
    """Return (exit code, the default alias's part of the report, the codes of its findings)."""
    code, output = run("--json", *arguments)
    one = json.loads(output)["aliases"]["default"]
    return code, one, [finding["code"] for finding in one["findings"]]


# The records


def test_with_nothing_to_do_all_is_well(gateway):
    assert report()[0::2] == (0, [])
    code, output = run()
    assert (code, output.splitlines()[-1]) == (0, "All is well.")


def test_with_due_messages_it_says_who_sends_them(gateway, make_message):
    make_message(state=State.QUEUED, next_attempt_at=ago(seconds=5))
    last = "Nothing needs a person yet: 1 QUEUED waiting for smsww_worker."
    assert run()[1].splitlines()[-1] == last


def test_messages_that_are_queued_for_later_are_named(gateway, make_message):
    soon = timezone.now() + timedelta(minutes=5)
    for _ in range(3):
        make_message(error="SMSUnavailable", error_status=503, next_attempt_at=soon)
    make_message(state=State.PENDING)
    code, output = run()
    last = "Nothing needs a person yet: 3 QUEUED for a later time or another attempt."
    assert (code, output.splitlines()[-1]) == (0, last)


def test_with_unknown_messages_it_says_what_they_wait_for(gateway, make_message):
    make_message(state=State.UNKNOWN, claimed_at=ago(minutes=5))
    code, output = run()
    last = "Nothing needs a person yet: 1 UNKNOWN waiting for a callback or smsww_sync."
    assert (code, output.splitlines()[-1]) == (0, last)


def test_an_unknown_message_that_a_sync_cannot_judge_yet_is_no_alarm(gateway, make_message):
    for minutes in (21, 19, 0):
        make_message(state=State.UNKNOWN, claimed_at=ago(minutes=minutes))
    _, output = run()
    assert "unknown: 3, the oldest since " in output
    assert "! 1 messages may have been sent or not" in output


def test_a_message_of_a_killed_process_waits_for_the_end_of_its_lease(gateway, make_message):
    until = timezone.now() + timedelta(minutes=2)
    make_message(state=State.SENDING, lease_until=until, claimed_at=ago(minutes=3))
    code, output = run()
    assert "unanswered: 1 SENDING; if the process died, smsww_worker makes them " in output
    assert f"UNKNOWN after {shown(until)}\n" in output
    last = "Nothing needs a person yet: 1 SENDING waiting for an answer or the end of the lease."
    assert (code, output.splitlines()[-1]) == (0, last)


def test_a_message_whose_answer_may_still_come_is_well(gateway, make_message):
    until = timezone.now() + timedelta(minutes=4)
    make_message(state=State.SENDING, lease_until=until, claimed_at=ago(minutes=1))
    assert run()[1].splitlines()[-1] == "All is well."


def test_messages_are_counted_by_state(gateway, make_message):
    for state in (State.QUEUED, State.QUEUED, State.PENDING, State.DELIVERED):
        make_message(state=state, next_attempt_at=ago(seconds=5))
    make_message(state=State.DELIVERED, created_at=ago(days=2))
    make_message(alias="other")
    _, one, _ = report()
    assert one["records"]["waiting"] == {
        state.value: {"QUEUED": 2, "PENDING": 1}.get(state.value, 0)
        for state in State
        if state in UNFINISHED
    }
    assert one["records"]["last_day"] == {"QUEUED": 2, "PENDING": 1, "DELIVERED": 1}
    assert "failed:" not in run()[1]
    make_message(state=State.FAILED)
    assert "smsww_resend sends again what was not sent" in run()[1]
    assert one["records"]["due"]["count"] == 2


def test_counts_by_state_agree_while_a_worker_moves_the_messages(gateway, make_message):
    queued = [make_message(next_attempt_at=ago(seconds=5)).pk for _ in range(20)]

    def move_one_after(execute, *args):
        answer = execute(*args)
        with connection.cursor() as cursor:
            cursor.cursor.execute(MOVE.format(queued.pop()))
        return answer

    with connection.execute_wrapper(move_one_after):
        _, one, _ = report()
    waiting = {state: count for state, count in one["records"]["waiting"].items() if count}
    assert waiting == one["records"]["last_day"]


@pytest.mark.parametrize(
    ("finding", "columns"),
    [
        ("queue_waits", {"next_attempt_at": {"minutes": 11}}),
        ("", {"next_attempt_at": {"minutes": 8}}),
        ("stalled", {"state": State.SENDING, "lease_until": {"minutes": 1}}),
        ("", {"state": State.SENDING, "lease_until": {"minutes": -5}}),
        ("unknown", {"state": State.UNKNOWN, "claimed_at": {"minutes": 21}}),
        ("", {"state": State.UNKNOWN, "claimed_at": {"minutes": 19}}),
        ("overdue", {"state": State.PENDING, "claimed_at": {"hours": 49}}),
        ("", {"state": State.PENDING, "claimed_at": {"hours": 47}}),
        ("penalties", {"state": State.FAILED, "penalty": Decimal(2)}),
        ("", {"state": State.FAILED, "penalty": Decimal(2), "created_at": {"days": 3}}),
        ("", {"state": State.DELIVERED, "claimed_at": {"days": 5}}),
    ],
)
def test_rows_that_need_a_person_are_named_and_others_are_not(
    gateway, make_message, finding, columns
):
    # The spans count from now, and not from when the tests were collected.
    at = {name: ago(**value) for name, value in columns.items() if isinstance(value, dict)}
    make_message(**columns | at)
    assert report()[0::2] == ((1, [finding]) if finding else (0, []))


def test_messages_that_wait_for_the_end_of_a_pause_do_not_ask_for_a_worker(gateway, make_message):
    make_message(next_attempt_at=ago(hours=1))
    Suspension.objects.impose("default", "", InvalidToken())
    assert report()[2] == ["suspended"]


def test_rows_of_another_deployment_are_reported_as_held(gateway, make_message):
    make_message(environment="production.example.com", next_attempt_at=ago(days=1))
    code, one, _ = report()
    assert (code, one["records"]["foreign"]) == (0, {"production.example.com": 1})
    assert "queued by another deployment (production.example.com), held: 1" in run()[1]


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"redirect_to": NUMBER}, "0 numbers get their messages, those to others are redirected"),
        (
            {"allowed_recipients": [NUMBER]},
            "1 numbers get their messages, those to others are refused",
        ),
    ],
)
def test_a_staging_system_says_so_without_its_numbers(gateway, options, line):
    gateway.configure(environment="staging", **options)
    code, shown = run()
    assert (code, f"staging: {line}" in shown, NUMBER in shown) == (0, True, False)


def test_a_suspended_alias_needs_a_person_and_a_text_does_not(gateway):
    Suspension.objects.impose("default", "", InvalidToken())
    code, one, findings = report()
    [held] = one["records"]["suspensions"]
    assert (code, findings, held["error"]) == (1, ["suspended"], "InvalidToken")
    Suspension.objects.update(scope="text:" + "f" * 64, until=None)
    code, one, findings = report()
    assert (code, findings, one["records"]["suspensions"][0]["scope"]) == (0, [], "text")
    assert "ffff" not in run("--json")[1]


def test_a_stopped_batch_is_shown_as_one_while_messages_of_it_wait(gateway, make_message):
    batch = uuid4()
    make_message(batch=uuid4())
    stop_batch("default", "", batch, using="default")
    assert (str(batch) in run()[1], report()[1]["records"]["suspensions"]) == (False, [])
    make_message(batch=batch)  # the call that writes the batch goes on
    code, shown = run()
    assert code == 0
    assert f"stopped batch: {batch}, smsww_worker cancels its waiting messages" in shown
    assert "suspended" not in shown


def test_signs_of_life_are_shown(gateway, make_message):
    an_hour_ago = ago(hours=1)
    for name in ("sweep:default", "sync:default"):
        Heartbeat.objects.create(name=name, beat_at=an_hour_ago)
    Heartbeat.objects.create(name="sync:other")
    Callback.objects.create(
        message=make_message(state=State.DELIVERED),
        reference=Message.objects.get().reference,
        outcome="moved",
        digest="x",
        received_at=ago(minutes=5),
    )
    records = report()[1]["records"]
    assert records["last_sweep_at"] == records["last_sync_at"] is not None
    assert records["callbacks"]["last_at"] > records["last_sync_at"]


def test_what_a_sync_could_not_tell_is_for_a_person(gateway, make_message):
    make_message(state=State.UNKNOWN, claimed_at=ago(hours=1))
    assert "run smsww_sync. If it cannot decide, settle" in run()[1]
    beat = Heartbeat.objects.create(name="sync:default", beat_at=ago(minutes=5))
    assert "says what is missing, or when it can decide. Or settle the message on" in run()[1]
    # A sync still takes the request of a dead worker for one that may be under way.
    Message.objects.update(claimed_at=ago(minutes=21))
    Heartbeat.objects.filter(pk=beat.pk).update(beat_at=ago(minutes=7))
    assert "run smsww_sync. If it cannot decide" in run()[1]


def test_rows_that_a_worker_has_are_shown_with_the_end_of_its_lease(gateway, make_message):
    lease = {"lease_token": uuid4(), "lease_until": timezone.now() + timedelta(minutes=4)}
    make_message(**lease, next_attempt_at=ago(minutes=1))
    make_message(next_attempt_at=ago(minutes=1))
    output = run()[1]
    assert "leased: 1 by a worker; if it died, another one sends them after" in output
    last = "1 QUEUED waiting for smsww_worker, 1 QUEUED and leased by a worker."
    assert output.splitlines()[-1] == f"Nothing needs a person yet: {last}"


def test_messages_that_a_call_sends_at_once_wait_for_no_worker(gateway, make_message):
    lease = {"lease_token": uuid4(), "lease_until": timezone.now() + timedelta(minutes=4)}
    tomorrow = timezone.now() + timedelta(days=1)
    for columns in (lease, {}):
        make_message(next_attempt_at=tomorrow, expires_at=tomorrow, **columns)
    make_message(next_attempt_at=timezone.now() + timedelta(minutes=5), expires_at=tomorrow)
    output = run()[1]
    assert "leased" not in output
    assert "at once: 2 QUEUED by a call that sends them itself; if its process died, " in output
    last = (
        "1 QUEUED for a later time or another attempt, 2 QUEUED by a call that sends them itself."
    )
    assert output.splitlines()[-1] == f"Nothing needs a person yet: {last}"


def accepted(make_message, **columns):
    columns = {"state": State.NEW, "claimed_at": ago(hours=2), "created_at": ago(hours=2)} | columns
    return make_message(environment="example.com", **columns)


@pytest.fixture
def reachable(settings):
    """An alias with a callback_url, and a gateway that nobody answers at."""
    settings.SMSWW = {
        "default": {
            "OPTIONS": {
                "token": "the-token",
                "host": "http://127.0.0.1:9",
                "callback_url": "https://example.com/sms/callback/",
            }
        }
    }


def test_callbacks_that_do_not_come_are_noticed(reachable, make_message):
    message = accepted(make_message)
    Heartbeat.objects.create(environment="example.com", name="refused:not_authentic", times=4)
    _, one, findings = report("--offline")
    assert findings == ["no_callbacks", "callbacks_refused"]
    assert one["records"]["callbacks"]["refused"]["not_authentic"]["times"] == 4
    Callback.objects.create(message=message, reference=message.reference, digest="x")
    assert report("--offline")[0::2] == (0, [])


def test_authentic_callbacks_without_a_known_state_are_a_finding(reachable, make_message):
    message = accepted(make_message, claimed_at=ago(minutes=1))
    assert post({"data": {"id": "1"}}, signed(message)).status_code == 400
    _, one, findings = report("--offline")
    assert findings == ["callbacks_unread"]
    assert one["records"]["callbacks"]["refused"]["unread"]["times"] == 1
    Heartbeat.objects.update(beat_at=ago(hours=25))
    assert report("--offline")[2] == []


def test_a_message_of_a_minute_ago_may_still_be_reported(reachable, make_message):
    accepted(make_message, claimed_at=ago(minutes=1), created_at=ago(minutes=1))
    assert report("--offline")[0::2] == (0, [])


def test_messages_from_elsewhere_are_in_no_count_and_no_finding(gateway, make_message):
    nothing = report()[1]["records"]
    for state in (State.NEW, State.DELIVERED):
        make_message(origin="elsewhere", state=state, created_at=ago(hours=1), penalty=1)
    make_message(origin="elsewhere", state=State.NEW, created_at=ago(days=9))
    assert report() == (0, {**report()[1], "records": nothing}, [])


def test_penalties_are_summed(gateway, make_message):
    for amount in (1, 2):
        make_message(state=State.FAILED, penalty=Decimal(amount), created_at=ago(days=2))
    penalties = report()[1]["records"]["penalties"]
    assert (penalties["messages"], Decimal(penalties["amount"])) == (2, 3)


def test_an_alias_that_cannot_be_built_is_a_finding_of_its_own(settings):
    settings.SMSWW = {"default": {"OPTIONS": {}}}
    code, one, findings = report()
    assert (code, findings, one["records"]) == (1, ["misconfigured"], None)
    assert "OPTIONS must define 'token'" in run()[1]


def test_records_that_cannot_be_read_cannot_be_told(gateway):
    def fail(execute, sql, *args):
        raise OperationalError("at me@example.com")

    with connection.execute_wrapper(fail), pytest.raises(CommandError) as caught:
        run()
    assert (caught.value.returncode, "example.com" in str(caught.value)) == (2, False)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--probe", "--offline"], "leave --offline out"),
        (["--min-credit", "much"], "an amount in EUR"),
    ],
)
def test_wrong_use_says_what_to_write(gateway, arguments, text):
    with pytest.raises(CommandError, match=text):
        run(*arguments)


# The gateway


@pytest.fixture(scope="module")
def simulator():
    with SimulatorProcess(state_delay=0.01) as running:
        yield running


@pytest.fixture
def configure(simulator, settings):
    """Send through the simulator, with an account that can be asked."""
    simulator.reset()

    def configure(**options):
        settings.SMSWW = {
            "default": {
                "OPTIONS": {
                    "token": "the-token",
                    "host": simulator.url,
                    "environment": "here",
                    "account_email": "me@example.com",
                    "api_key": "the-key",
                }
                | options
            }
        }

    configure()
    return configure


def test_the_wallet_and_the_token_are_told(configure, simulator):
    simulator.set_account(credit="12.5")
    code, one, findings = report()
    assert (code, findings) == (0, [])
    provider = one["provider"]
    assert (provider["host"], provider["token"]) == ("simulator", {"accepted": True})
    assert Decimal(provider["account"]["wallet"]["credit"]) == Decimal("12.5")


def new_token(simulator, days):
    body = {"scopes": ["POST:sms.openapi.com/WW-messages"], "ttl": days * 86400}
    account = ("me@example.com", "the-key")
    return requests.post(f"{simulator.url}/tokens", json=body, auth=account, timeout=5).json()[
        "token"
    ]


def test_the_days_of_the_token_are_counted(configure, simulator):
    long, short = (new_token(simulator, days) for days in (400, 10))
    configure(token=long)
    assert report()[0::2] == (0, [])
    configure(token=short)
    code, one, findings = report()
    assert (code, findings) == (1, ["token_expires"])
    assert one["provider"]["account"]["token"]["days_left"] == 9
    assert short not in run()[1] + run("--json")[1]


@pytest.mark.parametrize(
    ("option", "finding"), [("token", "token_refused"), ("api_key", "account_refused")]
)
def test_a_refused_credential_is_named_once(configure, option, finding):
    configure(**{option: "wrong"})
    assert report()[0::2] == (1, [finding])


def test_a_gateway_that_does_not_answer_leaves_it_unclear(reachable):
    assert report()[0::2] == (2, ["no_answer"])


def test_a_gateway_that_answers_503_did_answer(configure, simulator):
    simulator.arm("916", method="GET")
    code, output = run()
    assert code == 2
    assert "token: answered 503 by the host (simulator)" in output
    assert "The gateway answered 503 about token (SMSUnavailable)." in output


def test_what_needs_a_person_weighs_more_than_what_is_unclear(reachable, make_message):
    make_message(environment="example.com", state=State.UNKNOWN)
    Message.objects.update(claimed_at=ago(hours=1))
    assert report()[0::2] == (1, ["unknown", "no_answer"])


def test_offline_asks_nobody(reachable):
    code, one, findings = report("--offline")
    assert (code, findings, one["provider"]) == (0, [], None)


def test_little_credit_needs_a_person(configure, simulator):
    simulator.set_account(credit="4")
    assert report()[0] == 0
    assert report("--min-credit", "5")[0::2] == (1, ["low_credit"])


def test_without_account_credentials_the_account_is_not_asked(configure):
    configure(account_email="", api_key="")
    code, one, _ = report()
    assert (code, one["provider"]["account"]) == (0, None)
    assert "account: not asked" in run()[1]


def test_nothing_personal_is_written(configure, make_message, simulator):
    send_sms("The secret text", NUMBER)
    Suspension.objects.create(alias="default", environment="here", reason="Mario asked")
    make_message(state=State.UNKNOWN, environment="here", body="The secret text")
    written = run()[1] + run("--json")[1]
    assert [secret for secret in SECRETS if secret in written] == []


def test_the_keys_of_the_json_stay(configure):
    document = json.loads(run("--json")[1])
    one = document["aliases"]["default"]
    assert list(document) == ["status", "generated_at", "aliases"]
    assert " ".join(sorted(one)) == "backend environment findings probe provider records staging"
    assert " ".join(sorted(one["records"])) == (
        "at_once callbacks due foreign last_day last_sweep_at last_sync_at leased overdue "
        "penalties stalled suspensions unanswered unknown waiting"
    )
    assert sorted(one["provider"]["account"]) == ["token", "wallet"]


def test_the_probe_is_part_of_the_report(configure, live_server):
    configure(callback_url=f"{live_server.url}/sms/callback/")
    code, one, _ = report("--probe")
    assert (code, one["probe"]["outcome"], one["probe"]["status"]) == (0, "ok", 200)
    configure(callback_url=f"{live_server.url}/nowhere/")
    code, _, findings = report("--probe")
    assert (code, findings) == (1, ["probe_not_found"])
    configure()
    assert report("--probe")[0::2] == (2, ["no_callback_url"])
