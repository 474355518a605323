"""A provider whose list a test writes itself, to be asked by reconcile."""

from datetime import timedelta
from uuid import uuid4

from django.utils import timezone

from django_smsww.backends.base import BaseSMSBackend
from django_smsww.gateway.signature import custom_stamp
from django_smsww.sms import SendResult

LINE = "live.example"


class ListedBackend(BaseSMSBackend):
    """Answer look-ups from `entries`, which stand in the order in which they are listed.

    Attributes:
        page_size: how many the provider lists at most.
        records: what it says of single messages, where that differs from the list.
        on_page: called before each page with its number, as what happens meanwhile.
    """

    def __init__(self, *entries, page_size=100, **options):
        super().__init__(alias="default", environment=LINE, **options)
        self.entries, self.page_size = list(entries), page_size
        self.records, self.asked, self.skips = {}, [], []
        self.on_page = lambda number: None

    def fetch_page(self, skip, limit):
        self.on_page(len(self.skips))
        self.skips.append(skip)
        return self.entries[skip : skip + min(limit, self.page_size)]

    def fetch(self, provider_id):
        self.asked.append(provider_id)
        listed = {entry.provider_id: entry for entry in self.entries}
        answer = self.records.get(provider_id, listed.get(provider_id))
        if isinstance(answer, Exception):
            raise answer
        return answer


def ago(minutes):
    return timezone.now() - timedelta(minutes=minutes)


def stamp(message, environment=None):
    environment = message.environment if environment is None else environment
    return custom_stamp(message.reference, environment)


def entry(message, *, echo=True, clock=timedelta(0), **facts):
    """Return what the provider's list says of a message, by a clock that may be ahead of ours."""
    at = (message.claimed_at or message.created_at) + timedelta(seconds=1) + clock
    return SendResult(
        **{
            "provider_id": message.provider_id or f"p-{uuid4().hex}",
            "state": "DELIVERED",
            "recipient": message.recipient,
            "sender": message.sender,
            "body": message.body,
            "created_at": at,
            "updated_at": at,
            "custom": stamp(message) if echo else {},
            **facts,
        }
    )
