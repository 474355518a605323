"""The README does what it says: its code runs, its tables are complete."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from django.apps import apps
from django.test import Client, override_settings

import django_smsww
from django_smsww import State, sms_backends
from django_smsww.backends import base, openapi
from django_smsww.exceptions import InvalidSMSBackend, SMSError
from django_smsww.gateway.signature import header_stamp
from django_smsww.signals import message_state_changed

from ..support import guides

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)

SET_UP = [
    "python3 -m venv .venv && .venv/bin/pip install -e '.[demo]' && "
    ".venv/bin/python example_project/manage.py demo",
    "python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/pytest",
]


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.setenv("SMS_URL", re.findall(r"'(openapi:.*)'", README)[0])
    monkeypatch.setenv("SMS_TOKEN", "TOKEN")


def run(blocks):
    names = {"INSTALLED_APPS": [], "DEBUG": True, "urlpatterns": []}
    return guides.run_blocks("README.md", blocks, names)


@pytest.fixture
def readme(db):
    names = run(BLOCKS)
    yield names
    message_state_changed.disconnect(names["note_delivery"])


def rows_below(heading):
    """Return the cells of the first table below a heading."""
    text = README.partition(f"\n## {heading}\n")[2]
    table = re.search(r"^\|.*\n\|[-|]+\n((?:\|.*\n)+)", text, re.MULTILINE).group(1)
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines()]


def names_below(heading):
    return [name for row in rows_below(heading) for name in re.findall(r"`(\w+)`", row[0])]


def test_the_code_runs_and_sends_what_it_shows(readme, smsoutbox):
    texts = [sms.body for sms in smsoutbox]
    assert texts[:2] == ["Your report is ready.", "Maintenance at 22:00."]
    assert texts.count("Your invoice 42 is due.") == 1
    assert "Is this text allowed?" not in texts


def test_the_receiver_hears_of_a_delivery_through_the_urls(
    readme, capsys, django_capture_on_commit_callbacks
):
    message = readme["message"]
    urls = ModuleType("urls_of_the_readme")
    urls.urlpatterns = readme["urlpatterns"]
    payload = {"data": {"id": message.provider_id, "state": "DELIVERED"}}
    headers = header_stamp(message.reference, message.environment)
    with override_settings(ROOT_URLCONF=urls), django_capture_on_commit_callbacks(execute=True):
        answer = Client(headers=headers).post("/sms/callback/", payload, "application/json")
    assert answer.status_code == 200
    assert f"{message.reference} was delivered" in capsys.readouterr().out


def test_the_two_ways_to_write_the_setting_mean_the_same():
    written = [block for block in BLOCKS if re.search(r"^SMSWW = ", block, re.M)]
    short, long = (run(["import os", block])["SMSWW"] for block in written)
    long["default"]["OPTIONS"]["host"] = "production"
    assert short == long
    with override_settings(SMSWW=short):
        assert isinstance(sms_backends.default, openapi.SMSBackend)


def test_the_error_handling_says_what_happened(readme, smsoutbox):
    user = SimpleNamespace(pk=1, phone="+393331234567")
    assert readme["notify"](user) == "On its way."


def test_the_test_of_a_project_passes(readme, smsoutbox):
    smsoutbox.clear()
    readme["test_a_free_table_is_announced"](smsoutbox, None)


def test_the_set_up_commands_are_these_two():
    consoles = re.findall(r"^```console\n(.*?)\n```$", README, re.DOTALL | re.MULTILINE)
    assert [console for console in consoles if "venv" in console] == SET_UP


def test_every_option_is_in_the_table_with_its_default():
    signature = options_of(base.BaseSMSBackend) | options_of(openapi.SMSBackend)
    del signature["alias"]
    assert set(names_below("Settings")) == set(signature)
    for cells in rows_below("Settings"):
        if cells[1].startswith("`") and cells[1] != "`None`":
            for name in re.findall(r"`(\w+)`", cells[0]):
                assert ast.literal_eval(cells[1].strip("`")) == signature[name], name


def options_of(backend):
    parameters = inspect.signature(backend.__init__).parameters.values()
    return {each.name: each.default for each in parameters if each.kind == each.KEYWORD_ONLY}


def test_every_state_is_in_the_table():
    assert names_below("States") == list(State)


def test_every_error_is_in_the_table():
    public = {name: getattr(django_smsww, name) for name in django_smsww.__all__}
    bases = (SMSError, InvalidSMSBackend)
    errors = {name for name, it in public.items() if isinstance(it, type) and issubclass(it, bases)}
    assert set(names_below("Errors and what to do")) == errors - {"SMSError"}


def test_every_command_is_in_the_table():
    package = Path(django_smsww.__file__).parent
    commands = {path.stem for path in package.glob("**/management/commands/smsww_*.py")}
    assert set(names_below("Commands")) == commands


def test_every_permission_in_the_table_exists():
    known = {
        codename
        for model in apps.get_app_config("django_smsww").get_models()
        for codename in [
            *(f"{action}_{model._meta.model_name}" for action in model._meta.default_permissions),
            *(codename for codename, _ in model._meta.permissions),
        ]
    }
    assert set(names_below("Admin and permissions")) <= known


def test_what_it_links_to_is_there():
    targets = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_it_is_short():
    assert len(README.splitlines()) <= 400
