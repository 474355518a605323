"""The documents in docs/ do what they say."""

import re
import sys
from datetime import date
from types import ModuleType

import pytest
from django.contrib.sessions.models import Session
from django.core.management import load_command_class
from django.db import connection, router

from django_smsww import (
    InvalidSMSBackend,
    SMSOutcomeUnknown,
    SMSUnavailable,
    State,
    send_sms,
    sms_backends,
)
from django_smsww.models import Message

from ..conftest import NUMBER
from ..support import guides, sample_project


@pytest.mark.slow
def test_the_tests_in_the_guide_to_testing_pass(tmp_path):
    sample_project.make(tmp_path, "\n\n".join(guides.blocks_of("testing.md")))
    assert "6 passed" in sample_project.pytest(tmp_path)


def test_the_texts_in_the_guide_to_content_are_as_it_says(db, smsoutbox, settings, tmp_path):
    [template] = guides.blocks_of("content.md", "django")
    (tmp_path / "sms").mkdir()
    (tmp_path / "sms" / "reminder.txt").write_text(template, encoding="utf-8")
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    guides.run("content.md", day=date(2026, 3, 2))
    [sms] = smsoutbox
    lines = ["Dear Ada & Søren, we see you on Lunedì 2 Marzo.", "To end: example.com/stop"]
    assert sms.body.splitlines() == lines


def test_the_guide_to_languages_explains_an_error_in_two(db):
    said = guides.run("languages.md")
    assert said["logged"].startswith("recipient must start with the plus sign")
    assert said["shown"].startswith("Il destinatario (recipient) deve iniziare con il segno più")


@pytest.fixture
def own_backend(settings, monkeypatch):
    """The backend of the guide to contributing, as a module of the project."""
    module = ModuleType("backend_of_the_guide")
    block, *_ = guides.blocks_of("../CONTRIBUTING.md")
    exec(compile(block, "CONTRIBUTING.md", "exec"), vars(module))
    monkeypatch.setitem(sys.modules, module.__name__, module)

    def configure(**options):
        entry = {"BACKEND": f"{module.__name__}.SMSBackend", "OPTIONS": options}
        settings.SMSWW = {"default": entry}

    return configure


@pytest.mark.django_db(transaction=True)
def test_the_backend_in_the_guide_to_contributing_sends(own_backend, mailoutbox):
    own_backend(domain="sms.example.com", sender="Acme")
    assert send_sms("Hello", NUMBER).state == State.NEW
    assert [(mail.to, mail.body) for mail in mailoutbox] == [
        (["393331234567@sms.example.com"], "Hello")
    ]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("error", "kind"), [(ConnectionRefusedError, SMSUnavailable), (TimeoutError, SMSOutcomeUnknown)]
)
def test_the_backend_in_the_guide_says_what_is_certain(own_backend, monkeypatch, error, kind):
    def fail(*args):
        raise error

    own_backend(domain="sms.example.com")
    monkeypatch.setattr("backend_of_the_guide.send_mail", fail)
    with pytest.raises(kind):
        send_sms("Hello", NUMBER)


@pytest.mark.django_db(transaction=True)
def test_the_view_of_the_guide_takes_the_reports_of_the_provider(own_backend, settings, rf):
    own_backend(domain="sms.example.com")
    settings.REPORT_SECRET = "a-secret"
    message, view = send_sms("Hello", NUMBER), {}
    exec(guides.blocks_of("../CONTRIBUTING.md")[1], view)

    def post(name, status, secret="a-secret"):
        said = {"id": name, "status": status}
        request = rf.post("/", said, "application/json", headers={"X-Secret": secret})
        return view["report"](request).status_code

    posted = post(message.provider_id, "read"), post("nobody's", "read"), post("", "read", "guess")
    message.refresh_from_db()
    assert (posted, message.state) == ((200, 404, 401), State.DELIVERED)


@pytest.mark.parametrize(
    ("options", "text"), [({}, "define 'domain'"), ({"domian": "x"}, "domain")]
)
def test_the_backend_in_the_guide_refuses_wrong_options(own_backend, options, text):
    own_backend(**options)
    with pytest.raises(InvalidSMSBackend, match=text):
        sms_backends["default"]


def test_what_the_guides_link_to_is_there():
    for path in guides.DOCS.glob("*.md"):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", path.read_text("utf-8")):
            assert (guides.DOCS / target).exists(), (path.name, target)


OF_COMMANDS = r"^(?:.*?manage\.py) (\w+)((?: +(?:--)?[\w.-]+)*)$"


@pytest.mark.parametrize("name", ["delivery.md", "scale.md"])
def test_the_commands_of_the_guides_to_running_it_can_be_given(name):
    text = (guides.DOCS / name).read_text("utf-8")
    commands = re.findall(OF_COMMANDS, text, re.MULTILINE)
    ours = [(command, words) for command, words in commands if command.startswith("smsww_")]
    assert ours
    for command, words in ours:
        parser = load_command_class("django_smsww", command).create_parser("manage.py", command)
        parser.parse_args(words.split())


@pytest.mark.django_db(transaction=True)
def test_the_task_queue_of_the_guide_to_delivery_delivers(gateway):
    blocks = [block for block in guides.blocks_of("delivery.md") if "deliver_block" in block]
    names = {}
    exec(blocks[0], names)
    gateway.configure(queue=True, concurrency=1)
    messages = [send_sms(f"{n}", NUMBER, priority=n) for n in (0, 5)]
    names["enqueue"]("default", [message.pk for message in messages])
    names["work"]()
    assert [sms.body for sms in gateway.sent] == ["5", "0"]


@pytest.mark.postgresql
def test_the_statements_of_the_guide_to_scale_run(db):
    tune, copy = guides.blocks_of("scale.md", "sql")
    with connection.cursor() as cursor:
        cursor.execute(tune)
        with cursor.copy(copy) as rows:
            assert b"".join(rows).startswith(b"reference,alias,")


def test_the_router_of_the_guide_to_scale_reads_messages_from_the_replica(settings):
    names = {}
    exec(guides.blocks_of("scale.md")[0], names)
    settings.DATABASE_ROUTERS = [names["MessagesFromReplica"]()]
    assert (router.db_for_read(Message), router.db_for_write(Message)) == ("replica", "default")
    assert router.db_for_read(Session) == "default"
