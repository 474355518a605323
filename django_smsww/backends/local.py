"""The base class of the backends for development and tests. These backends send nothing."""

from typing import Any
from uuid import uuid4

from ..segments import SegmentCount, count_segments
from ..sms import SMS, SendResult
from .base import BaseSMSBackend, environment_of


class LocalSMSBackend(BaseSMSBackend):
    """Accept messages, and send nothing.

    You can keep the OPTIONS of the openapi backend. Options that only the openapi backend uses have
    no effect, with one exception: if `environment` is not set, the host of `callback_url` is used
    as the environment.
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
        """Store, show or drop the message. This method must be thread-safe."""
        raise NotImplementedError("A subclass of LocalSMSBackend must define accept().")
