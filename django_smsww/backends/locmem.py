"""A backend for tests: it keeps what was sent in a list."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, fields
from typing import Any

from ..segments import SegmentCount
from ..sms import SMS
from .local import LocalSMSBackend


@dataclass(frozen=True, slots=True, kw_only=True)
class SentSMS(SMS):
    """A message in the outbox: what was sent, by which alias and under which provider id."""

    sent_using: str = ""
    provider_id: str = ""


outbox: list[SentSMS] = []
"""What was sent since the list was last cleared, oldest first. Dry runs are not in it."""


class SMSBackend(LocalSMSBackend):
    """Put messages into the `outbox`."""

    def accept(self, sms: SMS, provider_id: str, count: SegmentCount) -> None:
        """Put a copy into the outbox, unless it is a dry run."""
        if sms.dry_run:
            return
        values: dict[str, Any] = {field.name: getattr(sms, field.name) for field in fields(SMS)}
        values["custom"] = deepcopy(sms.custom)  # the caller may go on changing theirs
        # Appending is atomic, so threads need no lock.
        outbox.append(SentSMS(**values, sent_using=self.alias, provider_id=provider_id))
