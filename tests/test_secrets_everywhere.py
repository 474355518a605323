"""Whatever fails, in each public function and each command: no report shows number, text or token.

The database fails at each kind of statement, and the gateway quotes what it was told, in pieces.
"""

import io
import json
import logging
import sys
import traceback
from datetime import timedelta
from pathlib import Path

import pytest
from asgiref.sync import async_to_sync
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import DatabaseError, connection
from django.utils import timezone

import django_smsww
from django_smsww import SMS, SendResult, SMSError
from django_smsww.backends.handler import sms_backends
from django_smsww.gateway import host
from django_smsww.gateway.http import ExchangeError, RawResponse
from django_smsww.models import Message, Suppression
from django_smsww.reconcile import hold_after_restore, look_up, sync
from django_smsww.sending.api import resend
from django_smsww.worker.queue import deliver, deliver_due
from django_smsww.worker.task_queues import deliver_block

from .support.people import LIST, browser_of, page, staff
from .support.sampling import slow_unless
from .test_secrets import logged, reported

NUMBER, TEXT, TOKEN = "+393377123458", "Striped Zebrafish in the tank", "tok3n0fTh1sT3st"
MARKERS = ("77123458", "77 123", "Zebrafish", "fish in the", TOKEN)
pytestmark = pytest.mark.django_db(transaction=True)


class Given:
    """What a project passes on: its own variables are its own."""

    file: Path

    @property
    def messages(self):
        return [SMS(TEXT, NUMBER), SMS(TEXT, "+39337712345"), SMS(TEXT, "wrong")]

    def row(self, state, **columns):
        columns = {"body": TEXT, "recipient": NUMBER, "environment": "here"} | columns
        expires_at = timezone.now() + timedelta(days=1)
        return Message.objects.create(
            alias="default", state=state, expires_at=expires_at, **columns
        )


given = Given()
old = timezone.now() - timedelta(days=40)


def rows():
    """One message of each kind that a command or a function looks for."""
    Message.objects.all().delete()
    Suppression.objects.all().delete()
    return [
        given.row("QUEUED"),
        given.row("SENDING", lease_until=old, claimed_at=old),
        given.row("UNKNOWN", claimed_at=old, created_at=old),
        given.row("PENDING", provider_id="a1", created_at=old),
        given.row("DELIVERED", provider_id="a2", created_at=old, finished_at=old, updated_at=old),
        given.row("FAILED"),
    ]


def command(*words, **options):
    def call():
        call_command(*words, stdout=OUT, stderr=OUT, **options)

    return call


OUT = io.StringIO()
FUNCTIONS = {
    "apply_result": lambda: django_smsww.apply_result(
        "a1", SendResult(state="DELIVERED", recipient=NUMBER, body=TEXT)
    ),
    "send_sms": lambda: django_smsww.send_sms(TEXT, NUMBER, key="k"),
    "send_mass_sms": lambda: django_smsww.send_mass_sms(TEXT, [NUMBER, "wrong"], preflight=True),
    "send_messages": lambda: django_smsww.send_messages(given.messages),
    "iter_send": lambda: list(django_smsww.iter_send(given.messages, preflight=True)),
    "asend_sms": lambda: async_to_sync(django_smsww.asend_sms)(TEXT, NUMBER),
    "asend_mass_sms": lambda: async_to_sync(django_smsww.asend_mass_sms)(TEXT, [NUMBER]),
    "resend": lambda: resend(Message.objects.get(state="FAILED")),
    "sync": sync,
    "look_up": lambda: look_up(Message.objects.get(state="PENDING")),
    "hold_after_restore": lambda: hold_after_restore(sms_backends["default"], old),
    "deliver": lambda: deliver(sms_backends["default"], QUEUED, using="default", inline=True),
    "deliver_due": lambda: deliver_due(sms_backends["default"], using="default"),
    "deliver_block": lambda: deliver_block("default", QUEUED),
    "resend_many": lambda: Message.objects.all().resend(),
    "cancel": lambda: Message.objects.all().cancel(reason="because"),
    "settle": lambda: Message.objects.get(state="UNKNOWN").settle(True, None, "because"),
}
COMMANDS = {
    "smsww_send": lambda: command("smsww_send", NUMBER, text=TEXT)(),
    "smsww_send --csv": lambda: command("smsww_send", csv=given.file)(),
    "smsww_send --queue": lambda: command("smsww_send", NUMBER, text=TEXT, queue=True)(),
    "smsww_resend": command("smsww_resend", "--no-input"),
    "smsww_resend --dry-run": command("smsww_resend", "--dry-run"),
    "smsww_worker": command("smsww_worker", "--once"),
    "smsww_sync": command("smsww_sync"),
    "smsww_status": command("smsww_status"),
    "smsww_pause": command("smsww_pause", "default"),
    "smsww_resume": command("smsww_resume", "default"),
    "smsww_prune": command("smsww_prune", "--scrub-after", "1", "--delete-after", "1"),
    "smsww_prune --erase": command("smsww_prune", "--erase", NUMBER, "--no-input"),
    "smsww_prune --export": lambda: call_command(
        "smsww_prune", export=NUMBER, stdout=io.StringIO()
    ),
}
CALLS = FUNCTIONS | COMMANDS
QUEUED: list[int] = []


def each_call(*faults):
    """Return each call with each fault; by default each call meets one, and each fault some."""
    pairs = [(name, fault) for name in CALLS for fault in faults]
    sample = {(name, faults[n % len(faults)]) for n, name in enumerate(CALLS)}
    return slow_unless(lambda *pair: pair in sample, pairs)


def shown(*texts):
    return [marker for marker in MARKERS if marker in "\n".join(map(str, texts))]


def failing(call):
    try:
        returned = call()
        assert shown(returned, repr(returned), getattr(returned, "as_dict", str)()) == []
    except (SMSError, DatabaseError, CommandError, SystemExit):
        return sys.exception()
    return None


def report_of(name, error):
    """Return all that a debug page shows, or what a terminal does after a command."""
    if error is None or name in COMMANDS:
        return "".join(traceback.format_exception(error)) if error else ""
    return reported(error)


@pytest.fixture(autouse=True)
def project(settings, caplog, tmp_path):
    settings.DEBUG = True
    options = {"token": TOKEN, "host": "sandbox", "environment": "here", "max_per_number": (99, 60)}
    settings.SMSWW = {"default": {"OPTIONS": options}}
    given.file = tmp_path / "file.csv"
    given.file.write_text(f"recipient,body\n{NUMBER},{TEXT}\n")
    QUEUED[:] = [rows()[0].pk]
    OUT.seek(0)
    OUT.truncate()
    caplog.set_level(logging.DEBUG)


def quoting(status):
    """Return a gateway that answers with what it was told, in pieces."""

    def exchange(request):
        if status is None:
            raise ExchangeError("broken pipe", written=True)
        said = f"Text {TEXT[5:]} to +39 337 712 3458, token {TOKEN}"
        return RawResponse(status, {}, json.dumps({"code": 2011, "message": said}).encode())

    return exchange


def spoiling(word):
    def spoil(execute, sql, *args):
        is_chosen = sql.startswith(word) and "smsww" in sql
        return execute(sql.replace("django_smsww", "nowhere") if is_chosen else sql, *args)

    return connection.execute_wrapper(spoil)


def test_each_public_function_and_each_command_is_tried():
    public = {name for name in django_smsww.__all__ if name.islower()} - {
        "sms_backends",
        "render_sms",
    }
    assert public <= FUNCTIONS.keys()
    folder = Path(django_smsww.__file__).parent / "management/commands"
    commands = {file.stem for file in folder.glob("smsww_*.py")}
    assert commands == {name.partition(" ")[0] for name in COMMANDS}


@pytest.mark.parametrize(("name", "word"), each_call("SELECT", "INSERT", "UPDATE", "DELETE"))
def test_a_fault_of_the_database(name, word, caplog, monkeypatch):
    monkeypatch.setattr(host, "exchange", quoting(422))
    with spoiling(word):
        error = failing(CALLS[name])
    assert shown(logged(caplog), OUT.getvalue(), report_of(name, error)) == []


@pytest.mark.parametrize(("name", "status"), each_call(200, 401, 422, None))
def test_a_fault_of_the_gateway(name, status, caplog, monkeypatch):
    monkeypatch.setattr(host, "exchange", quoting(status))
    error = failing(CALLS[name])
    assert shown(logged(caplog), OUT.getvalue(), report_of(name, error)) == []
    columns = "error_text", "error_code", "reference"
    kept = [Message.objects.values_list(*columns), *map(str, Message.objects.all())]
    assert shown(*kept, [list(row.events.values()) for row in Message.objects.all()]) == []


@pytest.mark.parametrize("status", [200, 422, 500])
def test_pages_of_staff_without_the_right_to_see_content(status, monkeypatch):
    monkeypatch.setattr(host, "exchange", quoting(status))
    failing(FUNCTIONS["send_sms"])
    message = Message.objects.latest("pk")
    browser = browser_of(staff("view_message", "resend_message", "refresh_message"))
    answers = [browser.get(address) for address in (page(message), LIST)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert message.error
    assert shown(*(answer.content.decode() for answer in answers)) == []
