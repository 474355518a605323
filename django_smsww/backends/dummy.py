"""A backend that accepts everything and does nothing with it."""

from __future__ import annotations

from ..segments import SegmentCount
from ..sms import SMS
from .local import LocalSMSBackend


class SMSBackend(LocalSMSBackend):
    """Accept messages and drop them."""

    def accept(self, sms: SMS, provider_id: str, count: SegmentCount) -> None:
        """Do nothing."""
