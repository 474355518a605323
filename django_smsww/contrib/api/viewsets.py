"""The viewsets. A project subclasses them, and narrows `get_queryset()` down."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.viewsets import GenericViewSet

from django_smsww.models import Message

from .filtersets import MessageFilterSet
from .mixins import HistoryMixin
from .serializers import MessageDetailSerializer, MessageSerializer

VIEW = ("view_message",)


class MessageViewSet(HistoryMixin, ListModelMixin, RetrieveModelMixin, GenericViewSet):
    """Messages, the newest first."""

    queryset = Message.objects.all()
    serializer_class = MessageSerializer
    filterset_class = MessageFilterSet
    lookup_field = "reference"
    lookup_value_converter = "uuid"
    action_permissions = {"metadata": VIEW, "list": VIEW, "retrieve": VIEW}

    def get_queryset(self) -> QuerySet[Any]:
        rows: Any = super().get_queryset()
        is_one = self.action == "retrieve"
        return rows.select_related("resend_of", "resent_as") if is_one else rows

    def get_serializer_class(self) -> type[Any]:
        return MessageDetailSerializer if self.action == "retrieve" else MessageSerializer
