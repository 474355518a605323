"""The command that sends from the command line, and files of messages."""

import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from io import StringIO
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from django_smsww import SMSOutcomeUnknown, SMSRefused, SMSUnavailable
from django_smsww.contrib.simulator.process import SimulatorProcess
from django_smsww.models import Batch, Message, Suppression
from django_smsww.states import State

from ..conftest import NUMBER, raises
from ..support.processes import ROOT, environment_of, manage, run

OTHER = "+34600000000"
pytestmark = pytest.mark.django_db(transaction=True)


def send(*arguments):
    """Return (exit code, what was written, and the errors)."""
    output, errors = StringIO(), StringIO()
    try:
        call_command("smsww_send", *map(str, arguments), stdout=output, stderr=errors)
    except CommandError as error:
        return error.returncode, output.getvalue(), f"{errors.getvalue()}{error}"
    return 0, output.getvalue(), errors.getvalue()


@pytest.fixture
def csv_file(tmp_path):
    """Return a function that writes a file of messages."""

    def write(text, name="mailing.csv", encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(text.encode(encoding))
        return path

    return write


def left(gateway):
    return [(sms.recipient, sms.body) for sms in gateway.sent]


# Numbers on the command line


def test_one_text_leaves_to_each_number(gateway):
    code, output, _ = send(NUMBER, OTHER, NUMBER, "--text", "Hello", "--sender", "Acme")
    assert (code, output) == (0, "2 accepted.\n")
    assert set(left(gateway)) == {(NUMBER, "Hello"), (OTHER, "Hello")}
    assert {(row.sender, row.key) for row in Message.objects.all()} == {("Acme", None)}


def test_it_names_the_batch_and_its_size(gateway):
    _code, _output, errors = send(NUMBER, OTHER, "--text", "Hello")
    assert errors == f"Batch {Batch.objects.get().reference} of 2 messages.\n"


def test_a_message_to_one_number_is_no_batch(gateway):
    assert send(NUMBER, f"00{NUMBER[1:]}", "--text", "Hello") == (0, "1 accepted.\n", "")
    assert (Message.objects.get().batch, Batch.objects.exists()) == (None, False)


def test_a_file_that_grew_makes_a_batch_of_its_new_lines_alone(gateway, csv_file):
    lines = f"recipient,body\n{NUMBER},Hello\n"
    for more, told in (("", 1), ("", 0), (f"{OTHER},Hello\n{OTHER},Hello\n", 1)):
        lines += more
        _code, _output, errors = send("--csv", csv_file(lines))
        newest = Batch.objects.order_by("-pk")[0].reference
        assert errors == (f"Batch {newest} of 1 message.\n" if told else "")
    assert list(Batch.objects.values_list("size", flat=True)) == [1, 1]


def test_the_text_may_be_in_a_file_and_wait_for_the_worker(gateway, tmp_path):
    (tmp_path / "text").write_text("Hello\n")
    words = [NUMBER, "--file", tmp_path / "text", "--tag", "news"]
    assert send(*words, "--queue")[:2] == (0, "1 queued.\n")
    assert (Message.objects.get().tag, gateway.sent) == ("news", [])
    assert send(*words)[0] == 0
    assert left(gateway) == [(NUMBER, "Hello")]


def test_with_a_key_the_same_again_is_not_sent_twice(gateway):
    for _ in range(2):
        code, output, _ = send(NUMBER, "--text", "Hello", "--key", "may")
        assert code == 0
    assert output == "1 accepted.\nLines that an earlier run took, with the same keys: 1.\n"
    assert len(gateway.sent) == 1


def test_a_dry_run_does_not_stand_for_the_real_one(gateway, csv_file):
    path = csv_file(f"recipient,body,key\n{NUMBER},Hello,k1\n{OTHER},Hello,\n")
    assert send("--csv", path, "--dry-run")[1] == "2 validated.\n"
    assert send("--csv", path)[1] == "2 accepted.\n"


ENDS = [
    (SMSRefused(code="2011"), "1 failed.\nErrors: 2011 (1).\n"),
    (SMSUnavailable(), "1 failed.\nErrors: unavailable (1).\n"),
    (
        SMSOutcomeUnknown(),
        "1 unknown.\nErrors: outcome_unknown (1).\n"
        "To settle messages whose outcome is unknown, run smsww_sync.\n",
    ),
]


@pytest.mark.parametrize(("error", "expected"), ENDS)
def test_what_was_not_accepted_is_counted_and_named_by_its_code(gateway, error, expected):
    gateway.answer = raises(error)
    code, output, errors = send(NUMBER, "--text", "Hello")
    assert (code, output, NUMBER[1:] in output + errors) == (1, expected, False)


def test_one_text_to_many_is_checked_by_a_dry_run_first(gateway, monkeypatch):
    monkeypatch.setattr(gateway, "supports_dry_run", True)
    send(*(f"+39333123{n:04}" for n in range(20)), "--text", "Hello")
    assert [sms.dry_run for sms in gateway.sent].count(True) == 1
    gateway.sent.clear()
    send(*(f"+39333123{n:04}" for n in range(20)), "--text", "Hello", "--no-preflight")
    assert [sms.dry_run for sms in gateway.sent].count(True) == 0


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "either numbers, or --csv"),
        ([NUMBER, "--csv", "x.csv"], "either numbers, or --csv"),
        ([NUMBER], "--text or --file"),
        ([NUMBER, "--text", "x", "--file", "y"], "either --text or --file"),
        ([NUMBER, "--file", "/nowhere/text"], "FileNotFoundError"),
        (["--csv", "/nowhere/mailing.csv"], "No such file"),
        ([NUMBER, "--text", "x", "--using", "nowhere"], "'nowhere'"),
        (
            ["393331234567", "--text", "x"],
            "Number 1: recipient must start with",
        ),
    ],
)
def test_wrong_use_says_what_to_write_and_sends_nothing(gateway, arguments, text):
    code, _, errors = send(*arguments)
    assert (code, text in errors) == (2, True), errors
    assert (gateway.sent, Message.objects.count()) == ([], 0)


# Files


def test_each_line_is_a_message(gateway, csv_file):
    path = csv_file(
        "Recipient,Body,Sender,Key,Tag\n"
        f'{NUMBER},"Hello, Mario\nand Luigi",Acme,k1,news\n'
        "\n"
        f"{OTHER},,,,\n"
    )
    assert send("--csv", path, "--text", "¡Hola!", "--sender", "Other")[:2] == (0, "2 accepted.\n")
    first, second = Message.objects.order_by("pk")
    assert (first.body, first.sender, first.key, first.tag) == (
        "Hello, Mario\nand Luigi",
        "Acme",
        "k1",
        "news",
    )
    assert (second.body, second.sender) == ("¡Hola!", "Other")
    assert second.key.startswith("csv:mailing.csv:")
    assert OTHER[1:] not in second.key
    assert first.batch == second.batch is not None


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_what_spreadsheets_write_is_read(gateway, csv_file, delimiter, encoding):
    line = delimiter.join([NUMBER, "Già pronto"])
    path = csv_file(f"{delimiter.join(['recipient', 'body'])}\r\n{line}\r\n", encoding=encoding)
    assert send("--csv", path)[0] == 0
    assert left(gateway) == [(NUMBER, "Già pronto")]


def test_every_invalid_line_is_named_before_anything_leaves(gateway, csv_file):
    path = csv_file(
        "recipient,body,key\n"
        f"{NUMBER},Hello,\n"
        "98765,Hello,\n"
        f'{OTHER},"one\ntwo",k\n'
        f"{OTHER},,\n"
        f"{NUMBER},Hello,k\n"
    )
    code, output, errors = send("--csv", path)
    named = [line.partition(":")[0] for line in errors.splitlines() if line.startswith("Line")]
    wrong = ['column recipient, "•••••"', 'column body, ""', 'column key, "x"']
    lines = [f"Line {line}, {place}" for line, place in zip((3, 6, 7), wrong, strict=True)]
    assert (code, output, named) == (2, "", lines)
    assert "key stands in line 4" in errors
    assert "Messages that are not valid: 3" in errors
    assert (gateway.sent, Message.objects.count()) == ([], 0)
    assert "98765" not in errors


def test_the_valid_lines_leave_if_that_is_asked_for(gateway, csv_file):
    path = csv_file(f"recipient,body\n{NUMBER},Hello\n12345,Hello\n")
    code, output, _ = send("--csv", path, "--skip-invalid")
    assert (code, output) == (1, "1 accepted.\nLines left out, because they are not valid: 1.\n")
    assert (left(gateway), Message.objects.count()) == ([(NUMBER, "Hello")], 1)


def test_many_problems_are_not_all_written(gateway, csv_file):
    path = csv_file("recipient,body\n" + "x,Hello\n" * 60)
    errors = send("--csv", path)[2]
    assert errors.count("Line ") == 50
    assert "… and 10 more." in errors


def test_a_key_that_another_number_has_already_is_named(gateway, csv_file):
    send(OTHER, "--text", "Hello")
    Message.objects.update(key="k")
    errors = send("--csv", csv_file(f"recipient,body,key\n{NUMBER},Hello,k\n"))[2]
    assert "key was used for another number before" in errors
    assert len(gateway.sent) == 1


def test_lines_that_say_the_same_are_sent_once(gateway, csv_file):
    path = csv_file("recipient,body\n" + f"{NUMBER},Hello\n" * 3 + f"{NUMBER},Goodbye\n")
    _, output, _ = send("--csv", path)
    assert "Lines that repeat another line, and are sent once: 2" in output
    assert sorted(left(gateway)) == [(NUMBER, "Goodbye"), (NUMBER, "Hello")]


def test_a_file_given_again_sends_what_is_new_and_another_key_sends_it_anew(gateway, csv_file):
    head = f"recipient,body\n{NUMBER},Hello\n"
    send("--csv", csv_file(head))
    _, output, _ = send("--csv", csv_file(f"{head}{OTHER},Hello\n"))
    assert "Lines that an earlier run took, with the same keys: 1" in output
    assert sorted(number for number, _ in left(gateway)) == sorted([NUMBER, OTHER])
    send("--csv", csv_file(head), "--key", "june")
    assert len(gateway.sent) == 3


def test_a_number_on_the_do_not_send_list_is_counted_and_the_others_leave(gateway, csv_file):
    Suppression.objects.create(recipient=NUMBER)
    code, output, _ = send("--csv", csv_file(f"recipient,body\n{NUMBER},Hello\n{OTHER},Hello\n"))
    assert (code, output) == (1, "1 accepted, 1 failed.\nErrors: suppressed (1).\n")
    assert left(gateway) == [(OTHER, "Hello")]


@pytest.mark.parametrize(
    ("text", "encoding", "expected"),
    [
        ("", "utf-8", "no column 'recipient'"),
        ("number,body\n", "utf-8", "unknown column 1, 'number'"),
        ("recipient,bodi\n", "utf-8", "Did you mean 'body'?"),
        ("recipient,recipient,body\n", "utf-8", "there are two columns"),
        ("recipient,body\n", "utf-8", "nothing to send"),
        (
            "recipient,body\n+39333,Hello, Mario\n",
            "utf-8",
            'Line 2, column 3, " xxxxx": the column has no name',
        ),
        ('recipient,body\n+39333,"Hello\n', "utf-8", "form of CSV"),
        ("recipient,body\n+39333,Già\n", "latin-1", "not in UTF-8"),
        ("recipient\n+39333\n", "utf-8", "--text or --file"),
    ],
)
def test_a_file_that_cannot_be_used_is_explained(gateway, csv_file, text, encoding, expected):
    code, _, errors = send("--csv", csv_file(text, encoding=encoding))
    assert (code, expected in errors) == (2, True), errors
    assert Message.objects.count() == 0


def test_ctrl_c_says_how_to_go_on(gateway, csv_file):
    gateway.answer = raises(KeyboardInterrupt())
    gateway.configure(concurrency=1)
    code, _, errors = send("--csv", csv_file(f"recipient,body\n{NUMBER},Hello\n"))
    assert (code, "run the same command again" in errors) == (130, True)


def test_a_repeated_run_says_that_it_waits_for_the_lease_of_another(gateway, csv_file):
    path = csv_file(f"recipient,body\n{NUMBER},Hello\n{OTHER},Hello\n")
    send("--csv", path, "--queue")
    until = timezone.now() + timedelta(seconds=0.3)
    Message.objects.filter(recipient=OTHER).update(lease_token=uuid4(), lease_until=until)
    code, _, errors = send("--csv", path)
    assert (code, left(gateway)) == (0, [(NUMBER, "Hello"), (OTHER, "Hello")])
    assert "Another process has leased 1 of the messages: waiting" in errors
    assert "5 minutes at most" in errors


def test_what_a_dead_process_left_is_unknown_before_anything_leaves(gateway, csv_file):
    """So that what leaves now is later than it, and proves that the list shows all since then."""
    path = csv_file(f"recipient,body\n{NUMBER},Hello\n{OTHER},Hello\n")
    send("--csv", path)
    died = timezone.now() - timedelta(seconds=1)
    lost = Message.objects.filter(recipient=NUMBER)
    lost.update(state=State.SENDING, provider_id=None, lease_token=uuid4(), lease_until=died)
    Message.objects.filter(recipient=OTHER).delete()

    code, output, _ = send("--csv", path)
    assert (code, output.splitlines()[0]) == (1, "1 accepted, 1 unknown.")
    ended = lost.get().events.get(state=State.UNKNOWN).created_at
    assert ended < Message.objects.get(recipient=OTHER).claimed_at
    assert len(gateway.sent) == 3


# SIGKILL in the middle

LINES = 150
MAIN = """
import sys
import django
from django.core.management import execute_from_command_line
django.setup()
from django_smsww.models import lease
lease.SECONDS = 4
execute_from_command_line(["manage.py", *sys.argv[1:]])
"""


@pytest.fixture(scope="module")
def simulator():
    with SimulatorProcess(state_delay=0.01) as running:
        yield running


def wait_for(simulator, count):
    deadline = time.monotonic() + 30
    while (so_far := len(simulator.ledger())) < count:
        assert time.monotonic() < deadline, f"{so_far} messages had come"
        time.sleep(0.01)


@pytest.mark.slow
def test_killed_in_the_middle_and_run_again_it_reaches_each_number_once(
    simulator, csv_file, new_database
):
    simulator.reset()
    numbers = [f"+39333100{n:04}" for n in range(LINES)]
    path = csv_file("recipient,body\n" + "".join(f"{number},Hello\n" for number in numbers))
    words = ["-c", MAIN, "smsww_send", "--csv", str(path), "--no-preflight"]
    environment = {"GATEWAY": simulator.url}
    manage(new_database, "migrate", "-v0")

    options = {"cwd": ROOT, "env": environment_of(new_database, **environment)}
    nowhere = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([sys.executable, *words], **options, **nowhere) as first:
        wait_for(simulator, 45)
        os.kill(first.pid, signal.SIGKILL)
    assert first.returncode == -signal.SIGKILL

    again = subprocess.run(
        [sys.executable, *words], **options, capture_output=True, text=True, timeout=60
    )
    reached = [entry["recipient"] for entry in simulator.ledger()]
    # What the dead process had under way is unknown, and was not sent again.
    assert again.returncode == ("unknown" in again.stdout), again.stderr
    assert LINES - 64 <= len(reached) == len(set(reached))

    # With no message after them it would not be proved that the list has all since then.
    manage(new_database, "smsww_send", OTHER, "--text", "Hello", **environment)
    synced = run(new_database, "smsww_sync", "--grace", "0", **environment)
    assert synced.returncode == 0, synced.stderr
    last = manage(new_database, "smsww_send", "--csv", str(path), "--no-preflight", **environment)
    reached = [entry["recipient"] for entry in simulator.ledger()]
    assert sorted(reached) == [OTHER, *numbers]
    assert f"{LINES} accepted." in last
