from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from ...cli import add_arguments, execute
from ...profiles import UnknownProfileError


class Command(BaseCommand):
    help = "Stand in for the SMS gateway on this machine. Nothing is ever sent."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_arguments(parser)
        parser.add_argument(
            "--force",
            action="store_true",
            dest="force_simulator",
            help="start although DEBUG is off",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not (settings.DEBUG or options["force_simulator"] or options["numbers"]):
            raise CommandError(
                "The simulator only pretends to send. DEBUG is off, so this may be production. To "
                "start it nevertheless, use --force."
            )
        try:
            execute(options)
        except (OSError, UnknownProfileError) as error:
            raise CommandError(str(error)) from error
