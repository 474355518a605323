"""The backends that send nothing."""

import io
import os
from datetime import datetime
from types import SimpleNamespace

import pytest
from django.test import override_settings

from django_smsww import SMS, InvalidSMSBackend, sms_backends
from django_smsww.backends import console, dummy, filebased, locmem

from ..conftest import NUMBER
from .conftest import messages

LOCAL = [console, dummy, filebased, locmem]


def local_backend(module, path, **options):
    if module is filebased:
        options["file_path"] = path
    return module.SMSBackend(alias="default", **options)


@pytest.mark.parametrize("module", LOCAL)
@pytest.mark.parametrize("dry_run", [False, True])
def test_local_backend_accepts_with_the_counts(module, tmp_path, capsys, dry_run):
    backend = local_backend(module, tmp_path, dry_run=dry_run)
    (result,) = backend.send_messages([backend.prepare(SMS("€" * 81, NUMBER))])
    assert (result.encoding, result.characters, result.segments) == ("GSM-7", 162, 2)
    assert (result.state, result.error) == ("NEW", None)
    assert bool(result.provider_id) is not dry_run


@pytest.mark.parametrize("module", LOCAL)
def test_local_backend_takes_the_options_of_the_gateway(module, tmp_path):
    ignored = {"token": "a-token", "host": "sandbox", "route": "IT", "callback_method": "POST"}
    ignored |= {"callback_retry": 3, "timeout": 5, "account_email": "a@b.c", "api_key": "a-key"}
    url = "https://Shop.example.com:8443/sms/callback/"
    backend = local_backend(module, tmp_path, callback_url=url, **ignored)
    assert backend.environment == "shop.example.com"
    assert not backend.delivers_on_commit
    assert "a-token" not in repr(vars(backend))


def test_named_environment_comes_first():
    backend = dummy.SMSBackend(environment="staging", callback_url="https://example.com/")
    assert backend.environment == "staging"


def test_console_writes_what_a_developer_wants_to_see(capsys):
    sms = SMS("Ciao, 👋", NUMBER, "Acme")
    console.SMSBackend(alias="default").send_messages([sms])
    text = capsys.readouterr().out
    for part in (NUMBER, "Acme", "Ciao, 👋", "UCS-2", "segments: 1", str(sms.reference)):
        assert part in text


def test_console_writes_to_a_stream_that_has_no_emoji():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    (result,) = console.SMSBackend(stream=stream).send_messages(messages("Ciao 👋"))
    assert result.error is None
    assert rb"Ciao \U0001f44b" in stream.buffer.getvalue()


def test_filebased_writes_one_file_a_process(tmp_path):
    directory = tmp_path / "new" / "sms"
    for _ in range(2):
        filebased.SMSBackend(file_path=directory).send_messages(messages("one", "two"))
    (file,) = directory.iterdir()
    assert file.stat().st_mode & 0o077 == 0
    assert file.read_text("utf-8").count(f"To: {NUMBER}") == 4


def test_file_keeps_its_name_while_time_goes_on(tmp_path, monkeypatch):
    hours = iter(range(24))
    clock = SimpleNamespace(now=lambda zone: datetime(2030, 1, 1, next(hours), tzinfo=zone))
    monkeypatch.setattr(filebased, "datetime", clock)
    filebased._file_name.cache_clear()
    filebased.SMSBackend(file_path=tmp_path).send_messages(messages("one", "two", "three"))
    assert [file.name for file in tmp_path.iterdir()] == [f"sms-20300101-000000-{os.getpid()}.log"]


@pytest.mark.parametrize(
    ("module", "options", "text"),
    [
        (console, {"stream": "stdout"}, "'stream'"),
        (filebased, {"file_path": None}, "must define"),
        (filebased, {"file_path": 5}, "a path"),
        (filebased, {"file_path": __file__}, "dir"),
    ],
)
def test_what_cannot_be_written_to_is_refused(module, options, text):
    with pytest.raises(InvalidSMSBackend, match=text):
        module.SMSBackend(alias="default", **options)


@override_settings(SMSWW={"alerts": {"BACKEND": "django_smsww.backends.locmem.SMSBackend"}})
def test_outbox_holds_the_message_and_the_alias(smsoutbox):
    backend = sms_backends["alerts"]
    sms = SMS("Hello", NUMBER, custom={"order": [1]})
    (result,) = backend.send_messages([sms])
    sms.custom["order"].append(2)
    (sent,) = smsoutbox
    assert (sent.body, sent.recipient, sent.reference) == ("Hello", NUMBER, sms.reference)
    assert (sent.sent_using, sent.provider_id) == ("alerts", result.provider_id)
    assert sent.custom == {"order": [1]}
    assert NUMBER not in repr(sent)


def test_dry_run_is_not_in_the_outbox(smsoutbox):
    sms_backends["default"].send_messages([SMS("Hello", NUMBER, dry_run=True)])
    assert smsoutbox == []


def test_outbox_takes_messages_from_many_threads(smsoutbox):
    results = sms_backends["default"].send_messages(messages(*map(str, range(200))))
    assert {sent.body for sent in smsoutbox} == set(map(str, range(200)))
    assert len({result.provider_id for result in results}) == 200
