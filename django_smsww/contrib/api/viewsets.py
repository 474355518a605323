"""The viewsets. A subclass can override `get_queryset()` to limit the rows that a user reaches."""

from collections import Counter
from typing import Any

from django.db import IntegrityError
from django.db.models import Count, QuerySet
from django.utils.translation import gettext as _
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.mixins import (
    CreateModelMixin,
    DestroyModelMixin,
    ListModelMixin,
    RetrieveModelMixin,
)
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from django_smsww.backends.handler import sms_backends
from django_smsww.exceptions import InvalidSMS, SMSError, SMSLimited
from django_smsww.models import Batch, Message, Suppression
from django_smsww.models.batch import stop_batch
from django_smsww.reconcile import refresh, why_not_refreshable
from django_smsww.sending.api import resend
from django_smsww.states import State

from .exceptions import Conflict, KeyUsed, no_answer
from .filtersets import MessageFilterSet, SuppressionFilterSet
from .idempotency import key_of, rows_of, send_many, send_once
from .mixins import HistoryMixin, SendingMixin
from .serializers import (
    BatchDetailSerializer,
    BatchSerializer,
    CancelSerializer,
    MassSMSSerializer,
    MessageDetailSerializer,
    MessageSerializer,
    ResendSerializer,
    SMSSerializer,
    SuppressionSerializer,
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
        "refresh": (*VIEW, "refresh_message"),
    }

    def get_queryset(self) -> QuerySet[Any]:
        rows: Any = super().get_queryset()
        is_one = self.action == "retrieve"
        return rows.select_related("resend_of", "resent_as") if is_one else rows

    def create(self, request: Request, **kwargs: Any) -> Response:
        """Send one message."""
        key, serializer = key_of(request), self.get_valid_serializer()
        backend = sms_backends[serializer.validated_data["alias"]]
        return self.show(send_once(serializer.as_sms(key), backend, request.user))

    @action(detail=True, methods=["post"])
    def resend(self, request: Request, **kwargs: Any) -> Response:
        """Send a finished message again, as a new message. A message can be resent only once."""
        key, serializer = key_of(request), self.get_valid_serializer()
        message = self.get_object()
        if known := rows_of(key).first():
            return self.show(_same_resend(known, message))
        if message.state == State.DELIVERED and not serializer.validated_data["delivered"]:
            raise Conflict(_("It was delivered. To resend it anyway, send “delivered”: true."))
        try:
            return self.show(resend(message, created_by=request.user, key=key))
        except SMSError as error:
            return self.show(_resent(error, message, key))

    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, **kwargs: Any) -> Response:
        """Cancel a QUEUED message."""
        serializer = self.get_valid_serializer()
        message = self.get_object()
        row = Message.objects.using(message._state.db).filter(pk=message.pk)
        is_cancelled = row.cancel(by=request.user, reason=serializer.validated_data["reason"])
        message.refresh_from_db()
        if not is_cancelled and message.state != State.CANCELLED:
            raise Conflict(_("It is not in the queue."))
        return Response(self.represent(message))

    @action(detail=True, methods=["post"])
    def refresh(self, request: Request, **kwargs: Any) -> Response:
        """Ask the gateway for the state of a message. This is free, and sends no message."""
        message = self.get_object()
        if reason := why_not_refreshable(message):
            raise Conflict(_(reason))
        [answer] = refresh([message])
        if answer.error is not None:
            raise no_answer(answer.error)
        if answer.is_missing:
            raise Conflict(_("The gateway has no such message."))
        return Response(self.represent(message))

    def represent(self, row: Message) -> Any:
        """Return the message in the format of the list."""
        return MessageSerializer(row, context=self.get_serializer_context()).data

    def show(self, row: Message) -> Response:
        """Return the response for a message after an attempt to send the message."""
        return self.answer(self.represent(row), {row.state}, reference=row.reference)


def _same_resend(known: Message, message: Message) -> Message:
    if known.resend_of_id != message.pk:
        raise KeyUsed
    return known


def _resent(error: SMSError, message: Message, key: str) -> Message:
    """Return the row of a resend that ended with `error`. If none is stored, raise an API error."""
    if error.message:
        return error.message
    known = None if isinstance(error, SMSLimited) else rows_of(key).first()
    if known:  # a repeated request was faster
        return _same_resend(known, message)
    if isinstance(error, InvalidSMS):
        raise Conflict(error.explain()) from None
    raise no_answer(error) from None


class BatchViewSet(SendingMixin, ListModelMixin, RetrieveModelMixin, GenericViewSet):
    """Mass sends, the newest first."""

    queryset = Batch.objects.all()
    serializer_class = BatchSerializer
    serializer_classes = {
        "create": MassSMSSerializer,
        "retrieve": BatchDetailSerializer,
        "stop": CancelSerializer,
    }
    lookup_field = "reference"
    lookup_value_converter = "uuid"
    action_permissions = {
        "metadata": VIEW,
        "list": VIEW,
        "retrieve": VIEW,
        "create": (*VIEW, "send_message", "mass_send_message"),
        "stop": (*VIEW, "cancel_message"),
    }

    def get_object(self) -> Any:
        """Return the batch. Answer 409 if several aliases have a batch with this reference."""
        try:
            return super().get_object()
        except Batch.MultipleObjectsReturned:
            raise Conflict(
                _(
                    "The messages of this batch belong to several aliases: look at the batch in "
                    "the admin."
                )
            ) from None

    def retrieve(self, request: Request, **kwargs: Any) -> Response:
        """Return a batch with the number of its messages in each state."""
        return Response(self.represent(self.get_object()))

    def create(self, request: Request, **kwargs: Any) -> Response:
        """Send one text to many numbers. With over 20 numbers, all messages wait for a worker."""
        key, serializer = key_of(request), self.get_valid_serializer()
        fields, sms = serializer.validated_data, serializer.as_sms(key)
        backend = sms_backends[fields["alias"]]
        batch, rows = send_many(sms, fields["recipients"], backend, request.user)
        states = Counter(str(row.state) for row in rows)
        # Without rows nobody knows how many were written.
        outcome = states or {State.UNKNOWN}
        return self.answer(self.represent(batch, states), outcome, reference=batch.reference)

    @action(detail=True, methods=["post"])
    def stop(self, request: Request, **kwargs: Any) -> Response:
        """Cancel the QUEUED messages of a batch."""
        serializer, batch = self.get_valid_serializer(), self.get_object()
        stop_batch(
            batch.alias,
            batch.environment,
            batch.reference,
            using=batch._state.db,
            by=request.user,
            reason=serializer.validated_data["reason"],
        )
        return Response(self.represent(batch))

    def represent(self, batch: Any, states: Counter[str] | None = None) -> Any:
        """Return a batch with the number of its messages in each state.

        If `states` is None, count the messages in the database.
        """
        batch.states = dict(_states_of(batch) if states is None else states)
        return BatchDetailSerializer(batch, context=self.get_serializer_context()).data


def _states_of(batch: Batch) -> Any:
    rows = Message.objects.using(batch._state.db).of(batch.alias, batch.environment)
    groups = rows.filter(batch=batch.reference).order_by().values_list("state")
    return groups.annotate(Count("pk"))


class SuppressionViewSet(
    HistoryMixin,
    CreateModelMixin,
    ListModelMixin,
    RetrieveModelMixin,
    DestroyModelMixin,
    GenericViewSet,
):
    """The do-not-send list. You can add and delete entries, but not change them."""

    queryset = Suppression.objects.all()
    serializer_class = SuppressionSerializer
    filterset_class = SuppressionFilterSet
    lookup_value_converter = "int"
    action_permissions = {
        "metadata": ("view_suppression",),
        "list": ("view_suppression",),
        "retrieve": ("view_suppression",),
        "create": ("view_suppression", "add_suppression"),
        "destroy": ("view_suppression", "delete_suppression"),
    }

    def perform_create(self, serializer: Any) -> None:
        try:
            serializer.save(created_by=self.request.user)
        except IntegrityError:  # another request was faster
            raise ValidationError({"recipient": [_("It is on the list already.")]}) from None
