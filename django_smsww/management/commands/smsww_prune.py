"""Forget what is old, or what is known of one number."""

from __future__ import annotations

import json
import re
import sys
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.serializers.json import DjangoJSONEncoder
from django.db import router
from django.utils import timezone

from django_smsww.models import Message
from django_smsww.operations import retention as privacy

SHORTEST_LIFE = 3
"""Days for which a row is kept at least: for so long the gateway may report of it."""

MOST_DAYS = 36_500


class Command(BaseCommand):
    help = (
        "Forget the numbers and texts of old messages (--scrub-after), delete old messages "
        "(--delete-after; their sums stay as daily totals), or erase or export what is held of "
        "one number. Messages under way or of unknown outcome are never touched. May be stopped "
        "and run again at any time."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--scrub-after",
            type=_days,
            metavar="DAYS",
            help="forget numbers, texts, custom data and payloads of messages that ended before",
        )
        parser.add_argument(
            "--delete-after",
            type=_days,
            metavar="DAYS",
            help=f"delete messages that ended before; {SHORTEST_LIFE} at least",
        )
        parser.add_argument(
            "--batch-size",
            type=_batch_size,
            default=privacy.BATCH,
            metavar="ROWS",
            help=f"rows in one transaction (default: {privacy.BATCH})",
        )
        parser.add_argument("--dry-run", action="store_true", help="count, and change nothing")
        parser.add_argument("--erase", metavar="NUMBER", help="forget all that is known of it")
        parser.add_argument(
            "--export", metavar="NUMBER", help="write all that is held of it as JSON"
        )
        parser.add_argument(
            "--no-input",
            "--noinput",
            action="store_false",
            dest="interactive",
            help="erase without asking",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        _check(options)
        using = router.db_for_write(Message)
        if options["export"]:
            self.export(using, _number(options["export"]))
        elif options["erase"]:
            self.erase(using, _number(options["erase"]), options)
        else:
            self.prune(using, options)

    # By age

    def prune(self, using: str, options: dict[str, Any]) -> None:
        size = options["batch_size"]
        if options["dry_run"]:
            self.count(using, options)
            return
        # First what goes altogether, so that it need not be scrubbed.
        if options["delete_after"] is not None:
            gone = privacy.delete(using, _ago(options["delete_after"]), batch_size=size)
            self.stdout.write(f"{_total(gone, 'Deleting')} messages deleted.")
        if options["scrub_after"] is not None:
            done = privacy.scrub(using, _ago(options["scrub_after"]), batch_size=size)
            self.stdout.write(f"{_total(done, 'Scrubbing')} messages scrubbed.")

    def count(self, using: str, options: dict[str, Any]) -> None:
        steps: tuple[tuple[str, Callable[[str, datetime], Any], str], ...] = (
            ("delete_after", privacy.to_delete, "deleted"),
            ("scrub_after", privacy.to_scrub, "scrubbed"),
        )
        for option, rows, done in steps:
            if options[option] is not None:
                count = rows(using, _ago(options[option])).count()
                self.stdout.write(f"{count} messages would be {done}. Nothing was changed.")

    # By number

    def export(self, using: str, number: str) -> None:
        held = privacy.export(using, number)
        self.stdout.write(json.dumps(held, cls=DjangoJSONEncoder, ensure_ascii=False, indent=2))

    def erase(self, using: str, number: str, options: dict[str, Any]) -> None:
        count = Message.objects.using(using).filter(recipient=number).count()
        if options["dry_run"]:
            self.stdout.write(f"{count} messages are held. Nothing was changed.")
            return
        if options["interactive"] and not _agreed(count):
            raise CommandError("Nothing was erased. --no-input asks no question.")
        erasure = privacy.erase(using, number)
        self.stdout.write(f"{erasure.messages} messages erased.")
        if erasure.suppressed:
            self.stdout.write(
                "The number stays on the do-not-send list, so that nothing is sent to it again."
            )
        if erasure.unfinished:
            states = ", ".join(f"{count} {state}" for state, count in erasure.unfinished.items())
            raise CommandError(
                f"Not erased, because they are not over yet: {states}. Cancel what is QUEUED, "
                "run smsww_sync for what is UNKNOWN, and erase again."
            )


def _check(options: dict[str, Any]) -> None:
    ages = [name for name in ("scrub_after", "delete_after") if options[name] is not None]
    numbers = [name for name in ("erase", "export") if options[name] is not None]
    if len(numbers) + bool(ages) != 1:
        raise CommandError(
            "Give --scrub-after DAYS and --delete-after DAYS, or one of them, or "
            "--erase NUMBER, or --export NUMBER.",
            returncode=2,
        )
    if options["delete_after"] is not None and options["delete_after"] < SHORTEST_LIFE:
        raise CommandError(
            f"--delete-after must be {SHORTEST_LIFE} or more: for so long the gateway may still "
            "report of a message.",
            returncode=2,
        )


def _days(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or int(text) > MOST_DAYS:
        raise ArgumentTypeError(f"write a number of days from 0 to {MOST_DAYS}")
    return int(text)


def _batch_size(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 10_000:
        raise ArgumentTypeError("write a number of rows from 1 to 10000")
    return int(text)


def _number(text: str) -> str:
    """Return the number as rows hold it. One that is not valid may have a FAILED row, too."""
    number = text.strip()
    if re.fullmatch(r"(\+|00)?[\d\s()./-]+", number):  # as people write one; rows hold E.164
        number = "+" + re.sub(r"\D", "", number).removeprefix("00")
    if privacy.FORGOTTEN in number or len(re.sub(r"\D", "", number)) < 5:
        raise CommandError("Write the whole number, for example +393331234567.", returncode=2)
    return number


def _ago(days: int) -> datetime:
    return timezone.now() - timedelta(days=days)


def _agreed(count: int) -> bool:
    try:
        answer = input(f"Forget number and text of {count} messages for good? Type 'yes': ")
    except EOFError:  # nobody is there to answer
        return False
    return answer.strip().lower() == "yes"


def _total(batches: Iterator[int], title: str) -> int:
    return sum(_watched(batches, title))


def _watched(batches: Iterator[int], title: str) -> Iterator[int]:
    """Pass the numbers on, and show how many messages they make if somebody watches."""
    if not sys.stderr.isatty():
        yield from batches
        return
    try:
        from tqdm import tqdm  # an extra
    except ImportError:
        yield from batches
        return
    with tqdm(desc=title, unit=" messages") as bar:
        for count in batches:
            bar.update(count)
            yield count
