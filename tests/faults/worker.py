"""A process that sends, and is struck at a named step: `python -m tests.faults.worker ACTION …`.

Run from the test suite only, with DATABASE_URL and GATEWAY, and with what is to go wrong:
STEP, and SIGNAL if it is not SIGKILL; CLOCK, by how many seconds it is fast. LEASE is how many
seconds a lease lasts, and LIMIT for how many rows; TIMEOUT, CONCURRENCY and
DEPLOYMENT (its environment) are the alias's.
"""

import json
import os
import select
import signal
import sys
import time
from datetime import timedelta

import django
from django.db import connections

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.faults.settings")


def strike() -> None:
    """Kill or stop this process; a stopped one goes on here."""
    # Only once: who goes on comes by the same step with the next message.
    if number := os.environ.pop("SIGNAL", ""):
        os.kill(os.getpid(), int(number))


def before(owner, name):
    """Strike when this function is called."""
    original = getattr(owner, name)

    def struck(*args, **kwargs):
        strike()
        return original(*args, **kwargs)

    setattr(owner, name, struck)


def after(owner, name):
    """Strike when this function returns."""
    original = getattr(owner, name)

    def struck(*args, **kwargs):
        answer = original(*args, **kwargs)
        strike()
        return answer

    setattr(owner, name, struck)


def after_each(*places):
    """Strike when any of these functions returns."""
    for owner, name in places:
        after(owner, name)


def after_lease(queryset):
    """Strike when a lease is committed, whether a worker looked for rows or was told them."""
    for name in ("lease", "lease_due"):
        original = getattr(queryset, name)

        def struck(rows, *args, original=original):
            answer = original(rows, *args)
            if not connections[rows.db].in_atomic_block:
                strike()
            return answer

        setattr(queryset, name, struck)


def when_answer_is_on_the_wire(connection_class):
    """Strike when the first bytes of the answer have come, and none of them was read."""
    original = connection_class.getresponse

    def struck(connection):
        select.select([connection.sock], [], [], 10)
        strike()
        return original(connection)

    connection_class.getresponse = struck


def arrange(step: str) -> None:
    """Arrange for this process to be struck at this step."""
    os.environ.setdefault("SIGNAL", str(int(signal.SIGKILL)))
    from django_smsww.backends.openapi import SMSBackend
    from django_smsww.gateway import http
    from django_smsww.models import MessageQuerySet, single
    from django_smsww.sending.rows import RowWriter
    from django_smsww.worker import results
    from django_smsww.worker.worker import Worker

    steps = {
        "row written": lambda: after_each((RowWriter, "write"), (RowWriter, "insert")),
        "leasing": lambda: after(MessageQuerySet, "lease"),
        "leased": lambda: after_lease(MessageQuerySet),
        "SENDING committed": lambda: after_each(
            (MessageQuerySet, "claim"), (single, "claim"), (single, "insert_sending")
        ),
        "connected": lambda: after(http._Connection, "connect"),
        "last byte written": lambda: before(http._Connection, "getresponse"),
        "answer on the wire": lambda: when_answer_is_on_the_wire(http._Connection),
        "answer read": lambda: after(SMSBackend, "send"),
        "before the flush": lambda: before(Worker, "write_results"),
        "flushing": lambda: after(results, "move_together"),
        "after the flush": lambda: after(Worker, "write_results"),
    }
    steps[step]()


def send(*numbers: str) -> None:
    from django_smsww import send_sms

    for number in numbers:
        send_sms("Hello", number, key=f"fault-{number}")


def send_unkeyed(*numbers: str) -> None:
    from django_smsww import send_sms

    for number in numbers:
        send_sms("Hello", number)


def send_in_transaction(number: str) -> None:
    from django.db import transaction

    from django_smsww import send_sms

    with transaction.atomic():
        send_sms("Hello", number)


def send_queued(number: str) -> None:
    queue("1", number[-3:])
    deliver()


def queue(first: str, *endings: str) -> None:
    """Queue a message for each ending of a number, counted from `first`, each with its text."""
    from django_smsww import send_sms

    for number, ending in enumerate(endings, int(first)):
        send_sms(f"Text {number}", f"+39333{number:04}{ending:0>3}", key=str(number), queue=True)


def deliver(*words: str) -> None:
    from django.core.management import call_command

    call_command("smsww_worker", *(words or ["--once"]))


def sync(*words: str) -> None:
    from django.core.management import call_command

    call_command("smsww_sync", "--grace", "0", *words)


def hurry() -> None:
    """Let what was put off and what holds back be over."""
    from django.db.models import F
    from django.utils import timezone

    from django_smsww.models import Message, Suspension

    Suspension.objects.all().delete()
    past = timezone.now() - timedelta(seconds=1)
    waiting = Message.objects.filter(state="QUEUED")
    # Except the undue ones, which only their calls may send.
    waiting.exclude(next_attempt_at=F("expires_at"), error="").update(next_attempt_at=past)


def outlive() -> None:
    """Let the leases of the dead be over."""
    from django.utils import timezone

    from django_smsww.models import Heartbeat, Message

    past = timezone.now() - timedelta(hours=1)
    Message.objects.exclude(lease_until=None).update(lease_until=past)
    Message.objects.undue().update(updated_at=past)
    Heartbeat.objects.all().delete()


def sweep() -> None:
    """Go on where the dead left off, as if their leases were over."""
    from django_smsww import sms_backends
    from django_smsww.worker.queue import deliver_due

    outlive()
    hurry()
    while deliver_due(sms_backends["default"], using="default"):
        pass


def show() -> None:
    from django_smsww.models import Message

    for message in Message.objects.order_by("pk"):
        print(message.reference, message.state, message.attempts, message.error_code or "-")


def rows() -> None:
    from django_smsww.models import Message

    names = (
        "reference",
        "state",
        "provider_id",
        "recipient",
        "segments",
        "total_price",
    )
    print(json.dumps(list(Message.objects.order_by("pk").values(*names)), default=str))


def migrate() -> None:
    from django.core.management import call_command

    call_command("migrate", verbosity=0)


def flush() -> None:
    from django.core.management import call_command

    call_command("flush", verbosity=0, interactive=False, inhibit_post_migrate=True)


def serve() -> None:
    """Take callbacks, at the address that CALLBACKS names, until killed."""
    from urllib.parse import urlsplit

    from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
    from django.core.wsgi import get_wsgi_application

    port = urlsplit(os.environ["CALLBACKS"]).port
    server = ThreadedWSGIServer(("127.0.0.1", port), WSGIRequestHandler)
    server.set_app(get_wsgi_application())
    print("ready", flush=True)
    server.serve_forever()


def advance_clock(seconds: float) -> None:
    """Let the clocks of this process be fast; to be called before any model is loaded."""
    from django.utils import timezone

    now, posix = timezone.now, time.time
    timezone.now = lambda: now() + timedelta(seconds=seconds)
    time.time = lambda: posix() + seconds


def prepare() -> None:
    """Arrange for what is to go wrong in this process."""
    from django.conf import settings

    from django_smsww.models import lease as leases
    from django_smsww.worker import queue, worker

    # A worker that is forked has the settings of its parent.
    options = settings.SMSWW["default"]["OPTIONS"]
    options["concurrency"] = int(os.environ.get("CONCURRENCY", options["concurrency"]))
    options["environment"] = os.environ.get("DEPLOYMENT", options["environment"])
    options["timeout"] = float(os.environ.get("TIMEOUT", options["timeout"]))
    if "LIMIT" in os.environ:
        queue.LEASE_ROWS = worker.LEASE_ROWS = int(os.environ["LIMIT"])
    if "LEASE" in os.environ:
        leases.SECONDS = float(os.environ["LEASE"])
    if "STEP" in os.environ:
        arrange(os.environ["STEP"])


def act(actions: list[list[str]]) -> None:
    for name, *words in actions:
        ACTIONS[name](*words)


ACTIONS = {
    action.__name__: action
    for action in (
        *(send, send_unkeyed, send_in_transaction, send_queued),
        *(queue, deliver, sync, hurry, outlive, sweep),
        *(show, rows, migrate, flush, serve),
    )
}

if __name__ == "__main__":
    if "CLOCK" in os.environ:
        advance_clock(float(os.environ["CLOCK"]))
    django.setup()
    prepare()
    act([sys.argv[1:]])
