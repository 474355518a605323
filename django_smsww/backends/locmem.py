"""A backend for tests, which appends messages to a list."""

from copy import deepcopy
from dataclasses import dataclass, fields
from typing import Any

from ..segments import SegmentCount
from ..sms import SMS
from .local import LocalSMSBackend


@dataclass(frozen=True, slots=True, kw_only=True)
class SentSMS(SMS):
    """A message in the outbox, with its alias (`sent_using`) and its provider id."""

    sent_using: str = ""
    provider_id: str = ""


outbox: list[SentSMS] = []
"""The messages sent since the list was last cleared, oldest first, without dry runs."""


class SMSBackend(LocalSMSBackend):
    def accept(self, sms: SMS, provider_id: str, count: SegmentCount) -> None:
        if sms.dry_run:
            return
        values: dict[str, Any] = {field.name: getattr(sms, field.name) for field in fields(SMS)}
        values["custom"] = deepcopy(sms.custom)  # the caller may change theirs
        # Appending is atomic, so threads need no lock.
        outbox.append(SentSMS(**values, sent_using=self.alias, provider_id=provider_id))
