import json
import re
from argparse import ArgumentTypeError
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.serializers.json import DjangoJSONEncoder
from django.db import router
from django.utils import timezone

from django_smsww.backends.handler import region_of
from django_smsww.exceptions import InvalidSMS
from django_smsww.management.console import USAGE, add_no_input, agreed, counted, progress
from django_smsww.models import Message
from django_smsww.numbers import read_number
from django_smsww.operations import retention

SHORTEST_LIFE = 3
"""The least value of --delete-after. The gateway may send callbacks for this many days."""


def whole(unit: str, least: int, most: int) -> Callable[[str], int]:
    """Return an argparse type for whole numbers from `least` to `most`."""

    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,5}", text) or not least <= int(text) <= most:
            raise ArgumentTypeError(f"write a number of {unit} from {least} to {most}")
        return int(text)

    return read


class Command(BaseCommand):
    help = (
        "Remove the numbers and texts of old messages (--scrub-after), delete old messages "
        "(--delete-after; their sums stay as daily totals), or erase or export the data of one "
        "number. The command never changes messages under way and UNKNOWN messages. You may stop "
        "it and run it again at any time."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add, days, rows = parser.add_argument, whole("days", 0, 36_500), whole("rows", 1, 10_000)
        scrubs = "scrub messages that ended so many days ago (numbers, texts, custom data)"
        add("--scrub-after", type=days, metavar="DAYS", help=scrubs)
        deletes = f"delete messages that ended so many days ago; {SHORTEST_LIFE} at least"
        add("--delete-after", type=days, metavar="DAYS", help=deletes)
        size = f"rows in one transaction (default: {retention.BATCH})"
        add("--batch-size", type=rows, default=retention.BATCH, metavar="ROWS", help=size)
        add("--dry-run", action="store_true", help="count, and change nothing")
        add("--erase", metavar="NUMBER", help="scrub all messages to this number")
        add("--export", metavar="NUMBER", help="write all data of this number as JSON")
        add_no_input(parser, "erase without asking")

    def handle(self, *args: Any, **options: Any) -> None:
        _check(options)
        using = router.db_for_write(Message)
        if options["export"]:
            self.export(using, _number(options["export"], using))
        elif options["erase"]:
            self.erase(using, _number(options["erase"], using), options)
        else:
            self.prune(using, options)

    def prune(self, using: str, options: dict[str, Any]) -> None:
        """Delete old messages, then scrub (make anonymous) the old messages that remain.

        If a foreign key of the project protects a message, scrub the message instead of deleting
        it. After all steps, raise a CommandError that lists these foreign keys, if there are any.
        """
        kept: Counter[str] = Counter()
        size = options["batch_size"]
        # Delete first, so that the deleted rows need not be scrubbed.
        steps = (
            ("delete_after", retention.to_delete, partial(retention.delete, kept=kept), "deleted"),
            ("scrub_after", retention.to_scrub, retention.scrub, "scrubbed"),
        )
        for option, rows, forget, done in steps:
            if options[option] is None:
                continue
            before = timezone.now() - timedelta(days=options[option])
            if options["dry_run"]:
                count = rows(using, before).count()
                self.stdout.write(f"{counted(count)} would be {done}. Nothing was changed.")
            else:
                count = _total(forget(using, before, batch_size=size), done)
                self.stdout.write(f"{counted(count)} {done}.")
        if kept := +kept:
            text = ", ".join(f"{count} by {name}" for name, count in kept.items())
            raise CommandError(f"Scrubbed and kept, because other tables protect them: {text}.")

    def export(self, using: str, number: str) -> None:
        held = retention.export(using, number)
        self.stdout.write(json.dumps(held, cls=DjangoJSONEncoder, ensure_ascii=False, indent=2))

    def erase(self, using: str, number: str, options: dict[str, Any]) -> None:
        count = Message.objects.using(using).filter(recipient=number).count()
        if options["dry_run"]:
            self.stdout.write(f"{counted(count)} would be erased. Nothing was changed.")
            return
        question = f"Remove number and text from {counted(count)} for ever?"
        if options["interactive"] and not agreed(question):
            raise CommandError("Nothing was erased. --no-input asks no question.")
        erasure = retention.erase(using, number)
        self.stdout.write(f"{counted(erasure.messages)} erased.")
        if erasure.suppressed:
            self.stdout.write(
                "The number stays on the do-not-send list, so that nothing is sent to it again."
            )
        if erasure.unfinished:
            states = ", ".join(f"{count} {state}" for state, count in erasure.unfinished.items())
            raise CommandError(
                f"Not erased, because these messages are not finished: {states}. Cancel the "
                f"QUEUED ones, run smsww_sync for the UNKNOWN ones, and erase again."
            )


def _check(options: dict[str, Any]) -> None:
    ages = [name for name in ("scrub_after", "delete_after") if options[name] is not None]
    numbers = [name for name in ("erase", "export") if options[name] is not None]
    if len(numbers) + bool(ages) != 1:
        raise CommandError(
            "Give --scrub-after DAYS and --delete-after DAYS, or one of them, or "
            "--erase NUMBER, or --export NUMBER.",
            returncode=USAGE,
        )
    if options["delete_after"] is not None and options["delete_after"] < SHORTEST_LIFE:
        raise CommandError(
            f"--delete-after must be {SHORTEST_LIFE} or more: the gateway may send callbacks for "
            "so long.",
            returncode=USAGE,
        )


def _number(text: str, using: str) -> str:
    """Return the telephone number in the form that the database stores.

    An invalid number is accepted if a message in the database has this number.
    """
    try:
        return read_number(text, region_of())
    except InvalidSMS as error:
        rows = Message.objects.using(using).filter(recipient=text.strip(), scrubbed=False)
        if rows.exists():
            return text.strip()
        raise CommandError(f"Write the whole number: {error}", returncode=USAGE) from None


def _total(batches: Iterator[int], done: str) -> int:
    total = 0
    with progress(done) as advance:
        for count in batches:
            advance(count)
            total += count
    return total
