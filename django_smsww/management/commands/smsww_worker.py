"""Send queued messages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from threading import Event
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import InterfaceError, OperationalError, close_old_connections, router

from django_smsww.management.console import (
    add_using,
    aliases_of,
    find_backend,
    progress,
    seconds,
    stop_signals,
)
from django_smsww.models import Message
from django_smsww.signals import message_failed
from django_smsww.states import State
from django_smsww.worker.queue import LEASE_ROWS, count_due, deliver_due

MANY = 5000
"""How many messages a single alias sends before the command looks at signals again."""


class Command(BaseCommand):
    help = (
        "Send the due messages of the queue, and end those that a dead process left. Run it as a "
        "service, or from cron with --once. On SIGTERM or Ctrl-C it waits for the requests under "
        "way, and puts the other messages back into the queue."
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.failures: Counter[tuple[str, str]] = Counter()
        self.paused: set[str] = set()
        self.is_silent = False

    def add_arguments(self, parser: CommandParser) -> None:
        add_using(parser)
        parser.add_argument("--once", action="store_true", help="end when nothing is due")
        parser.add_argument(
            "--interval",
            type=seconds,
            default=2.0,
            metavar="SECONDS",
            help="how long to wait when nothing is due (default: 2)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        aliases, self.is_silent = aliases_of(options), not options["verbosity"]
        with stop_signals() as stopped, counted_failures(self.failures):
            self.work(aliases, stopped, None if options["once"] else options["interval"])

    def work(self, aliases: list[str], stopped: Event, interval: float | None) -> None:
        """Send until stopped or, without an interval, until nothing is due."""
        total = 0
        while not stopped.is_set():
            taken = self.sweep_all(aliases, stopped.is_set, is_service=interval is not None)
            total += taken
            if taken:
                continue
            self.report(total)
            total = 0
            if interval is None:
                break
            stopped.wait(interval)
        self.report(total)

    def report(self, total: int) -> None:
        """Say what was done since the last report; if that was nothing, write nothing."""
        failures = sorted(self.failures.items())
        self.failures.clear()
        if total or failures:
            self.write(f"{total} messages taken from the queue.")
        for (state, code), count in failures:
            how = "Unknown" if state == State.UNKNOWN else "Failed"
            self.write(f"{how}: {count} ({code}).")

    def name_paused(self, paused: set[str]) -> None:
        """Name an alias when its pause begins, and when that is over."""
        for alias in sorted(paused ^ self.paused):
            says = "paused: smsww_status says why" if alias in paused else "no longer paused"
            self.write(f"{alias} is {says}.")
        self.paused = paused

    def write(self, line: str) -> None:
        if not self.is_silent:
            self.stdout.write(line)

    def sweep_all(self, aliases: list[str], stop: Callable[[], bool], *, is_service: bool) -> int:
        """Send a block of each alias. A service goes on when a lost database is back.

        Messages that were under way then become UNKNOWN when their lease ends, as if this process
        had died.
        """
        try:
            # A long queue of one alias must not delay the messages of the others.
            limit = LEASE_ROWS if len(aliases) > 1 else MANY
            paused: set[str] = set()
            taken = sum(self.sweep(alias, stop, limit, paused) for alias in aliases)
            if is_service and not taken:
                self.name_paused(paused)
            return taken
        except (OperationalError, InterfaceError) as error:
            # The error's own text may name a host and a user.
            text = f"The database is away ({type(error).__name__}); nothing more is sent until it"
            if not is_service:
                raise CommandError(f"{text} is back and this command is run again.") from error
            self.stderr.write(f"{text} is back.")
            close_old_connections()
            return 0

    def sweep(self, alias: str, stop: Callable[[], bool], limit: int, paused: set[str]) -> int:
        backend, on_pause = find_backend(alias), partial(paused.add, alias)
        using = router.db_for_write(Message)
        with progress(total=lambda: count_due(backend, using, limit)) as advance:
            return deliver_due(
                backend, using=using, limit=limit, stop=stop, progress=advance, on_pause=on_pause
            )


@contextmanager
def counted_failures(counts: Counter[tuple[str, str]]) -> Iterator[None]:
    """Count the messages that end FAILED or UNKNOWN in this process, by state and code."""

    def note(sender: type[Message], message: Message, state: State, **extra: Any) -> None:
        counts[state, message.error_code or message.error] += 1

    message_failed.connect(note)
    try:
        yield
    finally:
        message_failed.disconnect(note)
