"""Lift a suspension."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import router

from django_smsww.management.console import find_backend
from django_smsww.models import Message, Suspension
from django_smsww.worker.recovery import resume


class Command(BaseCommand):
    help = (
        "Lift a suspension that smsww_pause or an error imposed: of an alias, of one batch, or of "
        "a refused text. Exit codes: 0 lifted, 1 there was none, 2 wrong arguments."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("alias", help="the key in the SMSWW setting")
        group = parser.add_mutually_exclusive_group()
        group.add_argument("--batch", type=UUID, metavar="UUID", help="that of this batch")
        group.add_argument(
            "--text",
            type=UUID,
            metavar="REFERENCE",
            help="that of the text of the message with this reference; a forbidden text may cost "
            "a fine again for each message",
        )

    def handle(
        self, *args: Any, alias: str, batch: UUID | None, text: UUID | None, **options: Any
    ) -> None:
        environment, scope = find_backend(alias).environment, "alias"
        if batch:
            scope = f"batch:{batch}"
        elif text:
            scope = f"text:{_fingerprint(alias, environment, text)}"
        using = router.db_for_write(Suspension)
        if not resume(alias, environment, scope=scope, using=using):
            raise CommandError(f"{alias!r} has no such suspension.")
        self.stdout.write("Lifted. Queued messages leave within half a minute.")


def _fingerprint(alias: str, environment: str, reference: UUID) -> str:
    rows = Message.objects.using(router.db_for_write(Message)).of(alias, environment)
    row = rows.filter(reference=reference).first()
    if row is None:
        raise CommandError(f"{alias!r} has no message with the reference {reference}.")
    return row.fingerprint
