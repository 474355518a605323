"""Base classes of the API's viewsets."""

import logging
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any, ClassVar

from django.core.exceptions import ImproperlyConfigured
from django.db import Error as StorageError
from django.urls import NoReverseMatch
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.exceptions import NotFound, ParseError
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response

from django_smsww.backends.handler import sms_backends
from django_smsww.exceptions import InvalidSMS
from django_smsww.models.commit import outside_transactions
from django_smsww.states import State

from .exceptions import NotSent, as_field_errors

logger = logging.getLogger("django_smsww")

UNSETTLED = frozenset({State.QUEUED, State.SENDING, State.UNKNOWN})
"""The states of messages without a result yet. The API answers 202 for these states."""

MOST_DIGITS = 18
"""The maximum number of digits of a primary key in a pagination cursor."""


class HasActionPermissions(BasePermission):
    """Require the permissions that the viewset lists in `action_permissions` for the action.

    A permission without an app label belongs to django_smsww. An action without an entry is
    refused.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        user = request.user
        if not (user and user.is_authenticated):
            return False
        # Without an action, the view answers 405: the method is not allowed.
        names = view.action_permissions.get(view.action or "metadata")
        return names is not None and user.has_perms(
            name if "." in name else f"django_smsww.{name}" for name in names
        )


class NewestFirstPagination(CursorPagination):
    """Cursor pagination by primary key, the newest rows first. No query counts the rows."""

    ordering = "-pk"
    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 500

    def decode_cursor(self, request: Request) -> Cursor | None:
        """Decode a cursor. Answer 404 if it does not contain a primary key."""
        cursor: Any = super().decode_cursor(request)
        position = cursor.position if cursor else None
        if position and not (position.isdecimal() and len(position) <= MOST_DIGITS):
            raise NotFound(self.invalid_cursor_message)
        return cursor


class HistoryMixin:
    """The permissions, filters and pagination of all viewsets.

    The project's REST framework settings define authentication and throttling.
    """

    permission_classes: Any = [HasActionPermissions]
    filter_backends: Any = [DjangoFilterBackend]
    pagination_class: Any = NewestFirstPagination
    action_permissions: ClassVar[Mapping[str, tuple[str, ...]]]
    """The required permissions of each action, such as {"create": ("send_message",)}."""

    @classmethod
    def as_view(cls, *args: Any, **kwargs: Any) -> Any:
        """Return the view without the transaction of ATOMIC_REQUESTS.

        The view's variables contain personal data, so Django's error reports leave them out.
        """
        view = super().as_view(*args, **kwargs)  # type: ignore[misc]
        return outside_transactions(sensitive_post_parameters()(sensitive_variables()(view)))

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Answer 400 if the body is nested too deeply. REST framework would answer 500."""
        super().initial(request, *args, **kwargs)  # type: ignore[misc]
        try:
            _ = request.data
        except RecursionError:
            raise ParseError from None


class SendingMixin(HistoryMixin):
    """Base of viewsets that send: see Note [Statuses that the API avoids] in `api.exceptions`."""

    serializer_classes: ClassVar[Mapping[str, type[Any]]]
    """The serializers of some actions. All other actions use `serializer_class`."""

    def get_serializer_class(self) -> type[Any]:
        default = super().get_serializer_class()  # type: ignore[misc]
        return self.serializer_classes.get(self.action, default)  # type: ignore[attr-defined]

    def get_aliases(self) -> Collection[str]:
        """Return the aliases with which the user may send: by default, all aliases of SMSWW.

        If each tenant has its own alias, your subclass can return the aliases of the user's tenant.
        """
        return list(sms_backends)

    def get_valid_serializer(self) -> Any:
        serializer = self.get_serializer(data=self.request.data)  # type: ignore[attr-defined]
        serializer.is_valid(raise_exception=True)
        return serializer

    def handle_exception(self, exc: Exception) -> Response:
        """Answer 400 to an InvalidSMS. Answer 503 if a database or settings error stops a POST."""
        is_fault = isinstance(exc, StorageError | ImproperlyConfigured)
        if is_fault and self.request.method == "POST":  # type: ignore[attr-defined]
            # The text of the error may quote stored values.
            kind = type(exc).__name__
            logger.error("Nothing was sent over the API: %s", kind, extra={"reason": kind})
            exc = NotSent()
        if isinstance(exc, InvalidSMS):
            exc = as_field_errors(exc, self.get_serializer().fields)  # type: ignore[attr-defined]
        return super().handle_exception(exc)  # type: ignore[misc]

    def answer(self, data: Any, states: Collection[str], **location: Any) -> Response:
        """Answer 202 if a message waits, is being sent or is UNKNOWN. Otherwise answer 201."""
        status = 202 if UNSETTLED.intersection(states) else 201
        headers = {}
        with suppress(NoReverseMatch):  # a project may leave the detail page out
            headers["Location"] = self.reverse_action("detail", kwargs=location)  # type: ignore[attr-defined]
        return Response(data, status=status, headers=headers)
