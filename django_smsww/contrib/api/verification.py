"""The viewset that verifies telephone numbers. It needs the app `contrib.verification`."""

from datetime import datetime
from typing import Any

from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from django_smsww.backends.handler import sms_backends
from django_smsww.contrib import verification  # its names import models of its app
from django_smsww.contrib.code_limits import reason
from django_smsww.contrib.verification.settings import VerificationOptions
from django_smsww.exceptions import InvalidSMS, SMSError, SMSLimited, SMSOutcomeUnknown
from django_smsww.models import Message
from django_smsww.numbers import is_e164
from django_smsww.states import State

from .exceptions import KeyUsed, Limited, NotSent
from .idempotency import key_of, may_try_again, rows_of
from .mixins import SendingMixin

VERIFY = ("smsww_verification.verify_number",)


class NumberSerializer(serializers.Serializer):
    number: Any = serializers.CharField(max_length=100)


class CodeSerializer(NumberSerializer):
    code: Any = serializers.CharField(max_length=64)


class VerificationSerializer(serializers.Serializer):
    """The answer after a code was sent."""

    expires_at: Any = serializers.DateTimeField()


class VerificationViewSet(SendingMixin, GenericViewSet):
    """Verification of telephone numbers with codes by SMS."""

    queryset = Message.objects.none()
    serializer_class = NumberSerializer
    serializer_classes = {"check": CodeSerializer}
    action_permissions = {"metadata": VERIFY, "create": VERIFY, "check": VERIFY}

    def create(self, request: Request, **kwargs: Any) -> Response:
        """Send a code to a number."""
        key = f"{key_of(request)}:code"  # a message may have the same Idempotency-Key
        number = self.get_valid_serializer().validated_data["number"]
        known = rows_of(key).first()
        if known and not may_try_again(known):
            return self.show_known(known, number)
        try:
            started = verification.start_verification(number, key=key, created_by=request.user)
        except SMSOutcomeUnknown as error:
            return self.show(error.message)
        except SMSError as error:
            raise _refusal(error) from None
        return self.show(rows_of(key).first(), started.expires_at)

    @action(detail=False, methods=["post"])
    def check(self, request: Request, **kwargs: Any) -> Response:
        """Check a code. Each call uses up one allowed attempt. A correct code works once."""
        fields = self.get_valid_serializer().validated_data
        try:
            number = verification.check_verification(fields["number"], fields["code"])
        except verification.VerificationFailed as error:
            texts = [ErrorDetail(text, error.code) for text in error.messages]
            raise ValidationError({"code": texts, "error": error.code}) from None
        return Response({"number": number})

    def show_known(self, row: Message, number: str) -> Response:
        """Answer a repeated request. `row` is the message of the first request."""
        backend = sms_backends[VerificationOptions.read().using]
        if is_e164(row.recipient) and row.recipient != backend.read_recipient(number):
            raise KeyUsed
        if row.state in (State.FAILED, State.CANCELLED):
            raise _refusal(row.as_error())
        return self.show(row)

    def show(self, row: Message | None, expires_at: datetime | None = None) -> Response:
        """Answer with the time at which the code expires.

        If the number is in the option `test_numbers`, no message is sent, and `row` is None.
        """
        data = VerificationSerializer({"expires_at": row.expires_at if row else expires_at}).data
        return self.answer(data, {row.state} if row else ())


def _refusal(error: SMSError) -> Exception:
    """Return the API exception for `error`. The caller knows that no code was sent."""
    if isinstance(error, SMSLimited):
        return Limited(error)
    is_final = error.message is not None and not may_try_again(error.message)
    if isinstance(error, InvalidSMS) or is_final:
        return ValidationError({"number": [ErrorDetail(reason(error), error.code)]})
    return NotSent(error)
