from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import router
from django.db.models import Q

from django_smsww.management.console import (
    USAGE,
    add_no_input,
    add_using,
    agreed,
    aliases_of,
    counted,
    find_backend,
    moment,
)
from django_smsww.models import Message, MessageQuerySet
from django_smsww.sending.resending import Estimate, estimate, to_resend
from django_smsww.states import RESENDABLE, UNDELIVERED, State

STATES = sorted(RESENDABLE - {State.DELIVERED})


class Command(BaseCommand):
    help = (
        "Queue undelivered messages once more, each as a new message. Choose them by batch, tag, "
        "error or time. The command never resends messages that are under way, UNKNOWN or "
        "delivered. Exit codes: 0 all were queued, 1 some or none were queued, 2 wrong arguments."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add_using(parser)
        add("--batch", type=UUID, metavar="UUID", help="messages of this batch")
        add("--tag", help="with this tag")
        add(
            "--error",
            metavar="NAME",
            help="messages with this error, such as SMSUnavailable, or with this code",
        )
        add("--since", type=moment, metavar="TIME", help="created at this time or later")
        add("--until", type=moment, metavar="TIME", help="created before this time")
        states = f"in this state; may be repeated (default: {', '.join(sorted(UNDELIVERED))})"
        add("--state", action="append", choices=STATES, help=states)
        add("--dry-run", action="store_true", help="count and price them, and queue nothing")
        add_no_input(parser, "do not ask")

    def handle(self, *args: Any, **options: Any) -> None:
        rows = to_resend(_chosen(options), options["state"] or UNDELIVERED)
        found = estimate(rows)
        self.stdout.write(_told(found))
        if options["dry_run"]:
            self.stdout.write("Nothing was queued.")
            return
        if not found.messages:
            raise CommandError("There is nothing to resend.")
        question = f"Send {counted(found.messages)} once more?"
        if options["interactive"] and not agreed(question):
            raise CommandError("Nothing was queued. --no-input asks no question.")
        report = rows.resend()
        self.stdout.write(f"{counted(report.queued)} queued as batch {report.batch}.")
        if report.failed or report.skipped:
            raise CommandError(
                f"{report.failed} failed immediately: look at their rows. "
                f"{report.skipped} were resent or changed meanwhile."
            )


def _chosen(options: dict[str, Any]) -> MessageQuerySet:
    """Return the messages of this deployment that meet the conditions of the command line."""
    conditions = {
        "batch": options["batch"],
        "tag": options["tag"],
        "created_at__gte": options["since"],
        "created_at__lt": options["until"],
    }
    given = {name: value for name, value in conditions.items() if value is not None}
    error = options["error"]
    if not given and not error:
        text = "Say which messages: --batch, --tag, --error, --since or --until."
        raise CommandError(text, returncode=USAGE)
    ours = Q(pk__in=[])
    for alias in aliases_of(options):
        ours |= Q(alias=alias, environment=find_backend(alias).environment)
    rows = Message.objects.using(router.db_for_write(Message)).filter(ours, **given)
    if error:
        rows = rows.filter(Q(error=error) | Q(error_code=error))
    return rows


def _told(found: Estimate) -> str:
    ordered = sorted(found.countries.items(), key=lambda each: (-each[1], each[0]))
    countries = ", ".join(f"{name or 'other'} {count}" for name, count in ordered)
    told = (
        f"{counted(found.messages)}, {counted(found.segments, 'segment')} ({countries or 'none'})"
    )
    if found.unpriced < found.messages:
        told += f", about {found.cost:.2f} EUR at the last known prices"
    return told + (f"; the price of {found.unpriced} is not known." if found.unpriced else ".")
