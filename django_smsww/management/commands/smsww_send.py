"""Send messages from the command line, or from a file."""

from __future__ import annotations

import math
import sys
from argparse import BooleanOptionalAction
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import router

from django_smsww.backends.base import BaseSMSBackend
from django_smsww.management.console import USAGE, find_backend, watched
from django_smsww.models import Message
from django_smsww.models import lease as leases
from django_smsww.sending.api import iter_send
from django_smsww.sending.files import read_columns, read_rows
from django_smsww.sending.mailing import Checked, Mailing, rows_of, send_abandoned
from django_smsww.sending.spreadsheets import UnusableFileError
from django_smsww.sms import SMS
from django_smsww.states import PROVIDER, State
from django_smsww.worker.preflight import NUMBERS_ENOUGH

MOST_PROBLEMS = 50


class Command(BaseCommand):
    help = (
        "Send one text to some numbers, or the messages of a CSV or XLSX file with the columns "
        "recipient, body, sender, key and tag (all but the first may be missing). Everything is "
        "checked before anything leaves. A file that was stopped half-way can be given again: a "
        "line with the same number, sender and text is not sent twice from a file of the same "
        "name. Exit code 0: all were accepted or queued; 1: some were not, or nobody knows; 2: "
        "wrong use."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("recipients", nargs="*", metavar="RECIPIENT", help="+393331234567")
        add("--csv", type=Path, metavar="FILE", help="a file of messages, CSV or XLSX")
        add("--encoding", default="utf-8", help="the encoding of a CSV file, such as cp1252")
        add("--text", help="the text, also for lines that have none")
        add("--file", type=Path, help="a file that holds the text, in UTF-8")
        add("--using", default="default", metavar="ALIAS")
        add("--sender", default="", help="the sender, where a line names none")
        add("--tag", default="", help="the tag, where a line names none")
        add(
            "--key",
            default="",
            metavar="PREFIX",
            help="the beginning of each message's key: a second message with the same key is not "
            "sent. With --csv it is the file's name; give another one to send the same file again",
        )
        add("--dry-run", action="store_true", help="let the gateway check them")
        add("--queue", action="store_true", help="leave them to smsww_worker")
        add(
            "--skip-invalid",
            action="store_true",
            help="leave invalid lines out and send the others",
        )
        only_for = f"one text to {NUMBERS_ENOUGH} or more numbers"
        add(
            "--preflight",
            action=BooleanOptionalAction,
            help=f"one dry run of each text first (default: for {only_for})",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            mailing = _mailing(find_backend(options["using"]), options)
            checked = mailing.check(database())
            self.report_problems(checked, skip_invalid=options["skip_invalid"])
            self.stderr.write(f"Batch {mailing.template.batch} of {checked.lines} messages.")
            self.send_and_report(mailing, checked, options)
        except UnusableFileError as error:
            raise CommandError(str(error), returncode=USAGE) from error

    def report_problems(self, checked: Checked, *, skip_invalid: bool) -> None:
        """Write the problems, and end the command unless some lines can be sent all the same."""
        count = len(checked.problems)
        for _line, text in sorted(checked.problems.items())[:MOST_PROBLEMS]:
            self.stderr.write(text)
        if count > MOST_PROBLEMS:
            self.stderr.write(f"… and {count - MOST_PROBLEMS} more.")
        if checked.problems and not skip_invalid:
            raise CommandError(
                f"Nothing was sent. Lines that are not valid: {count}. Correct them, or leave them "
                "out with --skip-invalid.",
                returncode=USAGE,
            )
        if not checked.lines:
            raise CommandError("There is nothing to send.", returncode=USAGE)

    def send_and_report(self, mailing: Mailing, checked: Checked, options: dict[str, Any]) -> None:
        tally = Tally()
        try:
            self.send(mailing, checked, tally, options)
        except KeyboardInterrupt:
            self.stdout.write(_summary(tally, checked))
            again = "Stopped. Run the same command again to go on."
            raise CommandError(again, returncode=130) from None
        self.stdout.write(_summary(tally, checked))
        if tally.is_incomplete or checked.problems:
            raise CommandError("Not all of them were accepted: look at their rows.", returncode=1)

    def send(
        self, mailing: Mailing, checked: Checked, tally: Tally, options: dict[str, Any]
    ) -> None:
        """Send the valid lines, and count their rows."""
        backend, queue, preflight = mailing.backend, options["queue"], options["preflight"]
        rows = Message.objects.using(database())
        # First, so that later messages can prove which of the lost ones never arrived.
        rows.filter(alias=backend.alias, environment=backend.environment).abandon()
        if preflight is None:
            preflight = checked.has_one_text and checked.lines >= NUMBERS_ENOUGH
        sent = iter_send(
            mailing.messages(but=checked.problems),
            using=backend.alias,
            queue=True if queue else None,
            preflight=preflight,
        )
        leased = []
        for row in watched(sent, checked.lines):
            if row.lease_token is None or queue or backend.queue:
                tally.add(row)
            else:
                leased.append(row.pk)  # by another process, which may be dead
        if leased:
            self.wait_for_leases(backend, leased)
            for row in rows.filter(pk__in=leased):
                tally.add(row)

    def wait_for_leases(self, backend: BaseSMSBackend, leased: list[int]) -> None:
        minutes = math.ceil(leases.SECONDS / 60)
        for number, count in enumerate(send_abandoned(backend, leased, using=database())):
            if number == 0:
                self.stderr.write(
                    f"Another process has leased {count} of them: waiting for it. If it has died, "
                    f"this takes {minutes} minutes at most."
                )
            elif sys.stderr.isatty():
                sys.stderr.write(f"\r{count} left … ")


@dataclass
class Tally:
    """How many rows are in each state, and how many have each error."""

    states: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)

    def add(self, row: Message) -> None:
        self.states["ACCEPTED" if row.state in PROVIDER else row.state] += 1
        if row.state in (State.FAILED, State.UNKNOWN):
            self.errors[row.error_code] += 1

    @property
    def is_incomplete(self) -> bool:
        """Whether some were not accepted, or their outcome is unknown."""
        return any(self.states[word] for word in (State.FAILED, State.UNKNOWN, State.CANCELLED))


def _summary(tally: Tally, checked: Checked) -> str:
    words = [word for word in ("ACCEPTED", *State) if tally.states[word]]
    counts = [f"{tally.states[word]} {word.lower()}" for word in words]
    codes = ", ".join(f"{code} ({count})" for code, count in tally.errors.most_common())
    lines = {
        ", ".join(counts) + "." if counts else "None was sent.": True,
        f"Errors: {codes}.": tally.errors,
        "Run smsww_sync for those whose outcome is unknown.": tally.states[State.UNKNOWN],
        f"Given before, with the same keys: {checked.known}.": checked.known,
        f"Lines with a number that no numbering plan has: {checked.strange}.": checked.strange,
        f"Lines that repeat another, and count with it: {checked.repeated}.": checked.repeated,
        f"Lines that are not valid, and were left out: {len(checked.problems)}.": checked.problems,
    }
    return "\n".join(line for line, is_shown in lines.items() if is_shown)


def database() -> str:
    return router.db_for_write(Message)


def _mailing(backend: BaseSMSBackend, options: dict[str, Any]) -> Mailing:
    path, encoding, numbers = options["csv"], options["encoding"], options["recipients"]
    if (path is None) == (not numbers):
        raise CommandError("Give either numbers, or --csv FILE.", returncode=USAGE)
    columns = read_columns(path, encoding) if path else ["recipient"]
    text = _text(options["text"], options["file"])
    if text is None and "body" not in columns:
        raise CommandError("Give --text or --file.", returncode=USAGE)
    dry_run = options["dry_run"] or backend.dry_run
    template = SMS(
        text or "", "", options["sender"], tag=options["tag"], dry_run=dry_run, batch=uuid4()
    )
    prefix = options["key"] or (f"csv:{path.name[:120]}" if path else "")
    rows = rows_of(map(backend.read_recipient, numbers or []))
    if path:
        rows = partial(read_rows, path, encoding)
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
