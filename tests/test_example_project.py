"""The example project, run as a user runs it, in a process of its own."""

import os
import re
import shlex
import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from socket import create_server
from types import SimpleNamespace
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from django.utils import timezone

from django_smsww import State

from .support.sampling import slow_unless

MANAGE = Path(__file__).parent.parent / "example_project" / "manage.py"
PRODUCTION = {
    "DJANGO_ENV": "production",
    "SECRET_KEY": "0123456789-abcdefghijklmnopqrstuvwxyz-0123456789-ABCDEF",
    "ALLOWED_HOSTS": "sms.example.com",
    "SITE_URL": "https://sms.example.com",
    "SMS_URL": "openapi://a-token@production",
}


@pytest.fixture
def environment(tmp_path):
    """The variables that a command sees: a database of its own, and nothing else that is set."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    own = {"ENV_FILE": os.devnull, "DATABASE_URL": f"sqlite:///{tmp_path / 'db.sqlite3'}"}
    return kept | own


@pytest.fixture
def manage(environment):
    """Return a function that runs a command."""

    def run(*arguments, **variables):
        return subprocess.run(
            [sys.executable, "-W", "error", MANAGE, *arguments],
            env=environment | variables,
            capture_output=True,
            text=True,
            timeout=100,
        )

    return run


OPTIONS = "settings.SMSWW['default']['OPTIONS']"


@pytest.mark.parametrize(
    ("variables", "expression", "shown"),
    [
        ({}, f"{OPTIONS}['host'], settings.DEBUG", "http://127.0.0.1:8026 True"),
        (
            {
                "SMS_URL": "openapi://a-token@production?sender=Acme",
                "SITE_URL": "https://sms.example.com/",
            },
            f"*{OPTIONS}.values()",
            "a-token production Acme https://sms.example.com/sms/callback/",
        ),
        (
            {"ALLOWED_HOSTS": "sms.example.com,www.example.com", "SMS_URL": ""},
            f"*settings.ALLOWED_HOSTS, {OPTIONS}['token']",
            "sms.example.com www.example.com simulator",
        ),
        (
            {"DATABASE_URL": "postgres://user@127.0.0.1/sms"},
            "settings.DATABASES['default']['ENGINE']",
            "django.db.backends.postgresql",
        ),
    ],
    ids=["development", "the gateway with a token", "a list and an empty URL", "another database"],
)
def test_variables_decide_the_settings(environment, variables, expression, shown):
    code = f"from example import settings; print({expression})"
    told = subprocess.check_output(
        [sys.executable, "-W", "error", "-c", code],
        cwd=MANAGE.parent,
        env=environment | variables,
        text=True,
    )
    assert told.strip() == shown


@pytest.mark.slow
def test_production_passes_the_deployment_checks(manage):
    done = manage("check", "--deploy", "--fail-level", "WARNING", **PRODUCTION)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("missing", sorted(PRODUCTION.keys() - {"DJANGO_ENV"}))
@pytest.mark.parametrize("how", slow_unless("absent".__eq__, ["absent", "empty"]))
def test_production_does_not_start_without(manage, missing, how):
    left = {name: value for name, value in PRODUCTION.items() if name != missing}
    done = manage("check", **left, **({missing: ""} if how == "empty" else {}))
    assert done.returncode != 0
    assert f"ImproperlyConfigured: Set the {missing} environment variable" in done.stderr


def test_an_unknown_environment_is_not_taken_for_development(manage):
    done = manage("check", DJANGO_ENV="prod")
    assert "DJANGO_ENV must be 'development' or 'production'" in done.stderr


def test_the_demo_refuses_to_run_in_production(manage):
    done = manage("demo", "--once", **PRODUCTION)
    assert done.returncode == 1
    assert "not in production" in done.stderr


@pytest.mark.slow
def test_the_demo_says_which_port_is_taken(manage, busy_port):
    for option in ("--port", "--simulator-port"):
        done = manage("demo", "--once", option, str(busy_port))
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert re.search("CommandError: .*(port|Port).*another", done.stderr)


@pytest.fixture
def busy_port():
    with create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.slow
def test_the_demo_ends_with_every_message_as_expected(manage):
    done = manage("demo", "--once")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Every message is in the state that its test number stands for." in done.stdout
    assert len(re.findall(r"\bDELIVERED\b.* EUR +\d+\.\d s", done.stdout)) == 12


@pytest.fixture
def history(monkeypatch):
    """Return what judges the demo."""
    monkeypatch.syspath_prepend(MANAGE.parent)
    modules = import_module("demo.history"), import_module("demo.scenario")
    return SimpleNamespace(**(vars(modules[0]) | vars(modules[1])))


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        ({"state": State.SENDING}, "is SENDING, must be DELIVERED"),
        ({"delivered_at": None}, "has no time of delivery"),
        ({"total_price": None}, "has no price"),
        ({"total_price": 0}, "has no price"),
        ({"sensitive": True}, "still has its text"),
        ({}, "was accepted 2 times"),
    ],
)
def test_the_demo_finds_what_is_not_as_expected(history, make_message, columns, found):
    delivered = {"state": State.DELIVERED, "total_price": 1, "delivered_at": timezone.now()}
    message = make_message(**(delivered | columns))
    case = history.Case("Plain", message.recipient, State.DELIVERED)
    entry = {"reference": str(message.reference), "recipient": message.recipient}
    twice = [entry] * (1 if columns else 2)
    [difference] = history.differences([history.Sent(case, message)], twice)
    assert found in difference


@pytest.fixture
def demo(environment):
    """A demo that has sent everything and serves the admin."""
    # A port of its own: by default another test's demo may take the port when this one has ended.
    command = [sys.executable, "-u", MANAGE, "demo", "--port", "0"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


QUEUE_ONE = """
import time
from django_smsww import send_sms
message = send_sms("Hello", "+393331234500", queue=True)
for _ in range(200):
    message.refresh_from_db()
    if message.state != "QUEUED":
        break
    time.sleep(0.1)
print(message.state)
"""


def run_in_shell(command, environment):
    return subprocess.run(command, env=environment, shell=True, capture_output=True, text=True)


@pytest.mark.slow
def test_the_demo_sends_queued_messages_until_ctrl_c_ends_it(demo, environment):
    lines = []
    for line in demo.stdout:  # it ends when the demo dies
        lines.append(line)
        if line.startswith("Ctrl-C ends"):
            break
    shown = "".join(lines)
    assert lines[-1] == "Ctrl-C ends all of them, and the worker that sends queued messages.\n"
    simulator, site = sorted(set(re.findall(r"http://[\d.]+:\d+", shown)), key=shown.index)
    pages = f"{site}/admin/", f"{site}/static/admin/css/base.css", f"{simulator}/_simulator/idle"
    for url in pages:
        assert urlopen(url, timeout=10).status == 200
    [command] = [line.strip() for line in lines if line.endswith(" smsww_status\n")]
    status = run_in_shell(command, environment)
    assert (status.returncode, status.stderr) == (0, "")
    assert "environment: demo" in status.stdout
    queue_one = shlex.join(["shell", "-v", "0", "-c", QUEUE_ONE])
    queued = run_in_shell(command.replace("smsww_status", queue_one), environment)
    assert queued.stdout.split()[-1] not in ("QUEUED", "FAILED", "UNKNOWN")
    demo.send_signal(signal.SIGINT)
    assert demo.wait(60) == 0
    for url in (site, simulator):
        with pytest.raises(URLError):
            urlopen(url, timeout=10)
