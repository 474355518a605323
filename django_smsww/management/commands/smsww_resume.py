from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import router

from django_smsww.clock import database_now, local_time, rounded_up
from django_smsww.management.console import find_backend
from django_smsww.models import Message, MessageQuerySet, Suspension
from django_smsww.operations.records import read_leased
from django_smsww.worker.recovery import resume


class Command(BaseCommand):
    help = (
        "Lift a suspension of an alias, of one batch, or of a refused text, which smsww_pause or "
        "an error has made. Exit codes: 0 lifted, 1 there was no suspension, 2 wrong arguments."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("alias", help="the key in the SMSWW setting")
        group = parser.add_mutually_exclusive_group()
        group.add_argument(
            "--batch", type=UUID, metavar="UUID", help="lift the suspension of this batch"
        )
        text = "that of the text of the message with this reference; a forbidden text may cost a "
        text += "fine again for each message"
        group.add_argument("--text", type=UUID, metavar="REFERENCE", help=text)

    def handle(
        self, *args: Any, alias: str, batch: UUID | None, text: UUID | None, **options: Any
    ) -> None:
        environment, scope = find_backend(alias).environment, "alias"
        held: dict[str, Any] = {}
        if batch:
            scope, held = f"batch:{batch}", {"batch": batch}
        elif text:
            fingerprint = _fingerprint(alias, environment, text)
            scope, held = f"text:{fingerprint}", {"fingerprint": fingerprint}
        using = router.db_for_write(Suspension)
        if not resume(alias, environment, scope=scope, using=using):
            raise CommandError(f"{alias!r} has no such suspension.")
        rows = Message.objects.using(using).of(alias, environment).queued().filter(**held)
        self.stdout.write(f"Lifted. Queued messages leave within half a minute{_leased(rows)}.")


def _leased(rows: MessageQuerySet) -> str:
    """Return the end of a sentence. It says how many rows are leased by workers, and until when."""
    leased = read_leased(rows, database_now(rows.db))
    if not leased["count"]:
        return ""
    until = local_time(rounded_up(leased["until"]))
    return f"; {leased['count']} are leased until {until:%H:%M}, and wait so long if a worker died"


def _fingerprint(alias: str, environment: str, reference: UUID) -> str:
    rows = Message.objects.using(router.db_for_write(Message)).of(alias, environment)
    row = rows.filter(reference=reference).first()
    if row is None:
        raise CommandError(f"{alias!r} has no message with the reference {reference}.")
    return row.fingerprint
