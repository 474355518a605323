"""What the viewsets share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.db import connections, transaction
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django_filters.rest_framework import DjangoFilterBackend

from .pagination import NewestFirstPagination
from .permissions import HasActionPermissions


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

        In one, a message would leave at its end, after the answer was made. Reports of a fault
        show none of its variables: they hold numbers and texts.
        """
        view = super().as_view(*args, **kwargs)  # type: ignore[misc]
        view = sensitive_post_parameters()(sensitive_variables()(view))
        for alias in connections:
            view = transaction.non_atomic_requests(using=alias)(view)
        return view
