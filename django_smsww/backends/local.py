"""The base of the backends for development and tests: nothing leaves the machine."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from ..segments import SegmentCount, count_segments
from ..sms import SMS, SendResult
from .base import BaseSMSBackend, environment_of


class LocalSMSBackend(BaseSMSBackend):
    """Accept messages in place of the gateway.

    It ignores the options of the openapi backend, so that one entry of the setting works with
    either; only `callback_url` still names the environment.
    """

    delivers_on_commit = False

    def __init__(
        self,
        *,
        environment: str = "",
        callback_url: Any = None,
        token: Any = None,
        host: Any = None,
        route: Any = None,
        callback_method: Any = None,
        callback_retry: Any = None,
        timeout: Any = None,
        account_email: Any = None,
        api_key: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(environment=environment or environment_of(callback_url), **options)

    def send(self, sms: SMS) -> SendResult:
        count = count_segments(sms.body)
        # Random, because the ids on the rows outlive the process.
        provider_id = "" if sms.dry_run else f"local-{uuid4().hex}"
        self.accept(sms, provider_id, count)
        return SendResult(
            provider_id=provider_id,
            state="NEW",
            encoding=count.encoding,
            characters=count.characters,
            segments=count.segments,
        )

    def accept(self, sms: SMS, provider_id: str, count: SegmentCount) -> None:
        """Deliver the message in the backend's own way. Several threads call it at once."""
        raise NotImplementedError("A subclass of LocalSMSBackend must define accept().")
