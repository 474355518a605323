"""Tokens are in no error page, no report and no list of the settings."""

import copy
import json
import pickle
import pprint
import subprocess
import sys
from types import ModuleType

import pytest
from django.test import Client, override_settings
from django.urls import path
from django.views.debug import ExceptionReporter

from django_smsww import InvalidSMSBackend, Secret, send_sms, sms_backends
from django_smsww.environ import sms_url
from django_smsww.gateway.secret import masked

from ..conftest import NUMBER
from ..support.sample_project import ROOT

# Made, so that it is not in the lines of source that such a page shows.
TOKEN = "-".join(("s3cr3t", "t0k3n"))
# Nobody listens there.
CLOSED = {"token": TOKEN, "host": "http://127.0.0.1:9", "account_email": "a@b.c", "api_key": TOKEN}


def send_to_the_gateway(request):
    send_sms("Hello", NUMBER)


@pytest.fixture
def visit(settings, db):
    """Return a function that gives the page of the error that sending with this entry ends in."""
    settings.DEBUG = True
    urls = ModuleType("urls_of_an_error")
    urls.urlpatterns = [path("", send_to_the_gateway)]
    settings.ROOT_URLCONF = urls
    settings.ALLOWED_HOSTS = ["testserver"]

    def get(entry):
        with override_settings(SMSWW={"default": entry}):
            response = Client(raise_request_exception=False).get("/")
        assert response.status_code == 500
        return response.content.decode()

    return get


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("entry", "shown"),
    [
        ({"OPTIONS": CLOSED}, "SMSUnavailable"),
        ({"OPTIONS": CLOSED | {"sendr": "Acme"}}, "Unknown options &#x27;sendr&#x27;"),
        ({"OPTIONS": CLOSED, "TOKEN": TOKEN}, "Unknown key &#x27;TOKEN&#x27;"),
        ({"BACKEND": "nowhere.Backend", "OPTIONS": CLOSED}, "cannot be imported"),
        (sms_url(f"openapi+http://{TOKEN}@127.0.0.1:9?timeout=2"), "SMSUnavailable"),
    ],
)
def test_the_page_of_an_error_shows_no_token(visit, entry, shown):
    page = visit(entry)
    assert "Traceback" in page
    assert shown in page
    assert TOKEN not in page


def test_what_inspects_a_backend_sees_no_token(settings):
    settings.SMSWW = {"default": {"OPTIONS": CLOSED}}
    client = sms_backends["default"].client
    assert TOKEN not in pprint.pformat([vars(client), vars(client._host), vars(client.account)])


def test_a_report_to_the_administrators_shows_no_token(rf):
    with override_settings(SMSWW={"default": {"OPTIONS": CLOSED | {"sendr": "Acme"}}}):
        with pytest.raises(InvalidSMSBackend) as caught:
            sms_backends["default"]
        raised = caught.type, caught.value, caught.tb
        reporter = ExceptionReporter(rf.get("/"), *raised)
        report = reporter.get_traceback_html() + reporter.get_traceback_text()
    assert "SMSWW" in report
    assert TOKEN not in report


def test_the_list_of_the_settings_shows_no_token(tmp_path):
    text = f"""
from django_smsww import Secret
from django_smsww.environ import sms_url

SMSWW = {{
    "default": sms_url("openapi://{TOKEN}@production?account_email=a@b.c&api_key={TOKEN}"),
    "other": {{"OPTIONS": {{"token": Secret("{TOKEN}"), "sender": "Acme"}}}},
}}
"""
    (tmp_path / "listed.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "django", "diffsettings", "--settings", "listed"],
        env={"PYTHONPATH": f"{tmp_path}:{ROOT}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "'sender': 'Acme'" in done.stdout
    assert TOKEN not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))]
)
def test_a_secret_stays_one_when_it_is_copied(copied):
    again = copied({"token": Secret(TOKEN)})["token"]
    assert (type(again), again) == (Secret, TOKEN)
    assert TOKEN not in f"{again!r} {[again]} {pprint.pformat({1: again})}"


@pytest.mark.parametrize(
    "name", ["token", "api_key", "client_secret", "passwd", "auth", "credential"]
)
def test_an_option_is_masked_by_its_name(name):
    assert TOKEN not in repr(masked({"OPTIONS": {name: TOKEN, "timeout": 5}}))


def test_a_secret_is_used_like_any_text():
    token = Secret(TOKEN)
    assert f"Bearer {token}" == f"Bearer {TOKEN}"
    assert (str(token), hash(token), json.loads(json.dumps(token))) == (TOKEN, hash(TOKEN), TOKEN)
    assert {token: 1}[TOKEN] == 1
