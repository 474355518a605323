"""Send what is queued."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import InterfaceError, OperationalError, close_old_connections, router

from django_smsww.backends.handler import sms_backends
from django_smsww.exceptions import SMSBackendDoesNotExist
from django_smsww.management.arguments import seconds
from django_smsww.management.console import progress
from django_smsww.models import Message
from django_smsww.signals import message_failed
from django_smsww.states import State
from django_smsww.worker.queue import LEASE_ROWS, count_due, deliver_due

MANY = 5000
"""How many messages are sent before the next look around."""


class Command(BaseCommand):
    help = (
        "Send the messages that are queued and due, and settle those that a dead process left. "
        "Run it from cron with --once, or without as a service; SIGTERM and Ctrl-C stop it when "
        "the requests under way have been answered, and give the rest back."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--using", action="append", metavar="ALIAS", help="only this alias; may be repeated"
        )
        parser.add_argument("--once", action="store_true", help="end when nothing is due")
        parser.add_argument(
            "--interval",
            type=seconds,
            default=2.0,
            metavar="SECONDS",
            help="how long to wait when nothing is due (default: 2)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        aliases = options["using"] or list(sms_backends)
        if not aliases:
            raise CommandError("The SMSWW setting names no alias: give one with --using.")
        with stop_signals() as stopped, counted_failures() as failures:
            total = self.work(aliases, stopped, None if options["once"] else options["interval"])
        self.stdout.write(f"{total} messages taken from the queue.")
        for (state, code), count in sorted(failures.items()):
            how = "Unknown" if state == State.UNKNOWN else "Failed"
            self.stdout.write(f"{how}: {count} ({code}).")

    def work(self, aliases: list[str], stopped: Event, interval: float | None) -> int:
        """Send until stopped or, without an interval, until nothing is due."""
        total = 0
        while not stopped.is_set():
            taken = self.sweep_all(aliases, stopped.is_set, is_service=interval is not None)
            total += taken
            if taken:
                continue
            if interval is None:
                break
            stopped.wait(interval)
        return total

    def sweep_all(self, aliases: list[str], stop: Callable[[], bool], *, is_service: bool) -> int:
        """Send a block of each alias; a service outlives a database that is away for a while.

        What was on its way then is settled when its lease is over, as if this process had died.
        """
        try:
            # One of several does not keep the others waiting until it has sent all of its own.
            limit = LEASE_ROWS if len(aliases) > 1 else MANY
            return sum(self.sweep(alias, stop, limit) for alias in aliases)
        except (OperationalError, InterfaceError) as error:
            # The error's own text may name a host and a user.
            text = f"The database is away ({type(error).__name__}); nothing more is sent until it"
            if not is_service:
                raise CommandError(f"{text} is back and this command is run again.") from error
            self.stderr.write(f"{text} is back.")
            close_old_connections()
            return 0

    def sweep(self, alias: str, stop: Callable[[], bool], limit: int) -> int:
        try:
            backend = sms_backends[alias]
        except SMSBackendDoesNotExist as error:
            raise CommandError(str(error)) from error
        using = router.db_for_write(Message)
        with progress(lambda: count_due(backend, using, limit)) as advance:
            return deliver_due(backend, using=using, limit=limit, stop=stop, progress=advance)


@contextmanager
def counted_failures() -> Iterator[Counter[tuple[str, str]]]:
    """Count what ends FAILED or UNKNOWN meanwhile: refused, too late, or left by the dead."""
    counts: Counter[tuple[str, str]] = Counter()

    def note(sender: type[Message], message: Message, state: State, **extra: Any) -> None:
        counts[state, message.error_code or message.error] += 1

    message_failed.connect(note)
    try:
        yield counts
    finally:
        message_failed.disconnect(note)


@contextmanager
def stop_signals() -> Iterator[Event]:
    """Return an event that SIGTERM and Ctrl-C set, instead of ending the process at once."""
    stopped = Event()
    before = {
        number: signal.signal(number, lambda *_: stopped.set())
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
