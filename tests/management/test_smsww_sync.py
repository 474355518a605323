"""The command that asks what became of messages."""

import json
import os
import signal
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from django_smsww.backends.dummy import SMSBackend
from django_smsww.clock import local_time
from django_smsww.exceptions import InvalidToken, SMSUnavailable
from django_smsww.models import Message
from django_smsww.reconcile import Reason
from django_smsww.sms import SendResult

from ..support.provider_list import LINE, ListedBackend, ago, entry

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def command(monkeypatch):
    """Return a function that runs smsww_sync with these backends and returns its output."""

    def run(*arguments, stdout=None, **backends):
        monkeypatch.setattr("django_smsww.management.console.sms_backends", backends)
        out = stdout or StringIO()
        call_command("smsww_sync", *arguments, stdout=out)
        return out.getvalue()

    return run


@pytest.fixture
def row(make_message):
    def make(state="UNKNOWN", **columns):
        times = {"claimed_at": ago(60), "created_at": ago(60)}
        return make_message(state=state, environment=LINE, **times | columns)

    return make


def test_it_says_how_many_were_settled_and_why_the_others_were_not(command, row):
    message = row()
    text = command(default=ListedBackend())
    assert "0 found again" in text
    assert f"{Reason.NOT_ECHOED.value} (1): {message.reference}\n" in text


def test_messages_that_it_searched_for_in_vain_count_as_looked_at(command, row):
    found, _lost = row(), row()
    row(checked_at=timezone.now(), claimed_at=ago(60 * 24 * 8))  # its last search was made
    text = command(default=ListedBackend(entry(found)))
    assert text.startswith("default: 2 looked at, 1 moved, 1 found again, ")
    assert "2 still unknown" in text


def test_a_list_that_cannot_be_read_was_not_looked_at(command, row):
    row()
    backend = ListedBackend()
    backend.on_page = lambda number: (_ for _ in ()).throw(SMSUnavailable())
    out = StringIO()
    with pytest.raises(CommandError):
        command("--json", default=backend, stdout=out)
    assert json.loads(out.getvalue())["default"]["looked"] == 0


def test_it_names_the_time_from_which_a_later_sync_can_decide(command, row):
    moments = [ago(minutes) for minutes in (8, 3)]
    for moment in moments:
        row(claimed_at=moment)
    control = entry(row("PENDING", provider_id="p1"))
    # Nobody knows sooner than ten minutes after the first message became UNKNOWN.
    until = moments[0] + timedelta(minutes=10)
    shown = f"{local_time(until + timedelta(seconds=1)):%Y-%m-%d %H:%M:%S %Z}"
    text = command(default=ListedBackend(control))
    again = (
        f"run smsww_sync again after {shown}: it can then decide about the oldest, if the "
        "gateway's list shows a later message of this alias by then (2): "
    )
    assert f"{Reason.TOO_EARLY.value}; {again}" in text
    said = json.loads(command("--json", default=ListedBackend(control)))["default"]
    assert said["retry_at"] == until.isoformat()


def test_a_backup_of_the_future_is_refused_and_nothing_is_asked(command, row):
    queued = row("QUEUED", provider_id=None)
    tomorrow = (timezone.now() + timedelta(days=1)).isoformat()
    with pytest.raises(CommandError, match="is in the future"):
        command("--after-restore", tomorrow, default=ListedBackend())
    queued.refresh_from_db()
    assert queued.state == "QUEUED"


def test_it_says_which_later_message_proves_the_absence(command, row):
    row()
    times = {"before": 90, "too_soon": 59}
    listed = [
        entry(row("PENDING", provider_id=name, claimed_at=ago(minutes)))
        for name, minutes in times.items()
    ]
    text = command(default=ListedBackend(*reversed(listed)))
    assert "more than 2 minutes after this one became UNKNOWN. It shows none: send any" in text
    sent = entry(row("PENDING", provider_id="sent", claimed_at=ago(1)))
    said = command(default=ListedBackend(sent, *reversed(listed)))
    assert "1 proved absent" in said
    assert "1 message never reached the gateway" in said
    assert "smsww_resend --error proved_absent" in said


def test_it_prints_each_problem_once_with_a_count(command, row):
    rows = [row() for _ in range(22)]
    lines = command(default=ListedBackend()).splitlines()
    [line] = [line for line in lines if Reason.NOT_ECHOED.value in line]
    assert f"{Reason.NOT_ECHOED.value} (22): " in line
    assert sum(str(each.reference) in line for each in rows) == 20
    assert line.endswith(" and 2 more (see --json)")


def test_it_prints_once_what_it_says_of_several_aliases(command):
    backends = {alias: SMSBackend(alias=alias) for alias in ("default", "second")}
    [line] = command("-v2", **backends).splitlines()
    assert line.startswith("default, second: skipped: its backend can neither")


def test_it_prints_json(command, row):
    found, lost = row(), row()
    said = json.loads(command("--json", default=ListedBackend(entry(found))))["default"]
    assert (said["found"], said["error"], said["missing"]) == (1, "", [])
    assert said["still_unknown"] == [
        {
            "reference": str(lost.reference),
            "reason": "no_control_after",
            "text": Reason.NO_CONTROL_AFTER.value,
        }
    ]


def test_it_skips_a_backend_that_cannot_be_asked(command):
    backend = SMSBackend(alias="default")
    assert "skipped: its backend can neither" in command("-v2", default=backend)
    assert command(default=backend) == ""


def test_cron_sends_no_mail_where_there_was_nothing_to_do(command, row):
    assert command(default=ListedBackend()) == ""
    row()
    assert command("-v0", default=ListedBackend()) == ""


def test_it_fails_where_the_provider_cannot_be_asked(command, row):
    row()
    backend = ListedBackend()
    backend.on_page = lambda number: (_ for _ in ()).throw(InvalidToken())
    with pytest.raises(CommandError, match="The sync failed for: default") as caught:
        command(default=backend)
    assert caught.value.returncode == 1


def test_it_holds_the_rows_of_every_alias_before_it_asks(command, row):
    message = row("QUEUED", alias="second")
    first = ListedBackend(entry(row("PENDING", provider_id="p1")))
    second = ListedBackend()
    second.alias = "second"
    seen = []

    def look(number):
        message.refresh_from_db()
        seen.append(message.state)

    first.on_page = look
    text = command("--after-restore", ago(30).isoformat(), default=first, second=second)
    assert seen[0] == "UNKNOWN"
    assert "second: 1 held after the restore." in text


def test_it_repeats_until_it_is_stopped(command, row):
    row()
    backend = ListedBackend()
    runs = []

    def stop_at_the_second(number):
        runs.append(number)
        if len(runs) == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    backend.on_page = stop_at_the_second
    text = command("--interval", "0.1", default=backend)
    assert (len(runs), text.count("still unknown (")) == (2, 2)


@pytest.mark.parametrize("moment", ["yesterday", "2030-01-31", "2030-01-31T12:00:00", "2030-13-31"])
def test_a_time_without_offset_or_sense_is_refused(command, moment):
    with pytest.raises(CommandError, match="with its offset") as caught:
        command("--after-restore", moment, default=ListedBackend())
    assert caught.value.returncode == 2


# The account's whole history


def foreign(minutes=100, **facts):
    at = ago(minutes)
    facts = {"recipient": "+34600000000", "body": "Foreign words", "state": "DELIVERED"} | facts
    return SendResult(**{"provider_id": f"f{minutes}", "created_at": at, "updated_at": at} | facts)


def test_a_sync_settles_before_it_adopts(command, row):
    message = row()
    text = command("--adopt", default=ListedBackend(entry(message), foreign()))
    assert "1 found again" in text
    assert "2 listed: 1 added as sent elsewhere, 0 updated, 0 known, 1 with a reference" in text


def test_a_dry_run_settles_and_stores_nothing(command, row):
    message = row()
    text = command("--adopt", "--dry-run", default=ListedBackend(entry(message), foreign()))
    assert "1 would be added as sent elsewhere" in text
    message.refresh_from_db()
    assert (message.state, Message.objects.count()) == ("UNKNOWN", 1)


def test_what_was_left_out_is_counted_without_numbers_and_texts(command, row):
    number = "+34611111111"
    row(recipient=number, body="Private words")
    strange = foreign(60, recipient=number, body="Private words")
    backend = ListedBackend(strange, foreign(61, recipient=""))
    text = command("--adopt", "--dry-run", default=backend)
    assert "1 were left out: they may be your own" in text
    assert "1 were left out: they have no number or no time" in text
    assert number[1:] not in text
    assert "words" not in text


def test_numbers_texts_and_a_first_day_are_chosen_by_options(command):
    arguments = ("--adopt", "--with-content", "--since", ago(100).isoformat())
    command(*arguments, default=ListedBackend(foreign(60), foreign(200)))
    stored = Message.objects.values_list("provider_id", "recipient", "body")
    assert list(stored) == [("f60", "+34600000000", "Foreign words")]


def test_json_holds_the_counts_of_an_adoption(command):
    said = json.loads(command("--adopt", "--json", default=ListedBackend(foreign())))
    assert (said["default"]["adoption"]["added"], said["default"]["adoption"]["error"]) == (1, "")


def test_an_adoption_that_broke_off_fails(command):
    backend = ListedBackend(*[foreign(minutes) for minutes in range(60, 80)], page_size=5)
    backend.on_page = lambda number: (_ for _ in ()).throw(InvalidToken()) if number else None
    with pytest.raises(CommandError, match="The sync failed for: default"):
        command("--adopt", default=backend)
    assert Message.objects.count() == 5


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--dry-run"], "--dry-run works only with --adopt"),
        (["--with-content"], "--with-content works only with --adopt"),
        (["--since", "2026-01-31"], "--since works only with --adopt"),
        (["--adopt", "--interval", "60"], "leave --interval out"),
        (["--adopt", "--after-restore", "2026-01-31T12:00:00+00:00"], "leave --after-restore out"),
    ],
)
def test_options_that_do_not_fit_together_are_refused(command, arguments, text):
    with pytest.raises(CommandError, match=text) as caught:
        command(*arguments, default=ListedBackend())
    assert caught.value.returncode == 2
