"""The kit, seen from a project of its own: nothing leaves it, and nothing leaks between tests."""

import pytest

from django_smsww import SMS, sms_backends, testing

from ..support import sample_project

# Each test finds the outbox empty and leaves a message and a refusal behind, in whatever order.
TESTS = """
import pytest
from django.core.management import call_command
from django.test import TestCase, override_settings
from django_smsww import send_sms, sms_backends
from django_smsww.models import Heartbeat, Message
from django_smsww.testing import SMSTestMixin, outbox, sms_callback

@pytest.mark.parametrize("turn", range(6))
def test_it_is_alone(db, smsoutbox, turn):
    assert smsoutbox == []
    using = ["default", "alerts"][turn % 2]
    message = send_sms("Hello", "+393331234567", using=using)
    assert [sms.sent_using for sms in smsoutbox] == [using]
    sms_callback(message, "DELIVERED")
    assert not Heartbeat.objects.filter(name__startswith="refused").exists()
    sms_callback(message, forged=True)

@pytest.mark.parametrize("turn", range(3))
def test_an_override_ends_with_its_test(settings, turn):
    assert "locmem" in type(sms_backends.default).__module__
    settings.SMSWW = {"default": {"BACKEND": "django_smsww.backends.dummy.SMSBackend"}}
    assert "dummy" in type(sms_backends.default).__module__

class CaseTests(SMSTestMixin, TestCase):
    def test_it_is_alone(self):
        self.assertSMSSent(count=0)
        send_sms("Hello", "+393331234567")

    test_and_so_is_this = test_it_is_alone
"""

# For `manage.py test`: the same without pytest.
CASES = """
from django.test import LiveServerTestCase, TestCase, TransactionTestCase, override_settings
from django_smsww import SMS, SMSUnavailable, send_sms, sms_backends
from django_smsww.testing import SMSTestMixin, outbox, real_sms
from urllib.request import urlopen

HELLO = SMS("Hello", "+393331234567")

class Alone:
    def test_a(self):
        self.assertSMSSent(count=0)
        message = send_sms("Hello", "+393331234567")
        self.sms_callback(message, "DELIVERED")
        message.refresh_from_db()
        self.assertEqual(message.state, "DELIVERED")
        self.assertSMSSent(sender="Acme", count=1)
    test_b = test_c = test_a

class CaseTests(Alone, SMSTestMixin, TestCase):
    pass

class TransactionTests(Alone, SMSTestMixin, TransactionTestCase):
    pass

class WithoutTheMixin:
    def setUp(self):
        outbox.clear()

    def test_nothing_leaves(self):
        for using in ("default", "alerts"):
            with TestCase.captureOnCommitCallbacks(execute=True):
                send_sms("Hello", "+393331234567", using=using)
        self.assertEqual([sms.sent_using for sms in outbox], ["default", "alerts"])

    @override_settings(SMSWW={"default": {"OPTIONS": {"token": "t", "host": "http://[::1]:9"}}})
    def test_nor_after_an_override(self):
        send_sms("Hello", "+393331234567")
        self.assertEqual([sms.sent_using for sms in outbox], ["default"])

    @real_sms()
    def test_real_sending_is_asked_for(self):
        with self.assertRaises(SMSUnavailable):
            sms_backends.default.send(HELLO)
        self.assertEqual(outbox, [])

class PlainTests(WithoutTheMixin, TestCase):
    pass

class PlainTransactionTests(WithoutTheMixin, TransactionTestCase):
    pass

@real_sms()
class RealTests(TestCase):
    def test_the_whole_class_sends(self):
        with self.assertRaises(SMSUnavailable):
            sms_backends.default.send(HELLO)

@override_settings(SECURE_SSL_REDIRECT=False, STATIC_URL="/static/")
class LiveServerTests(LiveServerTestCase):
    def test_nothing_leaves_from_a_view(self):
        outbox.clear()
        with urlopen(self.live_server_url + "/send/") as answer:
            self.assertEqual(answer.read(), b"NEW")
        self.assertEqual(len(outbox), 1)
"""
SENDING_URLS = (
    sample_project.URLS
    + """
from django.http import HttpResponse
from django_smsww import send_sms

def send(request):
    return HttpResponse(send_sms("Hello", "+393331234567").state)

urlpatterns.append(path("send/", send))
"""
)
SPAWNED = """
import multiprocessing
from django.core.management import execute_from_command_line

if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    execute_from_command_line(["manage.py", "test", "--parallel", "2"])
"""

SHUFFLED = """
import os, random

def pytest_collection_modifyitems(items):
    random.Random(int(os.environ["SEED"])).shuffle(items)
"""

LEAK = """
import pytest
from django_smsww import SMS
from django_smsww.backends.locmem import SMSBackend, outbox

@pytest.mark.parametrize("turn", [1, 2])
def test_outbox_is_empty_at_first(turn):
    assert outbox == []
    SMSBackend(alias="default").send_messages([SMS("Hello", "+393331234567")])
    assert len(outbox) == 1
"""

LOOK_UP = """
from django_smsww import sms_backends

def test_no_alias_sends():
    assert {type(sms_backends[alias]).__module__ for alias in sms_backends} == {
        "django_smsww.backends.locmem"
    }
"""

BARE = """
import sys

def test_nothing_of_django_was_loaded():
    assert [name for name in sys.modules if name.partition(".")[0] == "django"] == []
    assert "rest_framework" not in sys.modules
    assert "django_smsww.models" not in sys.modules
"""


ELSEWHERE = """
import sys
from django.conf import settings

def test_nothing_of_ours_was_loaded():
    assert not hasattr(settings, "SMSWW")
    assert "django_smsww.backends.handler" not in sys.modules
"""


def test_every_alias_is_at_locmem_and_no_test_sees_another(tmp_path):
    sample_project.make(tmp_path, TESTS)
    assert "11 passed" in sample_project.pytest(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("-n", "2", "-p", "xdist.plugin")], ids=["one", "xdist"])
def test_so_it_is_in_random_order_and_under_xdist(tmp_path, options):
    sample_project.make(tmp_path, TESTS, conftest=SHUFFLED)
    assert "11 passed" in sample_project.pytest(tmp_path, *options, SEED="7")


@pytest.mark.slow
def test_a_resolver_in_the_settings_is_switched_too(tmp_path):
    more = "\nENTRIES = SMSWW\nSMSWW = ENTRIES.get\n"
    sample_project.make(tmp_path, TESTS, settings=sample_project.SETTINGS + more)
    assert "11 passed" in sample_project.pytest(tmp_path, "-k", "alone or ends or this")


RUNNERS = [
    pytest.param(("django", "test"), id="alone"),
    pytest.param(("django", "test", "--parallel", "2"), id="forked"),
    pytest.param(("spawned",), id="spawned"),
]


@pytest.mark.slow
@pytest.mark.parametrize("words", RUNNERS)
def test_nothing_leaves_under_the_runner_of_django(tmp_path, words):
    sample_project.make(tmp_path, CASES, urls=SENDING_URLS, spawned=SPAWNED)
    done = sample_project.run(tmp_path, *words)
    assert (done.returncode, "Ran 14 tests" in done.stderr) == (0, True), done.stderr


@pytest.mark.slow
def test_a_test_run_needs_no_token(tmp_path):
    more = '\nSMSWW["default"]["OPTIONS"]["token"] = ""\n'
    sample_project.make(tmp_path, CASES, settings=sample_project.SETTINGS + more)
    done = sample_project.run(tmp_path, "django", "test", "-k", "CaseTests")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_nothing_leaves_under_pytest_without_a_plugin_for_django(tmp_path):
    setup = "import django\ndjango.setup()\n"
    sample_project.make(tmp_path, LOOK_UP, conftest=setup)
    assert "1 passed" in sample_project.pytest(tmp_path, plugins=())


MARK = """
import django
django.setup()
from django.core import mail
from django.test.utils import setup_test_environment, teardown_test_environment
from django_smsww import sms_backends

def home():
    return type(sms_backends.default).__module__

mail.outbox = []
assert home().endswith("openapi")
setup_test_environment()
assert home().endswith("locmem")
teardown_test_environment()
assert home().endswith("openapi")
"""


def test_mark_of_django_decides_and_nothing_else(tmp_path):
    sample_project.make(tmp_path, "", mark=MARK)
    done = sample_project.run(tmp_path, "mark")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_each_test_starts_with_an_empty_outbox_without_settings_too(tmp_path):
    sample_project.make(tmp_path, LEAK)
    assert "2 passed" in sample_project.pytest(tmp_path, plugins=(), DJANGO_SETTINGS_MODULE="")


def test_project_without_django_pays_nothing(tmp_path):
    sample_project.make(tmp_path, BARE)
    assert "1 passed" in sample_project.pytest(tmp_path, plugins=(), DJANGO_SETTINGS_MODULE="")


def test_project_of_django_that_sends_nothing_pays_nothing(tmp_path):
    sample_project.make(tmp_path, ELSEWHERE, settings='SECRET_KEY = "x"')
    assert "1 passed" in sample_project.pytest(tmp_path)


def test_fixture_is_the_outbox(smsoutbox):
    assert smsoutbox == []
    sms_backends["default"].send_messages([SMS("Hello", "+393331234567")])
    assert [sms.body for sms in smsoutbox] == ["Hello"]
    assert testing.outbox is smsoutbox
