"""What is old is forgotten, what is known of a number can be told and erased, and sums stay."""

import json
import subprocess
import sys
from datetime import timedelta
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection
from django.db.models import DateField, Value
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_smsww import InvalidSMS, SMSUnavailable, State, send_mass_sms, send_sms
from django_smsww.models import (
    Callback,
    Counter,
    DailyTotal,
    Event,
    Message,
    Preflight,
    Suppression,
)
from django_smsww.sending.api import resend
from django_smsww.states import UNFINISHED

from ..conftest import NUMBER, raises
from ..support import sample_project
from ..support.processes import ROOT, environment_of, manage

OTHER = "+34600000000"
pytestmark = pytest.mark.django_db(transaction=True)


def days_ago(days):
    return timezone.now() - timedelta(days=days)


def prune(*arguments):
    output = StringIO()
    call_command("smsww_prune", *arguments, stdout=output)
    return output.getvalue()


@pytest.fixture
def old_message(make_message):
    """Return a function that stores a row that ended a hundred days ago, with all it can hold."""

    def make(days=100, **columns):
        ended = None if columns.get("state") in UNFINISHED else days_ago(days)
        defaults = {
            "state": State.DELIVERED,
            "prefix": "39",
            "country": "IT",
            "custom": {"order": 17},
            "error_text": "said of Mario",
            "blocklisted_reason": "a word",
            "segments": 2,
            "total_price": Decimal("0.10"),
            "created_at": days_ago(days),
            "finished_at": ended,
            "fingerprint": "f" * 64,
        }
        message = make_message(**defaults | columns)
        Callback.objects.create(
            message=message,
            reference=message.reference,
            outcome="moved",
            payload={"custom": {"order": 17}},
            digest=str(message.reference),
            received_at=days_ago(days),
        )
        Event.objects.create(message=message, kind="attempt", error_text="said of Mario")
        return message

    return make


# Scrubbing


def test_scrubbing_forgets_what_is_personal_and_keeps_the_rest(old_message):
    message = old_message(key="invoice-42")
    assert prune("--scrub-after", "90") == "1 message scrubbed.\n"
    row = Message.objects.get()
    assert (row.recipient, row.body, row.custom, row.scrubbed) == ("+39…", "", {}, True)
    assert (row.error_text, row.blocklisted_reason) == ("", "")
    for name in ("reference", "state", "country", "segments", "total_price", "key"):
        assert getattr(row, name) == getattr(message, name)
    assert Callback.objects.get().payload == {}
    events = Event.objects.order_by("pk").values_list("kind", "error_text")
    assert list(events) == [("attempt", ""), ("scrubbed", "")]


def test_messages_that_ended_lately_or_are_scrubbed_already_are_left(old_message):
    old_message()
    old_message(days=89)
    old_message(created_at=days_ago(200), finished_at=days_ago(1))
    prune("--scrub-after", "90")
    assert prune("--scrub-after", "90") == "0 messages scrubbed.\n"
    assert Event.objects.filter(kind="scrubbed").count() == 1


@pytest.mark.parametrize("state", sorted(UNFINISHED))
def test_what_is_unfinished_or_unknown_is_never_touched(old_message, state):
    message = old_message(state=state, finished_at=days_ago(100))
    prune("--scrub-after", "0", "--delete-after", "3")
    row = Message.objects.get(pk=message.pk)
    assert (row.recipient, row.body, row.updated_at) == (NUMBER, "Hello", message.updated_at)


def test_a_key_that_holds_the_number_is_forgotten_with_it(old_message):
    old_message(key=f"code-{NUMBER[1:]}")
    prune("--scrub-after", "90")
    assert Message.objects.get().key is None


def test_a_call_with_the_key_of_a_scrubbed_failure_sends_to_the_number_it_names(
    gateway, old_message
):
    old_message(key="k", state=State.FAILED, error="SMSUnavailable")
    prune("--scrub-after", "90")
    assert send_sms("Hello", NUMBER, key="k").state == "NEW"
    assert [sms.recipient for sms in gateway.sent] == [NUMBER]


def test_a_row_that_is_scrubbed_while_its_key_is_repeated_is_not_queued_again(old_message):
    message = old_message(key="k", state=State.FAILED, error="SMSUnavailable")
    prune("--scrub-after", "90")
    assert not message.requeue(body="Hello", expires_at=timezone.now() + timedelta(days=1))


def test_a_callback_that_came_later_or_to_nobody_is_emptied_too(old_message):
    message = old_message()
    prune("--scrub-after", "90")
    for row, digest in ((message, "late"), (None, "nobody's")):
        Callback.objects.create(
            message=row,
            reference=message.reference,
            outcome="stood",
            payload={"custom": {"order": 17}},
            digest=digest,
            received_at=days_ago(95),
        )
    prune("--scrub-after", "90")
    assert set(map(str, Callback.objects.values_list("payload", flat=True))) == {"{}"}


# Deleting


def test_deleting_keeps_the_sums_of_each_day(old_message):
    old_message(tag="news")
    old_message(tag="news", total_price=None, penalty=Decimal(2))
    old_message(tag="news", state=State.FAILED)
    kept = old_message(days=1)
    assert prune("--delete-after", "90") == "3 messages deleted.\n"
    assert list(Message.objects.all()) == [kept]
    assert Callback.objects.count() == Event.objects.count() == 1
    day = timezone.localdate(days_ago(100))
    totals = DailyTotal.objects.order_by("state").values_list(
        "day", "tag", "country", "state", "messages", "segments", "cost", "penalties"
    )
    assert list(totals) == [
        (day, "news", "IT", "DELIVERED", 2, 4, Decimal("0.10"), Decimal(2)),
        (day, "news", "IT", "FAILED", 1, 2, Decimal("0.10"), 0),
    ]


def test_nothing_is_deleted_on_a_day_that_the_database_cannot_tell(old_message, monkeypatch):
    old_message()
    no_day = Value(None, output_field=DateField())
    monkeypatch.setattr("django_smsww.operations.retention.created_day", lambda: no_day)
    with pytest.raises(IntegrityError):
        prune("--delete-after", "90")
    assert Message.objects.count() == 1


def test_a_later_run_adds_to_the_totals_of_the_day(old_message):
    for _ in range(2):
        old_message()
        prune("--delete-after", "90")
    total = DailyTotal.objects.get()
    assert (total.messages, total.cost) == (2, Decimal("0.20"))


def test_dry_runs_are_in_no_total(old_message):
    old_message(state=State.VALIDATED, dry_run=True)
    assert prune("--delete-after", "90") == "1 message deleted.\n"
    assert not DailyTotal.objects.exists()


def test_a_message_outlives_the_one_that_it_was_resent_as(old_message):
    old_message(resend_of=old_message(finished_at=days_ago(1)))
    assert prune("--delete-after", "90") == "0 messages deleted.\n"


def test_a_whole_chain_of_resends_goes(old_message):
    old_message(resend_of=old_message(resend_of=old_message()))
    assert prune("--delete-after", "90", "--batch-size", "1") == "3 messages deleted.\n"


def test_what_left_beside_an_unknown_message_waits_until_that_is_settled(old_message):
    old_message(days=100)
    old_message(days=102)
    unknown = old_message(days=100, state=State.UNKNOWN)
    assert prune("--delete-after", "90") == "1 message deleted.\n"
    unknown.delete()
    assert prune("--delete-after", "90") == "1 message deleted.\n"


SHOP = """
from django.db import models
from django_smsww.models import Callback, Message

class Invoice(models.Model):
    sms = models.ForeignKey(Message, models.PROTECT, related_name="+")

class Order(models.Model):
    sms = models.OneToOneField(Message, models.RESTRICT, to_field="reference")

class Answer(models.Model):
    "It protects what goes with a message."
    callback = models.ForeignKey(Callback, models.PROTECT)

class Note(models.Model):
    "The database protects the message, and Django does not know it."
    sms = models.ForeignKey(Message, models.DO_NOTHING)
"""
PROTECTED = """
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from django_smsww.models import Callback, DailyTotal, Message
from shop.models import Answer, Invoice, Note, Order

OLD = timezone.now() - timedelta(days=100)
NEW = {"alias": "default", "recipient": "+393331234567", "body": "x", "expires_at": OLD,
       "state": "DELIVERED", "created_at": OLD, "finished_at": OLD, "segments": 1}

@pytest.mark.parametrize("size", ["1", "3", "500"])
@pytest.mark.django_db(transaction=True)
def test_protected_rows_are_scrubbed_and_kept(size):
    rows = [Message.objects.create(**NEW) for _ in range(9)]
    callbacks = [
        Callback.objects.create(message=row, reference=rows[7].reference, outcome="moved",
                                payload={"a": 1}, digest=str(n), received_at=OLD)
        for n, row in enumerate([rows[7], None, None])
    ]
    Invoice.objects.create(sms=rows[1])
    Invoice.objects.create(sms=rows[1])
    Order.objects.create(sms=rows[3])
    Note.objects.create(sms=rows[5])
    Answer.objects.create(callback=callbacks[0])
    Answer.objects.create(callback=callbacks[1])
    output = StringIO()
    with pytest.raises(CommandError) as caught:
        call_command("smsww_prune", "--delete-after", "90", "--batch-size", size, stdout=output)
    assert caught.value.returncode == 1
    told = {"1 by shop.Invoice.sms", "1 by shop.Order.sms", "1 by shop.Answer",
            "1 by a foreign key"}
    assert {one for one in told if one not in str(caught.value)} == set()
    assert output.getvalue() == "5 messages deleted.\\n"
    kept = Message.objects.order_by("pk")
    assert [row.pk for row in kept] == [rows[n].pk for n in (1, 3, 5, 7)]
    assert {(row.recipient, row.body) for row in kept} == {("…", "")}
    assert list(Callback.objects.values_list("payload", flat=True)) == [{}, {}]
    assert DailyTotal.objects.get().messages == 5
"""


@pytest.mark.slow
def test_a_row_that_the_project_protects_stops_nothing(tmp_path):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").touch()
    (tmp_path / "shop" / "models.py").write_text(SHOP)
    more = (
        'INSTALLED_APPS += ["shop"]\n'
        'DATABASES["default"]["OPTIONS"] = {"transaction_mode": "IMMEDIATE"}\n'
        'DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"\n'
    )
    sample_project.make(tmp_path, PROTECTED, settings=sample_project.SETTINGS + more)
    said = sample_project.pytest(tmp_path)
    assert "3 passed" in said, said


def test_old_remains_of_no_message_are_deleted(old_message):
    message = old_message()
    Callback.objects.update(message=None)
    Preflight.objects.create(
        alias="default", batch=message.reference, passed=True, created_at=days_ago(100)
    )
    Counter.objects.create(scope="x", window=days_ago(100))
    Counter.objects.create(scope="x", window=days_ago(1))
    prune("--delete-after", "90")
    assert (Callback.objects.count(), Preflight.objects.count()) == (0, 0)
    assert Counter.objects.count() == 1


def test_small_batches_forget_and_count_every_row(old_message):
    for _ in range(5):
        old_message()
    assert prune("--scrub-after", "90", "--batch-size", "2") == "5 messages scrubbed.\n"
    assert prune("--delete-after", "90", "--batch-size", "2") == "5 messages deleted.\n"
    assert DailyTotal.objects.get().messages == 5


def test_a_dry_run_counts_and_changes_nothing(old_message):
    old_message()
    output = prune("--scrub-after", "90", "--delete-after", "90", "--dry-run")
    assert output.splitlines() == [
        "1 message would be deleted. Nothing was changed.",
        "1 message would be scrubbed. Nothing was changed.",
    ]
    assert Message.objects.get().recipient == NUMBER


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "--scrub-after DAYS"),
        (("--erase", NUMBER, "--export", NUMBER), "or --export"),
        (("--erase", NUMBER, "--scrub-after", "1"), "or --erase"),
        (("--delete-after", "2"), "3 or more"),
        (("--scrub-after", "-1"), "from 0 to"),
        (("--scrub-after", "soon"), "from 0 to"),
        (("--scrub-after", "1", "--batch-size", "0"), "from 1 to"),
        (("--erase", "+39…"), "whole number"),
    ],
)
def test_wrong_use_says_what_to_write(arguments, text):
    with pytest.raises(CommandError, match=text):
        prune(*arguments)


FILL = """
import django; django.setup()
from datetime import timedelta
from django.core.management import call_command
from django.utils import timezone
from django_smsww.models import Message
call_command("migrate", verbosity=0)
old = timezone.now() - timedelta(days=100)
Message.objects.bulk_create(
    Message(alias="default", recipient="+393331234567", body="x", state="DELIVERED", segments=1,
            created_at=old, finished_at=old, expires_at=old)
    for _ in range(600)
)
"""
SHOW = """
import django; django.setup()
from django.db.models import Sum
from django_smsww.models import DailyTotal, Event, Message
print(Message.objects.count(), Event.objects.count(),
      DailyTotal.objects.aggregate(all=Sum("messages"))["all"])
"""


def at_once(database, *arguments):
    command = [sys.executable, "-m", "django", "smsww_prune", "--batch-size", "20", *arguments]
    prunes = [
        subprocess.Popen(command, cwd=ROOT, env=environment_of(database), text=True, stderr=-1)
        for _ in range(2)
    ]
    for process in prunes:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors


@pytest.mark.slow
def test_two_at_once_count_every_row_once(new_database):
    manage(new_database, code=FILL)
    at_once(new_database, "--scrub-after", "90")
    assert manage(new_database, code=SHOW).split() == ["600", "600", "None"]
    at_once(new_database, "--delete-after", "90")
    assert manage(new_database, code=SHOW).split() == ["0", "0", "600"]


# By number


def test_everything_of_a_number_is_exported_and_nothing_of_others(old_message):
    message = old_message(body="Your code is 123")
    old_message(recipient=OTHER, body="Not yours")
    Suppression.objects.create(recipient=NUMBER, reason="asked by phone")
    exported = json.loads(prune("--export", NUMBER))
    [held] = exported["messages"]
    assert (held["reference"], held["body"]) == (str(message.reference), "Your code is 123")
    assert held["callbacks"][0]["payload"] == {"custom": {"order": 17}}
    assert held["events"][0]["error_text"] == "said of Mario"
    assert exported["do_not_send"]["reason"] == "asked by phone"
    assert not {"id", "created_by_id", "fingerprint", "lease_token"} & held.keys()


def test_erasing_leaves_nothing_of_the_number_but_counts_and_costs(old_message):
    old_message(days=1, key=f"k-{NUMBER}")
    other = old_message(recipient=OTHER)
    Event.objects.update(reason="asked by Mario")
    assert prune("--erase", NUMBER, "--no-input") == "1 message erased.\n"
    row = Message.objects.exclude(pk=other.pk).get()
    held = (row.recipient, row.fingerprint, row.key, row.total_price)
    assert held == ("+39…", "", None, Decimal("0.10"))
    assert set(row.events.values_list("reason", flat=True)) == {""}
    assert row.callbacks.get().payload == {}
    assert json.loads(prune("--export", NUMBER))["messages"] == []
    assert Message.objects.get(pk=other.pk).recipient == OTHER


def test_erasing_names_what_is_not_over_yet(old_message):
    old_message(state=State.UNKNOWN)
    old_message(state=State.QUEUED)
    with pytest.raises(CommandError, match="1 QUEUED, 1 UNKNOWN"):
        prune("--erase", NUMBER, "--no-input")
    assert Message.objects.filter(recipient=NUMBER).count() == 2


@pytest.mark.parametrize("answer", ["no", "", EOFError])
def test_erasing_asks_first(old_message, monkeypatch, answer):
    def reply(prompt):
        assert NUMBER not in prompt
        if answer is EOFError:
            raise EOFError
        return answer

    old_message()
    monkeypatch.setattr("builtins.input", reply)
    with pytest.raises(CommandError, match=r"Nothing was erased\."):
        prune("--erase", NUMBER)
    assert Message.objects.get().recipient == NUMBER


def test_a_number_is_erased_where_messages_were_redirected_to_it(old_message):
    old_message(recipient="+34600000000", redirected_to=NUMBER)
    assert NUMBER not in prune("--export", "+34600000000")
    assert prune("--erase", NUMBER, "--no-input") == "1 message erased.\n"
    assert Message.objects.get().redirected_to is None


def test_an_erased_number_stays_on_the_do_not_send_list_and_that_is_said(old_message):
    old_message()
    Suppression.objects.create(recipient=NUMBER)
    assert "stays on the do-not-send list" in prune("--erase", NUMBER, "--no-input")
    assert Suppression.objects.filter(recipient=NUMBER).exists()


# The do-not-send list


def test_nothing_is_sent_to_a_number_that_asked_for_no_more(gateway):
    Suppression.objects.create(recipient=NUMBER)
    with pytest.raises(InvalidSMS, match="do-not-send") as caught:
        send_sms("Hello", NUMBER)
    assert caught.value.code == "suppressed"
    assert NUMBER not in str(caught.value)
    assert (gateway.sent, Message.objects.count()) == ([], 0)


@pytest.mark.parametrize(("queue", "state"), [(False, "NEW"), (True, "QUEUED")])
def test_in_a_mass_send_it_has_a_failed_row_at_once_and_the_others_leave(gateway, queue, state):
    Suppression.objects.create(recipient=NUMBER)
    listed, other = send_mass_sms("Hello", [NUMBER, OTHER], queue=queue)
    assert (listed.state, listed.error, listed.error_code) == ("FAILED", "InvalidSMS", "suppressed")
    assert (other.state, other.error) == (state, "")
    assert [sms.recipient for sms in gateway.sent] == [OTHER][queue:]


def test_the_list_is_asked_once_for_a_block(gateway):
    gateway.configure(queue=True)
    with CaptureQueriesContext(connection) as captured:
        send_mass_sms("Hello", [f"+39333{n:07}" for n in range(200)])
    asked = [query for query in captured if "suppression" in query["sql"]]
    assert len(asked) == 1


def test_what_was_queued_before_the_number_was_listed_does_not_leave(gateway):
    gateway.configure(queue=True)
    message = send_sms("Hello", NUMBER)
    send_sms("Hello", OTHER)
    Suppression.objects.create(recipient=NUMBER)
    call_command("smsww_worker", "--once", stdout=StringIO())
    message.refresh_from_db()
    assert (message.state, message.error_code) == ("FAILED", "suppressed")
    assert [sms.recipient for sms in gateway.sent] == [OTHER]


@pytest.mark.parametrize(
    "again",
    [lambda: send_sms("Hello", NUMBER, key="k"), lambda: resend(Message.objects.get())],
    ids=["key", "resend"],
)
def test_neither_key_nor_resend_reaches_a_number_that_was_listed_meanwhile(gateway, again):
    gateway.answer = raises(SMSUnavailable())
    with pytest.raises(SMSUnavailable):
        send_sms("Hello", NUMBER, key="k")
    Suppression.objects.create(recipient=NUMBER)
    with pytest.raises(InvalidSMS) as caught:
        again()
    assert (caught.value.code, len(gateway.sent)) == ("suppressed", 1)
    assert Message.objects.count() == 1


def test_a_repeated_key_returns_what_was_accepted_before_the_number_was_listed(gateway):
    first = send_sms("Hello", NUMBER, key="k")
    Suppression.objects.create(recipient=NUMBER)
    assert send_sms("Hello", NUMBER, key="k") == first


# Messages that were sent elsewhere


@pytest.fixture
def foreign(make_message):
    """Return a function that stores such a row, whose end the provider told lately or never."""

    def make(days=100, **columns):
        columns = {"created_at": days_ago(days), "prefix": "39", "state": State.NEW} | columns
        return make_message(origin="elsewhere", **columns)

    return make


@pytest.mark.parametrize(
    "ended",
    [{"state": State.NEW}, {"state": State.DELIVERED, "finished_at": days_ago(1)}],
    ids=["never", "lately"],
)
def test_they_are_as_old_as_the_gateway_says_whatever_became_of_them(foreign, ended):
    foreign(89, **ended)
    old = foreign(91, **ended)
    assert prune("--scrub-after", "90") == "1 message scrubbed.\n"
    old.refresh_from_db()
    assert (old.recipient, old.body, old.scrubbed) == ("+39…", "", True)
    assert prune("--delete-after", "90") == "1 message deleted.\n"
    assert DailyTotal.objects.groups().get().origin == "elsewhere"


def test_a_row_that_never_had_a_number_is_not_scrubbed(foreign):
    foreign(recipient="+39…", body="", scrubbed=True)
    assert prune("--scrub-after", "90") == "0 messages scrubbed.\n"


def test_they_are_told_and_erased_by_their_number(foreign):
    foreign()
    [held] = json.loads(prune("--export", NUMBER))["messages"]
    assert (held["origin"], held["body"]) == ("elsewhere", "Hello")
    assert prune("--erase", NUMBER, "--no-input") == "1 message erased.\n"
    assert json.loads(prune("--export", NUMBER))["messages"] == []
