"""A backend that accepts messages and drops them."""

from ..segments import SegmentCount
from ..sms import SMS
from .local import LocalSMSBackend


class SMSBackend(LocalSMSBackend):
    def accept(self, sms: SMS, provider_id: str, count: SegmentCount) -> None:
        """Drop the message."""
