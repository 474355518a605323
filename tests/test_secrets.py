"""Number, text and token are in nothing that is written for people or reported by machines.

Each is a marker that occurs nowhere else, and whatever the gateway does to a message, none of them
is in a log record, an exception, a page of Django's debugger, an admin page's title or log entry,
or in what an engine is told.
"""

import json
import logging
import sys
import traceback
from functools import partial
from itertools import count
from urllib.parse import urlencode

import pytest
from asgiref.sync import async_to_sync
from django.contrib.admin.models import LogEntry
from django.core.signals import got_request_exception
from django.db import DatabaseError, connection, transaction
from django.test import RequestFactory
from django.views.debug import ExceptionReporter

from django_smsww import (
    InvalidSMS,
    SMSError,
    SMSOutcomeUnknown,
    asend_sms,
    send_mass_sms,
    send_messages,
    send_sms,
)
from django_smsww.backends.handler import sms_backends
from django_smsww.callbacks import authentication as callbacks
from django_smsww.contrib.simulator.behaviours import TEST_NUMBERS
from django_smsww.contrib.simulator.process import SimulatorProcess
from django_smsww.models import Message, Suspension
from django_smsww.models import provider_facts as facts
from django_smsww.reconcile import sync
from django_smsww.sms import SMS
from django_smsww.worker import results
from django_smsww.worker.queue import deliver_due

from .support.door import FORM, document, post, signed
from .support.people import EVERYTHING, browser_of, page, staff
from .support.raw_server import own_connections  # noqa: F401
from .support.sampling import slow_unless

NUMBER, TEXT, TOKEN = "77123458", "Zebrafish", "tok3n0fTh1sT3st"
MARKERS = (NUMBER, TEXT, TOKEN)
pytestmark = pytest.mark.django_db(transaction=True)

# One of each kind: unknown and accepted or not; not sent; refused; an unusable answer.
SOME_FAULTS = {"912", "913", "916", "919", "921", "931"}


class Given:
    """What a project passes on, out of sight of the debugger: its own variables are its own."""

    numbers = count(100)

    def number(self, ending="001"):
        return f"+39{NUMBER}{next(self.numbers) % 100:02}{ending}"

    def numbers_for(self, send):
        return [self.number()] if send is send_mass_sms else self.number()

    @property
    def text(self):
        return f"{TEXT} {next(self.numbers)}"


given = Given()


@pytest.fixture(scope="module")
def simulator():
    with SimulatorProcess(state_delay=0.005, token=TOKEN) as running:
        yield running


@pytest.fixture(autouse=True)
def alias(simulator, settings, caplog, monkeypatch):
    monkeypatch.setattr(results, "FLUSH_SECONDS", 0.001)
    simulator.reset()
    settings.DEBUG = True
    options = {"token": TOKEN, "host": simulator.url, "environment": "here", "timeout": 0.3}
    settings.SMSWW = {"default": {"OPTIONS": options}}
    caplog.set_level(logging.DEBUG)
    yield
    Suspension.objects.all().delete()


def shown(text):
    """Return which markers a text shows."""
    return [marker for marker in MARKERS if marker in str(text)]


def logged(caplog):
    """Return all that was logged, with what the records carry; Django's own SQL log aside."""
    records = [each for each in caplog.records if each.name != "django.db.backends"]
    return "\n".join(f"{each.getMessage()} {each.__dict__}" for each in records)


def reported(error, request=None):
    """Return all that a report of this exception shows."""
    request = request or RequestFactory().get("/")
    reporter = ExceptionReporter(request, type(error), error, error.__traceback__)
    plain = "".join(traceback.format_exception(error))
    return "\n".join(
        [reporter.get_traceback_html(), reporter.get_traceback_text(), plain, repr(vars(error))]
    )


def failing(call):
    """Return the exception that the call ends with, or None."""
    try:
        call()
    except (SMSError, DatabaseError):
        return sys.exception()
    return None


@pytest.mark.parametrize("ending", slow_unless(SOME_FAULTS.__contains__, sorted(TEST_NUMBERS)))
def test_a_fault_of_the_gateway_shows_nothing(ending, caplog):
    error = failing(lambda: send_sms(given.text, given.number(ending)))
    assert error is None or shown(reported(error)) == []
    send_sms(given.text, given.number(ending), queue=True)
    Suspension.objects.all().delete()
    deliver_due(sms_backends["default"], using="default")
    report, rows = sync(), Message.objects.all()
    assert len(rows) == 2
    errors = list(rows.values_list("error", "error_code", "error_text"))
    assert shown([logged(caplog), report, report.as_dict(), list(rows), errors]) == []


@pytest.mark.parametrize("word", ["SELECT", "INSERT", "UPDATE"])
@pytest.mark.parametrize("send", [send_sms, send_mass_sms, async_to_sync(asend_sms)])
def test_a_fault_of_the_database_shows_nothing(send, word, caplog):
    """It is told with the statement's parameters among the variables of Django's own frames."""

    def spoil(execute, sql, *args):
        is_chosen = sql.startswith(word) and "django_smsww_message" in sql
        return execute(sql.replace("django_smsww_message", "nowhere") if is_chosen else sql, *args)

    with connection.execute_wrapper(spoil):
        error = failing(lambda: send(given.text, given.numbers_for(send)))
    if word == "INSERT" or send is send_mass_sms:
        assert isinstance(error, DatabaseError)
        assert "nowhere" in reported(error)
    report = reported(error) if error else ""
    assert shown(report) == shown(logged(caplog)) == []


@pytest.mark.parametrize("word", ["SELECT", "UPDATE"])
@pytest.mark.parametrize("count", [1, 2])
def test_a_fault_of_the_database_in_a_hook_of_the_commit_shows_nothing(count, word, caplog):
    """Django logs it with its traceback, and reporters show the variables of that."""

    def spoil(execute, sql, *args):
        is_chosen = sql.startswith(word) and "django_smsww_message" in sql
        return execute(sql.replace("django_smsww_message", "nowhere") if is_chosen else sql, *args)

    with transaction.atomic():
        send_mass_sms(given.text, [given.number() for _ in range(count)], preflight=False)
        if count == 1:
            send_sms(given.text, given.number())
        transaction.on_commit(partial(connection.execute_wrappers.append, spoil))
        connection.run_on_commit.insert(0, connection.run_on_commit.pop())
    connection.execute_wrappers.remove(spoil)
    faults = [each.exc_info[1] for each in caplog.records if each.exc_info]
    assert faults or (count, word) == (1, "SELECT")  # one row alone needs no SELECT
    assert all(isinstance(error, DatabaseError) for error in faults)
    assert shown([logged(caplog), *map(reported, faults)]) == []


def test_what_was_handled_before_a_fault_of_the_database_keeps_its_variables():
    def fail():
        known = "for its report"
        raise ValueError(known)

    def spoil(execute, sql, *args):
        return execute(sql.replace("django_smsww_message", "nowhere"), *args)

    try:
        fail()
    except ValueError as error:
        with connection.execute_wrapper(spoil), pytest.raises(DatabaseError) as caught:
            send_sms(given.text, given.number())
        frame = error.__traceback__.tb_next.tb_frame
        assert frame.f_locals["known"] == "for its report"
        assert shown(reported(caught.value)) == []


WRONG = {
    "no text": lambda: send_sms("", given.number()),
    "no number": lambda: send_sms(given.text, given.number() + "x"),
    "no sender": lambda: send_sms(given.text, given.number(), "?"),
    "too long": lambda: send_sms(given.text * 9999, given.number()),
    "mass": lambda: send_mass_sms(given.text * 9999, [given.number()]),
    "no list": lambda: send_mass_sms(given.text, given.number()),
    "custom": lambda: send_sms(given.text, given.number(), custom={given.text: object()}),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_not_valid_shows_nothing(wrong, caplog):
    error = failing(WRONG[wrong])
    assert type(error) is InvalidSMS
    assert shown([reported(error), logged(caplog)]) == []


def test_asynchronous_code_shows_nothing_either():
    error = failing(lambda: async_to_sync(asend_sms)(given.text, given.number("913")))
    assert (type(error), shown(reported(error))) == (SMSOutcomeUnknown, [])


def report_of_fault(call, monkeypatch):
    """Return what a report says of a fault of ours, as it is sent to the admins."""

    def break_down(*args, **kwargs):
        raise RuntimeError

    monkeypatch.setattr(facts, "merge", break_down)
    monkeypatch.setattr(callbacks, "read_message", break_down)
    try:
        call()
    except RuntimeError as error:
        return reported(error)
    return ""


def test_the_report_of_a_fault_in_production_shows_no_values(settings, monkeypatch):
    settings.DEBUG = False
    report = report_of_fault(lambda: send_sms(given.text, given.number()), monkeypatch)
    assert ("RuntimeError" in report, shown(report)) == (True, [])


@pytest.mark.parametrize("content_type", ["application/json", FORM])
def test_the_report_of_a_fault_of_the_door_shows_no_values(
    settings, monkeypatch, make_message, content_type
):
    settings.DEBUG = False
    message = make_message(state="NEW", environment="here")
    said = json.dumps({"data": document(recipient=given.number(), message=given.text)})
    body = urlencode({"data": said}) if content_type == FORM else said
    reports = []

    def receiver(request, **extra):
        reports.append(reported(sys.exception(), request))

    got_request_exception.connect(receiver)
    report_of_fault(partial(post, body.encode(), signed(message), content_type), monkeypatch)
    got_request_exception.disconnect(receiver)
    assert ["RuntimeError" in report for report in reports] == [True]
    assert shown(reports) == []


told = []


def engine(alias, primary_keys):
    told.append((alias, primary_keys))
    raise ConnectionError


def test_an_engine_is_told_primary_keys_alone(caplog):
    told.clear()
    send_messages([SMS(given.text, given.number())], queue="tests.test_secrets.engine")
    assert (len(told), shown(told), shown(logged(caplog))) == (1, [], [])


@pytest.mark.parametrize("deed", ["resend", "refresh", "cancel", "settle"])
def test_titles_and_log_entries_of_the_admin_name_references(deed, make_message, caplog):
    columns = {"recipient": given.number(), "body": given.text, "environment": "here"}
    state = {"resend": "FAILED", "cancel": "QUEUED"}.get(deed, "UNKNOWN")
    message = make_message(state=state, **columns)
    Message.objects.update(created_at="2026-01-01T00:00Z")
    browser = browser_of(staff(*EVERYTHING))
    address = page(message).replace("/change/", f"/{deed}/")
    titles = [browser.get(each).context["title"] for each in (page(message), address)]
    answers = {"again": "yes", "verdict": "unsent", "reason": "because"}
    assert browser.post(address, answers).status_code == 302
    entries = LogEntry.objects.values_list("object_repr", "change_message")
    assert (len(entries) > 0, shown([*entries, *titles])) == (True, [])
    assert shown(logged(caplog)) == []
