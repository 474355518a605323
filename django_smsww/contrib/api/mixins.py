"""What the viewsets share."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any, ClassVar

from django.core.exceptions import ImproperlyConfigured
from django.db import Error as StorageError
from django.urls import NoReverseMatch
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.exceptions import ParseError
from rest_framework.request import Request
from rest_framework.response import Response

from django_smsww.backends.handler import sms_backends
from django_smsww.exceptions import InvalidSMS
from django_smsww.models.commit import outside_transactions
from django_smsww.states import State

from .exceptions import NotSent, as_field_errors
from .pagination import NewestFirstPagination
from .permissions import HasActionPermissions

logger = logging.getLogger("django_smsww")

UNSETTLED = frozenset({State.QUEUED, State.SENDING, State.UNKNOWN})
"""The states of messages that the gateway has not answered for."""


class HistoryMixin:
    """Rows of the package: their permissions, filters and pages.

    Authentication and throttles are the project's.
    """

    permission_classes: Any = [HasActionPermissions]
    filter_backends: Any = [DjangoFilterBackend]
    pagination_class: Any = NewestFirstPagination
    action_permissions: ClassVar[Mapping[str, tuple[str, ...]]]
    """The permissions of each action, by their names in the models."""

    @classmethod
    def as_view(cls, *args: Any, **kwargs: Any) -> Any:
        """Return the view, outside the transactions that a project opens for its requests.

        Error reports of Django show none of its variables, which hold numbers and texts.
        """
        view = super().as_view(*args, **kwargs)  # type: ignore[misc]
        return outside_transactions(sensitive_post_parameters()(sensitive_variables()(view)))

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse a body that is nested too deep; REST framework would answer 500."""
        super().initial(request, *args, **kwargs)  # type: ignore[misc]
        try:
            _ = request.data
        except RecursionError:
            raise ParseError from None


class SendingMixin(HistoryMixin):
    """Actions that send, and what they answer; see Note [Statuses that are not repeated]."""

    serializer_classes: ClassVar[Mapping[str, type[Any]]]
    """The serializers of actions that have another one than `serializer_class`."""

    def get_serializer_class(self) -> type[Any]:
        default = super().get_serializer_class()  # type: ignore[misc]
        return self.serializer_classes.get(self.action, default)  # type: ignore[attr-defined]

    def get_aliases(self) -> Collection[str]:
        """Return the aliases that the user may send with: all of the settings.

        A project whose aliases belong to tenants returns those of the user's tenant.
        """
        return list(sms_backends)

    def get_valid_serializer(self) -> Any:
        serializer = self.get_serializer(data=self.request.data)  # type: ignore[attr-defined]
        serializer.is_valid(raise_exception=True)
        return serializer

    def handle_exception(self, exc: Exception) -> Response:
        """Answer 503 where the database, or the configuration, keeps a message from being sent."""
        is_fault = isinstance(exc, StorageError | ImproperlyConfigured)
        if is_fault and self.request.method == "POST":  # type: ignore[attr-defined]
            # The text of the error may quote what was to be stored.
            kind = type(exc).__name__
            logger.error("Nothing was sent over the API: %s", kind, extra={"reason": kind})
            exc = NotSent()
        if isinstance(exc, InvalidSMS):
            exc = as_field_errors(exc, self.get_serializer().fields)  # type: ignore[attr-defined]
        return super().handle_exception(exc)  # type: ignore[misc]

    def answer(self, data: Any, states: Collection[str], **location: Any) -> Response:
        """Answer with rows that exist: 202 if the gateway has not answered for one, or else 201."""
        status = 202 if UNSETTLED.intersection(states) else 201
        headers = {}
        with suppress(NoReverseMatch):  # the message is sent, wherever its page is
            headers["Location"] = self.reverse_action("detail", kwargs=location)  # type: ignore[attr-defined]
        return Response(data, status=status, headers=headers)
