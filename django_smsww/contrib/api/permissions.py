"""The permissions of the models, as the admin asks for them."""

from __future__ import annotations

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request


class HasActionPermissions(BasePermission):
    """Ask for the permissions that the viewset names in `action_permissions` for its action.

    A name without an app is one of django_smsww.

    An action without an entry there is refused, so that a new one is not open by mistake.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        user = request.user
        if not (user and user.is_authenticated):
            return False
        # No action is a method that is not allowed, which the view answers itself.
        names = view.action_permissions.get(view.action or "metadata")
        return names is not None and user.has_perms(map(_with_app, names))


def _with_app(name: str) -> str:
    return name if "." in name else f"django_smsww.{name}"
