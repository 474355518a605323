"""A check for django-health-check: fails while an alias sends nothing."""

from __future__ import annotations

import dataclasses

from django.db import DatabaseError, connections, router
from django.utils import timezone
from health_check.base import HealthCheck
from health_check.exceptions import ServiceUnavailable

from django_smsww.backends.handler import sms_backends
from django_smsww.exceptions import InvalidSMSBackend
from django_smsww.models import Message
from django_smsww.operations.findings import Finding, find_stops
from django_smsww.operations.records import read_open


@dataclasses.dataclass
class SMSHealthCheck(HealthCheck):
    """Fail if this alias is suspended or misconfigured, or if due messages have waited for long.

    It reads the database alone. No request costs the gateway anything.
    """

    alias: str = "default"

    def run(self) -> None:
        """Raise ServiceUnavailable, with the remedy and without numbers, texts and tokens."""
        try:
            found = self._find()
        except (InvalidSMSBackend, DatabaseError) as error:
            raise ServiceUnavailable(type(error).__name__) from None
        if found:
            raise ServiceUnavailable(" ".join(finding.text for finding in found))

    def _find(self) -> list[Finding]:
        using, now = router.db_for_read(Message), timezone.now()
        # Each check runs in a thread, and a connection that it opens would stay open.
        with connections[using].temporary_connection():
            return find_stops(read_open(sms_backends[self.alias], using, now), now)
