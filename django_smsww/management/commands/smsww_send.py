"""Send messages from the command line, or from a file."""

from __future__ import annotations

import math
import sys
from argparse import BooleanOptionalAction
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import router

from django_smsww.backends.base import BaseSMSBackend
from django_smsww.backends.handler import sms_backends
from django_smsww.exceptions import SMSBackendDoesNotExist
from django_smsww.management.console import watched
from django_smsww.models import Message
from django_smsww.models import lease as leases
from django_smsww.sending.api import iter_send
from django_smsww.sending.files import UnusableFileError, read_columns, read_rows
from django_smsww.sending.mailing import Checked, Mailing, finish, rows_of
from django_smsww.sms import SMS
from django_smsww.states import PROVIDER, State
from django_smsww.worker.preflight import NUMBERS_ENOUGH

MOST_PROBLEMS = 50
USAGE = 2


class Command(BaseCommand):
    help = (
        "Send one text to some numbers, or the messages of a CSV file with the columns recipient, "
        "body, sender, key and tag (all but the first may be missing). Everything is checked "
        "before anything leaves. A file that was stopped half-way can be given again: a line with "
        "the same number, sender and text is not sent twice from a file of the same name. Exit "
        "code 0: all were accepted or queued; 1: some were not, or nobody knows; 2: wrong use."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("recipients", nargs="*", metavar="RECIPIENT", help="+393331234567")
        parser.add_argument("--csv", type=Path, metavar="FILE", help="a file of messages")
        parser.add_argument("--text", help="the text, also for lines that have none")
        parser.add_argument("--file", type=Path, help="a file that holds the text, in UTF-8")
        parser.add_argument("--using", default="default", metavar="ALIAS")
        parser.add_argument("--sender", default="", help="the sender, where a line names none")
        parser.add_argument("--tag", default="", help="the tag, where a line names none")
        parser.add_argument(
            "--key",
            default="",
            metavar="PREFIX",
            help="begins the key of each message: the same again is not sent twice. With --csv "
            "it is made of the file's name; give another one to send the same file anew",
        )
        parser.add_argument("--dry-run", action="store_true", help="let the gateway check them")
        parser.add_argument("--queue", action="store_true", help="leave them to smsww_worker")
        parser.add_argument(
            "--skip-invalid", action="store_true", help="send the others where lines are invalid"
        )
        parser.add_argument(
            "--preflight",
            action=BooleanOptionalAction,
            help="one dry run of each text first (default: for one text to "
            f"{NUMBERS_ENOUGH} or more numbers)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        backend = _backend(options["using"])
        mailing = _mailing(backend, options)
        checked = self.examine(mailing, skip_invalid=options["skip_invalid"])
        run = Run(
            mailing,
            checked,
            queue=options["queue"],
            preflight=options["preflight"],
            say=self.stderr.write,
        )
        self.stderr.write(f"Batch {mailing.template.batch} of {checked.lines} messages.")
        try:
            run.send()
        except KeyboardInterrupt:
            self.stdout.write(run.summary())
            again = "Stopped. Run the same command again to go on."
            raise CommandError(again, returncode=130) from None
        self.stdout.write(run.summary())
        if run.is_incomplete or checked.problems:
            raise CommandError("Not all of them were accepted: look at their rows.", returncode=1)

    def examine(self, mailing: Mailing, *, skip_invalid: bool) -> Checked:
        with _usage_errors():
            checked = mailing.check(database())
        for number, text in sorted(checked.problems.items())[:MOST_PROBLEMS]:
            self.stderr.write(f"Line {number}: {text}")
        more = len(checked.problems) - MOST_PROBLEMS
        if more > 0:
            self.stderr.write(f"… and {more} more.")
        if checked.problems and not skip_invalid:
            raise CommandError(
                f"Nothing was sent, for {len(checked.problems)} lines are not valid. Correct "
                "them, or leave them out with --skip-invalid.",
                returncode=USAGE,
            )
        if not checked.lines:
            raise CommandError("There is nothing to send.", returncode=USAGE)
        return checked


@dataclass
class Run:
    """The sending of what was checked, and what has come of it."""

    mailing: Mailing
    checked: Checked
    queue: bool
    preflight: bool | None
    say: Callable[[str], Any]
    outcomes: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    left: list[int] = field(default_factory=list)

    def send(self) -> None:
        # First, so that what leaves from now on can prove which of them never arrived.
        backend = self.mailing.backend
        Message.objects.using(database()).of(backend.alias, backend.environment).abandon()
        with _usage_errors():
            for row in watched(self._sent(), self.checked.lines):
                if row.lease_token is not None and not self._is_queued:
                    self.left.append(row.pk)  # another process has it, which may be dead
                else:
                    self._count(row)
        self._finish()

    @property
    def _is_queued(self) -> bool:
        return self.queue or bool(self.mailing.backend.queue)

    def _sent(self) -> Iterator[Message]:
        return iter_send(
            self.mailing.messages(but=self.checked.problems),
            using=self.mailing.backend.alias,
            queue=True if self.queue else None,
            preflight=self._wants_preflight(),
        )

    def _wants_preflight(self) -> bool:
        if self.preflight is not None:
            return self.preflight
        return self.checked.texts == 1 and self.checked.lines >= NUMBERS_ENOUGH

    def _finish(self) -> None:
        """Wait for the lease of another process that was sending the same."""
        left, self.left = self.left, []
        if not left:
            return
        waits = finish(self.mailing.backend, left, using=database())
        for n, count in enumerate(waits):
            if n == 0:
                self.say(_waiting(count))
            elif sys.stderr.isatty():
                sys.stderr.write(f"\r{count} left … ")
        for row in Message.objects.using(database()).filter(pk__in=left):
            self._count(row)

    def _count(self, row: Message) -> None:
        self.outcomes["ACCEPTED" if row.state in PROVIDER else row.state] += 1
        if row.state in (State.FAILED, State.UNKNOWN):
            self.errors[row.error_code] += 1

    @property
    def is_incomplete(self) -> bool:
        """Whether some were not accepted, or nobody knows."""
        return any(self.outcomes[word] for word in (State.FAILED, State.UNKNOWN, State.CANCELLED))

    def summary(self) -> str:
        words = ("ACCEPTED", *State)
        counts = [f"{self.outcomes[word]} {_said(word)}" for word in words if self.outcomes[word]]
        lines = [", ".join(counts) + "." if counts else "None was sent."]
        if self.errors:
            codes = (f"{code} ({count})" for code, count in self.errors.most_common())
            lines.append(f"Errors: {', '.join(codes)}.")
        if self.outcomes[State.UNKNOWN]:
            lines.append("Run smsww_sync for those whose outcome is unknown.")
        if self.checked.known:
            lines.append(f"{self.checked.known} had been given before, with the same keys.")
        if self.checked.repeated:
            lines.append(f"{self.checked.repeated} lines repeat another, and count with it.")
        if self.checked.problems:
            lines.append(f"{len(self.checked.problems)} lines are not valid and were left out.")
        return "\n".join(lines)


def _waiting(count: int) -> str:
    return (
        f"Another process has {count} of them, or died with them: waiting until its lease is over, "
        f"{math.ceil(leases.SECONDS / 60)} minutes at most if it is dead."
    )


def _said(word: str) -> str:
    return "unknown" if word == State.UNKNOWN else word.lower()


def database() -> str:
    return router.db_for_write(Message)


def _backend(alias: str) -> BaseSMSBackend:
    try:
        return sms_backends[alias]
    except SMSBackendDoesNotExist as error:
        raise CommandError(str(error), returncode=USAGE) from error


def _mailing(backend: BaseSMSBackend, options: dict[str, Any]) -> Mailing:
    path, numbers = options["csv"], options["recipients"]
    if (path is None) == (not numbers):
        raise CommandError("Give either numbers, or --csv FILE.", returncode=USAGE)
    with _usage_errors():
        columns = read_columns(path) if path else ["recipient"]
        text = _text(options["text"], options["file"])
    if text is None and "body" not in columns:
        raise CommandError("Give --text or --file.", returncode=USAGE)
    template = SMS(
        text or "",
        "",
        options["sender"],
        tag=options["tag"],
        dry_run=True if options["dry_run"] else None,
        batch=uuid4(),
    )
    template = template.replace(dry_run=backend.prepare(template).dry_run)
    prefix = options["key"] or (f"csv:{path.name[:120]}" if path else "")
    rows = (lambda: read_rows(path)) if path else rows_of(numbers)
    return Mailing(backend, rows, template, prefix, own_prefix=options["key"])


def _text(text: str | None, path: Path | None) -> str | None:
    if text is not None and path is not None:
        raise CommandError("Give either --text or --file.", returncode=USAGE)
    if path is None:
        return text
    try:
        return path.read_text("utf-8-sig").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UnusableFileError(f"--file cannot be read: {type(error).__name__}.") from None


@contextmanager
def _usage_errors() -> Iterator[None]:
    """Turn a file that cannot be used into the end of the command."""
    try:
        yield
    except UnusableFileError as error:
        raise CommandError(str(error), returncode=USAGE) from error
