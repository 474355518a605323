"""Let what was held back go on."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from django_smsww.models import Message, Suspension

from .smsww_pause import database, find_backend


class Command(BaseCommand):
    help = (
        "Lift a suspension, imposed by smsww_pause or by an error: that of an alias, of one batch, "
        "or of a text that was refused. Exit codes: 0 lifted, 1 there was none."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("alias", help="the key in the SMSWW setting")
        group = parser.add_mutually_exclusive_group()
        group.add_argument("--batch", type=UUID, metavar="UUID", help="that of this mass send")
        group.add_argument(
            "--text",
            type=UUID,
            metavar="REFERENCE",
            help="that of the text of the message with this reference; if it is forbidden, each "
            "message with it may cost a fine again",
        )

    def handle(
        self, *args: Any, alias: str, batch: UUID | None, text: UUID | None, **options: Any
    ) -> None:
        environment = find_backend(alias).environment
        scope = "alias"
        if batch:
            scope = f"batch:{batch}"
        elif text:
            scope = f"text:{fingerprint_of(alias, environment, text)}"
        if not Suspension.objects.using(database()).resume(alias, environment, scope=scope):
            raise CommandError(f"{alias!r} has no such suspension.")
        self.stdout.write("Lifted; what is queued goes on within half a minute.")


def fingerprint_of(alias: str, environment: str, reference: UUID) -> str:
    rows = Message.objects.using(database()).of(alias, environment)
    row = rows.filter(reference=reference).first()
    if row is None:
        raise CommandError(f"{alias!r} has no message with the reference {reference}.")
    return row.fingerprint
