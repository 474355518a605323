"""What the processes of the race do, beside what those of the fault suite can."""

import os
from contextlib import suppress
from datetime import timedelta
from typing import Any

from celery.bin.celery import celery as celery_command
from django.core.management import load_command_class
from django.utils.module_loading import import_string
from kombu.exceptions import OperationalError

from tests.faults import worker as faults

from .celery_app import app

ENGINES = {
    "tasks": "django_smsww.contrib.tasks.tasks.enqueue",
    "celery": "django_smsww.contrib.celery.tasks.enqueue",
    "deliver": True,
    "all": "tests.race.worker.tell_all",
}
# Loaded before the workers are forked, so that none of them has to.
db_worker_command = load_command_class("django_tasks_db", "db_worker")
assert celery_command.get_command(None, "worker")
app.loader.import_default_modules()


def send_many(engine: str, first: str, count: str, minutes: str = "600") -> None:
    """Leave so many messages, numbered from `first`, to an engine; they live for some minutes."""
    from django.utils import timezone

    from django_smsww import SMS, send_messages

    expires_at = timezone.now() + timedelta(minutes=float(minutes))
    numbers = range(int(first), int(first) + int(count))
    messages = [
        SMS(f"Text {number}", f"+39333{number:06}001", expires_at=expires_at) for number in numbers
    ]
    send_messages(messages, queue=ENGINES[engine])


def tell_all(alias: str, primary_keys: list[int]) -> None:
    """Let every engine have the same messages, some twice, and the sweep as well."""
    from django.utils import timezone

    from django_smsww.models import Message

    Message.objects.filter(pk__in=primary_keys).update(next_attempt_at=timezone.now())
    for engine in ("tasks", "celery", "tasks", "celery"):
        with suppress(OperationalError):  # the broker is being restarted
            import_string(ENGINES[engine])(alias, primary_keys)


def db_worker() -> None:
    from django.core.management import call_command

    options = {"startup_delay": False, "interval": 0.2, "reload": False, "verbosity": 0}
    call_command(db_worker_command, **options)


def celery() -> None:
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "ERROR"]
    app.worker_main(["worker", "--pool", "solo", *quiet])


def service() -> None:
    faults.deliver("--interval", "0.2")


def pass_time(seconds: str) -> None:
    """Let so many seconds have passed since everything that was written down."""
    from django.db.models import F

    from django_smsww.models import Message, Suspension

    past = timedelta(seconds=float(seconds))
    Suspension.objects.exclude(until=None).update(until=F("until") - past)
    names = ("created_at", "next_attempt_at", "expires_at", "claimed_at", "lease_until")
    Message.objects.update(**{name: F(name) - past for name in names})


def prepare() -> None:
    from django_smsww.sending import new_rows as storing

    faults.prepare()
    storing.HOOK_GRACE = timedelta(seconds=float(os.environ.get("GRACE", "60")))
    say_what_is_taken()


def say_what_is_taken() -> None:
    """Write down how many rows this process leases, so that a test can tell who took part."""
    from django_smsww.models import MessageQuerySet

    def take(rows: Any, primary_keys: Any, lease: Any) -> list[int]:
        taken = original(rows, primary_keys, lease)
        print("took", len(taken), flush=True)
        return taken

    original = MessageQuerySet.lease
    MessageQuerySet.lease = take


def act(actions: list[list[str]]) -> None:
    for name, *words in actions:
        ACTIONS[name](*words)


ACTIONS = {
    **faults.ACTIONS,
    **{each.__name__: each for each in (send_many, db_worker, celery, service, pass_time)},
}
