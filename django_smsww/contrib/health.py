"""A check for django-health-check. It fails if an alias cannot send."""

import dataclasses

from django.db import DatabaseError, connections, router
from django.utils import timezone
from health_check.base import HealthCheck
from health_check.exceptions import ServiceUnavailable

from django_smsww.backends.handler import sms_backends
from django_smsww.exceptions import InvalidSMSBackend
from django_smsww.models import Message
from django_smsww.operations.findings import find_stops
from django_smsww.operations.records import read_open


@dataclasses.dataclass
class SMSHealthCheck(HealthCheck):
    """Fail if the alias is suspended or misconfigured, or if queued messages are ten minutes late.

    Also fail if the database cannot be read. The check sends no request to the gateway.
    """

    alias: str = "default"

    def run(self) -> None:
        """Raise ServiceUnavailable if the alias cannot send.

        The text of the error contains no telephone numbers, message texts or tokens.
        """
        using, now = router.db_for_read(Message), timezone.now()
        try:
            # Each check runs in a thread of its own, which would leave its connection open.
            with connections[using].temporary_connection():
                found = find_stops(read_open(sms_backends[self.alias], using, now), now)
        except (InvalidSMSBackend, DatabaseError) as error:
            raise ServiceUnavailable(type(error).__name__) from None
        if found:
            raise ServiceUnavailable(" ".join(finding.text for finding in found))
