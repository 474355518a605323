"""The viewsets. A project subclasses them, and narrows `get_queryset()` down."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from django_smsww.backends.handler import sms_backends
from django_smsww.exceptions import InvalidSMS, SMSError, SMSLimited
from django_smsww.models import Message
from django_smsww.sending.api import resend
from django_smsww.states import State

from .exceptions import Conflict, KeyUsed, Limited, NotSent
from .filtersets import MessageFilterSet
from .idempotency import key_of, rows_of, send_once
from .mixins import SendingMixin
from .serializers import (
    CancelSerializer,
    MessageDetailSerializer,
    MessageSerializer,
    ResendSerializer,
    SMSSerializer,
)

VIEW = ("view_message",)


class MessageViewSet(SendingMixin, ListModelMixin, RetrieveModelMixin, GenericViewSet):
    """Messages, the newest first."""

    queryset = Message.objects.all()
    serializer_class = MessageSerializer
    serializer_classes = {
        "create": SMSSerializer,
        "retrieve": MessageDetailSerializer,
        "resend": ResendSerializer,
        "cancel": CancelSerializer,
    }
    filterset_class = MessageFilterSet
    lookup_field = "reference"
    lookup_value_converter = "uuid"
    action_permissions = {
        "metadata": VIEW,
        "list": VIEW,
        "retrieve": VIEW,
        "create": (*VIEW, "send_message"),
        "resend": (*VIEW, "resend_message"),
        "cancel": (*VIEW, "cancel_message"),
    }

    def get_queryset(self) -> QuerySet[Any]:
        rows: Any = super().get_queryset()
        is_one = self.action == "retrieve"
        return rows.select_related("resend_of", "resent_as") if is_one else rows

    def get_serializer_class(self) -> type[Any]:
        return self.serializer_classes.get(self.action, self.serializer_class)

    def create(self, request: Request, **kwargs: Any) -> Response:
        """Send one message."""
        key, serializer = key_of(request), self.get_valid_serializer()
        backend = sms_backends[serializer.validated_data["alias"]]
        return self.show(send_once(serializer.as_sms(key), backend, request.user))

    @action(detail=True, methods=["post"])
    def resend(self, request: Request, **kwargs: Any) -> Response:
        """Send a message once more, as a new one. A message is resent only once."""
        key, serializer = key_of(request), self.get_valid_serializer()
        message = self.get_object()
        if known := rows_of(key).first():
            return self.show(_same_resend(known, message))
        if message.state == State.DELIVERED and not serializer.validated_data["delivered"]:
            raise Conflict(
                _("It was delivered. To resend it all the same, send “delivered”: true.")
            )
        try:
            return self.show(resend(message, created_by=request.user, key=key))
        except SMSError as error:
            return self.show(_resent(error, message, key))

    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, **kwargs: Any) -> Response:
        """Cancel a message that waits to be sent."""
        serializer = self.get_valid_serializer()
        message = self.get_object()
        row = Message.objects.using(message._state.db).filter(pk=message.pk)
        is_cancelled = row.cancel(by=request.user, reason=serializer.validated_data["reason"])
        message.refresh_from_db()
        if not is_cancelled and message.state != State.CANCELLED:
            raise Conflict(_("It does not wait to be sent."))
        return Response(self.represent(message))

    def represent(self, row: Message) -> Any:
        """Return a row as the list shows it."""
        return MessageSerializer(row, context=self.get_serializer_context()).data

    def show(self, row: Message) -> Response:
        """Answer with the row of a message that was tried."""
        return self.answer(self.represent(row), {row.state}, reference=row.reference)


def _same_resend(known: Message, message: Message) -> Message:
    if known.resend_of_id != message.pk:
        raise KeyUsed
    return known


def _resent(error: SMSError, message: Message, key: str) -> Message:
    """Return the row of a resend that ended with this error, or refuse it."""
    if error.message:
        return error.message
    if isinstance(error, SMSLimited):
        raise Limited(error) from None
    if known := rows_of(key).first():  # a repeated request was faster
        return _same_resend(known, message)
    if isinstance(error, InvalidSMS):
        raise Conflict(error.explain()) from None
    raise NotSent(error) from None
