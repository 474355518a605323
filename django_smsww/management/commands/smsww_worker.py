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

WORDS = {
    State.NEW: "Sent",
    State.VALIDATED: "Dry runs",
    State.FAILED: "Failed",
    State.UNKNOWN: "Unknown",
    State.CANCELLED: "Cancelled",
    State.QUEUED: "Put back into the queue",
}

MANY = 5000
"""How many messages one call of `sweep()` sends at most, if the command serves only one alias."""


class Command(BaseCommand):
    help = (
        "Send the due messages of the queue, and decide what became of the messages of dead "
        "processes. Run this command as a service, or from cron with --once. After SIGTERM or "
        "Ctrl-C it waits for the requests under way, and puts the other messages back into the "
        "queue."
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.counts: Counter[tuple[str, str]] = Counter()
        self.paused: set[str] = set()
        self.is_silent = False

    def add_arguments(self, parser: CommandParser) -> None:
        add_using(parser)
        parser.add_argument("--once", action="store_true", help="end when nothing is due")
        text = "how long to wait when nothing is due (default: 2)"
        parser.add_argument("--interval", type=seconds, default=2.0, metavar="SECONDS", help=text)

    def handle(self, *args: Any, **options: Any) -> None:
        aliases, self.is_silent = aliases_of(options), not options["verbosity"]
        with stop_signals() as stopped, counted_failures(self.counts):
            self.work(aliases, stopped, None if options["once"] else options["interval"])

    def work(self, aliases: list[str], stopped: Event, interval: float | None) -> None:
        """Send due messages until a signal comes. Without `interval`, end when nothing is due."""
        while not stopped.is_set():
            taken = self.sweep_all(aliases, stopped.is_set, is_service=interval is not None)
            if taken:
                continue
            self.report()
            if interval is None:
                break
            stopped.wait(interval)
        self.report()

    def report(self) -> None:
        """Write how many messages were handled since the last report, by state and error code."""
        for state, word in WORDS.items():
            codes = {code: n for (found, code), n in self.counts.items() if found == state and n}
            for code, count in sorted(codes.items()):
                self.write(f"{word}: {count} ({code})." if code else f"{word}: {count}.")
        self.counts.clear()

    def name_paused(self, paused: set[str]) -> None:
        """Write a line for each alias whose pause has begun or ended since the last call."""
        for alias in sorted(paused ^ self.paused):
            says = "paused: smsww_status says why" if alias in paused else "no longer paused"
            self.write(f"{alias} is {says}.")
        self.paused = paused

    def write(self, line: str) -> None:
        if not self.is_silent:
            self.stdout.write(line)

    def sweep_all(self, aliases: list[str], stop: Callable[[], bool], *, is_service: bool) -> int:
        """Send some due messages of each alias, and return how many were taken from the queue.

        If the connection to the database is lost, a run with --once ends with a CommandError.
        Without --once, return 0, so that the command goes on. Messages that were being sent become
        UNKNOWN later.
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
                backend,
                using=using,
                limit=limit,
                stop=stop,
                progress=advance,
                on_pause=on_pause,
                counts=self.counts,
            )


@contextmanager
def counted_failures(counts: Counter[tuple[str, str]]) -> Iterator[None]:
    """Count the messages that become FAILED or UNKNOWN in this process, by state and error code."""

    def note(sender: type[Message], message: Message, state: State, **extra: Any) -> None:
        counts[state, message.error_code or message.error] += 1

    message_failed.connect(note)
    try:
        yield
    finally:
        message_failed.disconnect(note)
