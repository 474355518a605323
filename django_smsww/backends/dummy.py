"""A backend that accepts everything and does nothing with it."""

from __future__ import annotations

from ..message import SMS
from ..segments import SegmentCount
from .local import LocalSMSBackend


class SMSBackend(LocalSMSBackend):
    """Accept messages and drop them."""

    def accept(self, sms: SMS, provider_id: str, count: SegmentCount) -> None:
        """Do nothing."""
