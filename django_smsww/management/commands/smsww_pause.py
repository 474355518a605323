from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import router

from django_smsww.management.console import counted, find_backend
from django_smsww.models import Suspension
from django_smsww.models.batch import stop_batch


class Command(BaseCommand):
    help = (
        "Suspend an alias, or one batch of it, until smsww_resume. Each sending process stops "
        "before its next block of messages. Queued messages wait, or expire; a call that sends at "
        "once raises SMSUnavailable with the code 'suspended'. Exit codes: 0 done, 1 nothing was "
        "done, 2 wrong arguments."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("alias", help="the key in the SMSWW setting")
        add("--batch", type=UUID, metavar="UUID", help="only this batch")
        add("--stop", action="store_true", help="with --batch: also cancel its queued messages")
        add("--reason", default="", help="the reason, which is stored with the suspension")

    def handle(
        self, *args: Any, alias: str, batch: UUID | None, stop: bool, reason: str, **options: Any
    ) -> None:
        if stop and batch is None:
            raise CommandError("--stop cancels one batch: name it with --batch UUID.")
        environment, using = find_backend(alias).environment, router.db_for_write(Suspension)
        if stop and batch:
            count = stop_batch(alias, environment, batch, using=using, reason=reason)
            self.stdout.write(f"Batch {batch} is stopped; {counted(count)} cancelled.")
            return
        scope = f"batch:{batch}" if batch else "alias"
        Suspension.objects.using(using).pause(alias, environment, scope=scope, reason=reason)
        paused = f"Batch {batch} of {alias!r}" if batch else f"Alias {alias!r}"
        self.stdout.write(f"{paused} is suspended until smsww_resume.")
