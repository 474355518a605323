"""One URL in the environment, one entry of the SMSWW setting."""

import os
import subprocess
import sys
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_smsww import InvalidSMSBackend, sms_backends
from django_smsww.environ import sms_url

TOKEN = "s3cr3t"
OPENAPI = "django_smsww.backends.openapi.SMSBackend"


@pytest.mark.parametrize(
    ("url", "token", "host"),
    [
        *((f"openapi://s3cr3t@{host}", TOKEN, host) for host in ("production", "sandbox")),
        ("openapi://s3cr3t@sms.example.com:8443/", TOKEN, "https://sms.example.com:8443"),
        ("openapi+http://s3cr3t@127.0.0.1:8000", TOKEN, "http://127.0.0.1:8000"),
        ("openapi+http://s3cr3t@[::1]:8000", TOKEN, "http://[::1]:8000"),
        ("openapi://a%2Fb%3Ac%40d%25@sandbox", "a/b:c@d%", "sandbox"),
        *((f"openapi://{token}@sandbox", token, "sandbox") for token in ("a:b+c", "a@b")),
        (" openapi://s3cr3t@sandbox \n", TOKEN, "sandbox"),
        ("simulator://127.0.0.1:8000", "simulator", "http://127.0.0.1:8000"),
    ],
)
def test_gateway_url_gives_token_and_host(url, token, host):
    assert sms_url(url) == {"BACKEND": OPENAPI, "OPTIONS": {"token": token, "host": host}}


@pytest.mark.parametrize(
    ("url", "name", "options"),
    [
        ("console://", "console", {}),
        ("locmem:///", "locmem", {}),
        ("dummy://?sender=Acme", "dummy", {"sender": "Acme"}),
        ("file:///var/tmp/my%20sms", "filebased", {"file_path": "/var/tmp/my sms"}),
    ],
)
def test_local_url_gives_its_backend(url, name, options):
    backend = f"django_smsww.backends.{name}.SMSBackend"
    assert sms_url(url) == {"BACKEND": backend, "OPTIONS": options}


def test_query_gives_options_of_the_right_type():
    query = (
        "sender=Acme+SpA&dry_run=true&fail_on_multiple_messages=off&replace_characters=1"
        "&max_segments=3&region=IT&allowed_countries=IT,%20ES&queue=myproject.queues.Fast&concurrency=8"
        "&callback_url=https://example.com/sms/callback/%3Fa=b&timeout=2.5&expires_after=60"
    )
    assert sms_url(f"console://?{query}")["OPTIONS"] == {
        "sender": "Acme SpA",
        "dry_run": True,
        "fail_on_multiple_messages": False,
        "replace_characters": True,
        "max_segments": 3,
        "region": "IT",
        "allowed_countries": ["IT", "ES"],
        "queue": "myproject.queues.Fast",
        "concurrency": 8,
        "callback_url": "https://example.com/sms/callback/?a=b",
        "timeout": 2.5,
        "expires_after": 60,
    }


def test_entry_serves_as_a_setting(settings):
    settings.SMSWW = {"default": sms_url("locmem://?sender=Acme&queue=no&max_segments=2")}
    backend = sms_backends["default"]
    assert (backend.sender, backend.queue, backend.max_segments) == ("Acme", False, 2)


def test_unknown_option_is_the_backends_to_refuse(settings):
    settings.SMSWW = {"default": sms_url("locmem://?sendr=Acme")}
    with pytest.raises(InvalidSMSBackend, match="Did you mean 'sender'"):
        sms_backends["default"]


BROKEN = {
    "is empty": ["", "  ", None],
    "must start with one of openapi://": ["s3cr3t", "https://s3cr3t@production"],
    "must have a token and a host": [
        *("openapi://production", "openapi://s3cr3t", "openapi://@production"),
        *("openapi://s3cr3t@", "openapi://s3cr3t/x@production", "openapi://s3cr3t#x@production"),
    ],
    "nothing but a query": [
        *("openapi://s3cr3t@production/s3cr3t", "openapi://s3cr3t@production#s3cr3t"),
        "console:///s3cr3t",
    ],
    "percent-encode": ["openapi://[s3cr3t@production", "openapi://s3cr3t@production\u2100"],
    "must not give 'token'": ["openapi://s3cr3t@production?token=s3cr3t"],
    "must not give 'host'": ["openapi://s3cr3t@production?host=s3cr3t"],
    "must not give 'file_path'": ["file:///tmp?file_path=/s3cr3t"],
    "must not give 'sender'": ["console://?sender=s3cr3t&sender=s3cr3t"],
    "must give true or false as 'dry_run'": ["console://?dry_run=s3cr3t"],
    "must give true, false or a dotted path as 'queue'": ["console://?queue=s3cr3t"],
    "must give an integer as 'concurrency'": ["console://?concurrency=s3cr3t"],
    "must give a number of seconds as 'timeout'": ["console://?timeout=s3cr3t"],
    "nothing before its query": ["console://s3cr3t"],
    "absolute path": ["file://s3cr3t/tmp", "file:///"],
    "a host and no token": ["simulator://", "simulator://s3cr3t@127.0.0.1"],
}


@pytest.mark.parametrize(
    ("url", "text"), [(url, text) for text, urls in BROKEN.items() for url in urls]
)
def test_broken_url_says_how_to_write_it_and_never_shows_the_token(url, text):
    with pytest.raises(InvalidSMSBackend, match="The SMS URL") as caught:
        sms_url(url)
    assert text in str(caught.value)
    assert TOKEN not in "".join(traceback.format_exception(caught.value))


@given(st.text(max_size=40))
def test_any_text_is_an_entry_or_a_clear_error(text):
    try:
        entry = sms_url(f"openapi://{text}")
    except InvalidSMSBackend as error:
        reason = str(error)
    else:
        reason = f"The SMS URL is good: {entry['OPTIONS']['token']}"
    assert reason.startswith("The SMS URL ")


def run(code, settings_module):
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": settings_module}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, check=True, env=environment, capture_output=True, text=True)


def test_settings_may_read_the_url_while_they_load():
    code = (
        "from django_smsww.environ import sms_url; sms_url('console://');"
        "from django.conf import settings; print(settings.configured)"
    )
    done = run(code, "nowhere")
    assert (done.stdout.strip(), done.stderr) == ("False", "")


@pytest.mark.parametrize("name", ["environ.sms_url", "Secret", "SMSError"])
def test_settings_may_import_it_though_they_are_not_there_yet(name):
    module, _, name = f"django_smsww.{name}".rpartition(".")
    run(f"from {module} import {name}", "")


def test_numbers_keep_their_plus_signs():
    url = "locmem://?allowed_recipients=+393331234567,%2B34600000000&redirect_to=+393335550001"
    assert sms_url(url + "&sender=My+Shop")["OPTIONS"] == {
        "allowed_recipients": ["+393331234567", "+34600000000"],
        "redirect_to": "+393335550001",
        "sender": "My Shop",
    }
