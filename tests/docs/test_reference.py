"""The tables of the reference are complete, and its code runs."""

import ast
import inspect
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.test import override_settings

import django_smsww
from django_smsww import State, sms_backends
from django_smsww.backends import base, openapi
from django_smsww.exceptions import InvalidSMSBackend, SMSError
from django_smsww.sending.api import SendOptions

from ..support import guides

DOCUMENTS = sorted(guides.DOCS.glob("*.md"))


def rows_below(document, heading):
    """Return the cells of the first table below a heading."""
    text = guides.text_of(document).partition(f"# {heading}\n")[2]
    table = re.search(r"^\|.*\n\|[-|]+\n((?:\|.*\n)+)", text, re.MULTILINE).group(1)
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines()]


def names_below(document, heading):
    rows = rows_below(document, heading)
    return [name for row in rows for name in re.findall(r"`(\w+)`", row[0])]


def test_the_messages_of_the_guide_to_sending_leave_once(db, smsoutbox):
    guides.run("sending.md")
    texts = [sms.body for sms in smsoutbox]
    assert texts.count("Your invoice 42 is due.") == 1
    assert {"Welcome!", "Ciao!", "¡Hola!"} <= set(texts)
    assert "Is this text allowed?" not in texts


def test_every_option_of_send_sms_is_explained():
    assert set(names_below("sending.md", "Options")) == {"sender", *SendOptions.__annotations__}


def test_the_error_handling_says_what_happened(db, smsoutbox):
    booking = SimpleNamespace(pk=1, phone="+393331234567")
    assert guides.run("errors.md")["notify"](booking) == "On its way."


def test_the_two_ways_to_write_the_setting_mean_the_same(monkeypatch):
    [url] = re.findall(r"SMS_URL='(openapi:.*?)'", guides.text_of("settings.md"))
    monkeypatch.setenv("SMS_URL", url)
    monkeypatch.setenv("SMS_TOKEN", "TOKEN")
    blocks = guides.blocks_of("settings.md")
    short, long = (guides.run_blocks("settings.md", [block], {})["SMSWW"] for block in blocks)
    long["default"]["OPTIONS"]["host"] = "production"
    assert short == long
    with override_settings(SMSWW=short):
        assert isinstance(sms_backends.default, openapi.SMSBackend)


def test_every_option_of_an_alias_is_in_the_table_with_its_default():
    signature = options_of(base.BaseSMSBackend) | options_of(openapi.SMSBackend)
    del signature["alias"]
    assert set(names_below("settings.md", "Options")) == set(signature)
    for cells in rows_below("settings.md", "Options"):
        if cells[1].startswith("`") and cells[1] != "`None`":
            for name in re.findall(r"`(\w+)`", cells[0]):
                assert ast.literal_eval(cells[1].strip("`")) == signature[name], name


def options_of(backend):
    parameters = inspect.signature(backend.__init__).parameters.values()
    return {each.name: each.default for each in parameters if each.kind == each.KEYWORD_ONLY}


def test_every_state_is_in_the_table_with_its_word_in_the_admin():
    assert names_below("errors.md", "States") == list(State)
    assert [row[1] for row in rows_below("errors.md", "States")] == [one.label for one in State]


def test_every_error_is_in_the_table():
    public = {name: getattr(django_smsww, name) for name in django_smsww.__all__}
    bases = (SMSError, InvalidSMSBackend)
    errors = {name for name, it in public.items() if isinstance(it, type) and issubclass(it, bases)}
    assert set(names_below("errors.md", "Errors")) == errors - {"SMSError"}


def test_every_command_is_in_the_table():
    package = Path(django_smsww.__file__).parent
    commands = {path.stem for path in package.glob("**/management/commands/smsww_*.py")}
    assert set(names_below("commands.md", "Commands")) == commands


def test_every_permission_in_the_table_exists():
    known = {
        codename
        for model in apps.get_app_config("django_smsww").get_models()
        for codename in [
            *(f"{action}_{model._meta.model_name}" for action in model._meta.default_permissions),
            *(codename for codename, _ in model._meta.permissions),
        ]
    }
    assert set(names_below("admin.md", "Permissions")) <= known


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_of_a_document_finds_its_file_and_its_heading(path):
    for target, anchor in re.findall(
        r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", path.read_text("utf-8")
    ):
        file = path.parent / target if target else path
        assert file.exists(), target
        assert not anchor or anchor in anchors_of(file.read_text("utf-8")), f"{target}#{anchor}"


def anchors_of(text):
    """Return the anchors that hosts of repositories give to headings."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}
