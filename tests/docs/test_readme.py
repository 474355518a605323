"""The README does what it says, in as many words as somebody reads who decides."""

import re
from types import ModuleType

import pytest
from django.test import Client, override_settings

from django_smsww import sms_backends
from django_smsww.backends import openapi
from django_smsww.gateway.signature import header_stamp
from django_smsww.signals import message_state_changed

from ..support import guides

README = guides.text_of("../README.md")

SET_UP = [
    "python3 -m venv .venv && .venv/bin/pip install -e '.[demo]' && "
    ".venv/bin/python example_project/manage.py demo",
    "python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/pytest",
]


@pytest.fixture
def readme(db):
    names = {"INSTALLED_APPS": [], "DEBUG": True, "urlpatterns": []}
    names = guides.run_blocks("README.md", guides.blocks_of("../README.md"), names)
    yield names
    message_state_changed.disconnect(names["note_delivery"])


def test_the_code_runs_and_sends_what_it_shows(readme, smsoutbox):
    texts = [sms.body for sms in smsoutbox]
    assert texts == ["Your report is ready.", *["Maintenance at 22:00."] * 2]


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


def test_the_settings_are_those_of_the_simulator_until_a_url_is_given(readme, monkeypatch):
    with override_settings(SMSWW=readme["SMSWW"]):
        assert repr(sms_backends.default).endswith("<Client http://127.0.0.1:8026>>")
    [url] = re.findall(r"'(openapi:.*)'", README)
    monkeypatch.setenv("SMS_URL", url)
    [block] = [block for block in guides.blocks_of("../README.md") if "mysite/settings" in block]
    names = guides.run_blocks("README.md", [block], {"INSTALLED_APPS": [], "DEBUG": False})
    with override_settings(SMSWW=names["SMSWW"]):
        assert isinstance(sms_backends.default, openapi.SMSBackend)
        assert sms_backends.default.client.url == "https://sms.openapi.com"


def test_the_test_of_a_project_passes(readme, smsoutbox):
    smsoutbox.clear()
    readme["test_a_free_table_is_announced"](smsoutbox, None)


def test_the_set_up_commands_are_these_two():
    consoles = guides.blocks_of("../README.md", "console")
    assert [each.strip() for each in consoles if "venv" in each] == SET_UP


def test_it_is_short():
    assert len(README.splitlines()) <= 200
