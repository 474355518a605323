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
from django.template.defaultfilters import pluralize

from django_smsww.backends.base import BaseSMSBackend
from django_smsww.management.console import USAGE, find_backend, progress
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
        "recipient, body, sender, key and tag (only the first is required). The command checks "
        "all lines before it sends. If it was stopped, run it again with the same file: a line "
        "with the same number, sender and text is not sent twice from a file of the same name. "
        "Exit codes: 0 all were accepted or queued, 1 some were not or their outcome is unknown, "
        "2 wrong arguments."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("recipients", nargs="*", metavar="RECIPIENT", help="+393331234567")
        add("--csv", type=Path, metavar="FILE", help="a file of messages, CSV or XLSX")
        add("--encoding", default="utf-8", help="the encoding of a CSV file, such as cp1252")
        add("--text", help="the text; with --csv, for lines without a text")
        add("--file", type=Path, help="a file with the text, in UTF-8")
        add("--using", default="default", metavar="ALIAS")
        add("--sender", default="", help="the sender, for lines that name none")
        add("--tag", default="", help="the tag, for lines that name none")
        key = (
            "the beginning of each message's key: a second message with the same key is not sent. "
            "With --csv the default is the file's name; write another prefix to send the same "
            "file again"
        )
        add("--key", default="", metavar="PREFIX", help=key)
        add(
            "--dry-run",
            action="store_true",
            help="let the gateway check the messages, and send nothing",
        )
        add("--queue", action="store_true", help="leave the messages to smsww_worker")
        skips = "leave invalid lines out and send the others"
        add("--skip-invalid", action="store_true", help=skips)
        first = "one dry run of each text first (default: for one text to "
        first += f"{NUMBERS_ENOUGH} or more numbers)"
        add("--preflight", action=BooleanOptionalAction, help=first)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            mailing = _mailing(find_backend(options["using"]), options)
            checked = mailing.check(database())
            self.report_problems(checked, skip_invalid=options["skip_invalid"])
            if checked.new and mailing.template.batch:
                count = f"{checked.new} message{pluralize(checked.new)}"
                self.stderr.write(f"Batch {mailing.template.batch} of {count}.")
            self.send_and_report(mailing, checked, options)
        except UnusableFileError as error:
            raise CommandError(str(error), returncode=USAGE) from error

    def report_problems(self, checked: Checked, *, skip_invalid: bool) -> None:
        """Write the errors found in the file of messages, or in the numbers if there is no file.

        Raise a CommandError if there are errors and `skip_invalid` is False, or if there is no
        valid line or number.
        """
        count = len(checked.problems)
        for _line, text in sorted(checked.problems.items())[:MOST_PROBLEMS]:
            self.stderr.write(text)
        if count > MOST_PROBLEMS:
            self.stderr.write(f"… and {count - MOST_PROBLEMS} more.")
        if checked.problems and not skip_invalid:
            raise CommandError(
                f"Nothing was sent. Messages that are not valid: {count}. Correct them, or leave "
                "them out with --skip-invalid.",
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
            again = "Stopped. To continue, run the same command again."
            raise CommandError(again, returncode=130) from None
        self.stdout.write(_summary(tally, checked))
        if tally.is_incomplete or checked.problems:
            raise CommandError("Not all messages were accepted: look at their rows.", returncode=1)

    def send(
        self, mailing: Mailing, checked: Checked, tally: Tally, options: dict[str, Any]
    ) -> None:
        backend, queue, preflight = mailing.backend, options["queue"], options["preflight"]
        rows = Message.objects.using(database())
        # End lost rows first: messages that are sent later can prove that those never arrived.
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
        with progress(total=lambda: checked.lines) as advance:
            for row in sent:
                if row.lease_token is None or queue or backend.queue:
                    tally.add(row)
                else:
                    leased.append(row.pk)  # by another process, which may be dead
                advance()
        if leased:
            self.wait_for_leases(backend, leased)
            for row in rows.filter(pk__in=leased):
                tally.add(row)

    def wait_for_leases(self, backend: BaseSMSBackend, leased: list[int]) -> None:
        minutes = math.ceil(leases.SECONDS / 60)
        for number, count in enumerate(send_abandoned(backend, leased, using=database())):
            if number == 0:
                self.stderr.write(
                    f"Another process has leased {count} of the messages: waiting for it. If it "
                    f"has died, this takes {minutes} minutes at most."
                )
            elif sys.stderr.isatty():
                sys.stderr.write(f"\r{count} left … ")


@dataclass
class Tally:
    """Counts the messages by state, and the FAILED and UNKNOWN messages by error code."""

    states: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)

    def add(self, row: Message) -> None:
        self.states["ACCEPTED" if row.state in PROVIDER else row.state] += 1
        if row.state in (State.FAILED, State.UNKNOWN):
            self.errors[row.error_code] += 1

    @property
    def is_incomplete(self) -> bool:
        """Whether any message is FAILED, UNKNOWN or CANCELLED."""
        return any(self.states[word] for word in (State.FAILED, State.UNKNOWN, State.CANCELLED))


def _summary(tally: Tally, checked: Checked) -> str:
    words = [word for word in ("ACCEPTED", *State) if tally.states[word]]
    counts = [f"{tally.states[word]} {word.lower()}" for word in words]
    codes = ", ".join(f"{code} ({count})" for code, count in tally.errors.most_common())
    lines = {
        ", ".join(counts) + "." if counts else "None was sent.": True,
        f"Errors: {codes}.": tally.errors,
        "To settle messages whose outcome is unknown, run smsww_sync.": tally.states[State.UNKNOWN],
        f"Lines that an earlier run took, with the same keys: {checked.known}.": checked.known,
        f"Lines whose number is in no numbering plan: {checked.strange}.": checked.strange,
        f"Lines that repeat another line, and are sent once: {checked.repeated}.": checked.repeated,
        f"Lines left out, because they are not valid: {len(checked.problems)}.": checked.problems,
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
    numbers = list(dict.fromkeys(map(backend.read_recipient, numbers)))
    batch = uuid4() if path or len(numbers) > 1 else None
    template = SMS(
        text or "", "", options["sender"], tag=options["tag"], dry_run=dry_run, batch=batch
    )
    prefix = options["key"] or (f"csv:{path.name[:120]}" if path else "")
    rows = partial(read_rows, path, encoding) if path else rows_of(numbers)
    unit = "Line" if path else "Number"
    return Mailing(backend, rows, template, prefix, own_prefix=options["key"], unit=unit)


def _text(text: str | None, path: Path | None) -> str | None:
    if text is not None and path is not None:
        raise CommandError("Give either --text or --file.", returncode=USAGE)
    if path is None:
        return text
    try:
        return path.read_text("utf-8-sig").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UnusableFileError(f"--file cannot be read: {type(error).__name__}.") from None
