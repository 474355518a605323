"""Codes that the gateway makes up and sends itself (`POST /otp` of specification 1.2.7).

It offers no way to check a code. It returns it in clear, so that the caller can compare it; here
it lives in memory alone, until its digest is stored.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db import router
from django.db.transaction import TransactionManagementError
from django.utils import timezone
from django.utils.translation import gettext
from django_otp.util import random_number_token

from django_smsww.backends.base import BaseSMSBackend
from django_smsww.backends.local import LocalSMSBackend
from django_smsww.backends.openapi import SMSBackend as OpenapiSMSBackend
from django_smsww.delivery import is_open_transaction
from django_smsww.exceptions import InvalidSMSBackend, SMSError, SMSOutcomeUnknown
from django_smsww.handler import sms_backends
from django_smsww.message import SMS, SendResult
from django_smsww.models import Message
from django_smsww.outgoing import Outgoing
from django_smsww.sending import send_one
from django_smsww.storing import HOOK_GRACE

# A worker that found the row later would send its text. It finds it expired instead.
LIFETIME = HOOK_GRACE - timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class ProviderCode:
    """A code that was sent, and the row of its message."""

    message: Message
    code: str = field(repr=False)


def send_provider_code(
    recipient: str, *, using: str, length: int, tag: str, created_by: Any = None
) -> ProviderCode:
    """Have the gateway send a code now, and return it.

    Raises:
        SMSError: as `send_sms` does; or the gateway did not say which code it has sent.
        InvalidSMSBackend: the alias's backend cannot do this.
        TransactionManagementError: a transaction is open: a rollback would erase the row.
    """
    backend = CodeBackend(sms_backends[using], length)
    if backend.delivers_on_commit and is_open_transaction(router.db_for_write(Message)):
        raise TransactionManagementError("Call it from transaction.on_commit().")
    sms = SMS(
        gettext("A code that the gateway made up"),
        recipient,
        tag=tag,
        sensitive=True,
        expires_at=timezone.now() + LIFETIME,
    )
    message = send_one(Outgoing(backend, queue=False, created_by=created_by), sms)
    if not backend.code:
        # But for a dry run it was sent and paid for, so limits must not take it back.
        kind = SMSError if message.dry_run else SMSOutcomeUnknown
        error = kind("The gateway did not say which code it has sent", code="no_code")
        error.message = message
        raise error
    return ProviderCode(message, backend.code)


class CodeBackend(BaseSMSBackend):
    """Has a code sent in the place of a text, under the policy of another backend."""

    def __init__(self, origin: BaseSMSBackend, length: int) -> None:
        # All that is known of the other: its options have been checked.
        vars(self).update(vars(origin))
        self.origin, self.length, self.code = origin, length, ""
        self.sender = ""  # the gateway's own
        self._request_code = self._by_gateway
        if isinstance(origin, LocalSMSBackend):
            self.delivers_on_commit = False
            self._request_code = self._by_ourselves
        elif not isinstance(origin, OpenapiSMSBackend):
            text = "OTP_SMSWW_PROVIDER_CODES needs an alias of the openapi backend."
            raise InvalidSMSBackend(text, alias=origin.alias)

    @property
    def rate_scope(self) -> str:
        return self.origin.rate_scope

    def send(self, sms: SMS) -> SendResult:
        return self._request_code(sms)

    def route_for(self, sms: SMS) -> str:
        return "OTP"

    def _by_gateway(self, sms: SMS) -> SendResult:
        answer = self.origin.client.send_otp(  # type: ignore[attr-defined]
            sms.recipient,
            length=self.length,
            dry_run=bool(sms.dry_run),
            callback=self.origin.callback_for(sms),  # type: ignore[attr-defined]
        )
        self.code = answer.code
        return answer.result

    def _by_ourselves(self, sms: SMS) -> SendResult:
        """Do as the gateway would, where nothing leaves the process."""
        self.code = random_number_token(self.length)
        return self.origin.send(sms.replace(body=f"Your verification code is {self.code}"))
