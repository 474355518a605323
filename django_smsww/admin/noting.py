"""What the gateway noted of its callbacks to one message, asked for with a button."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..exceptions import SMSError
from ..models import Message
from ..provider_callbacks import ProviderCallbacks, can_be_asked, provider_callbacks
from .display import badge
from .doing import DeedAdmin
from .frame import framed

NAME = "django_smsww_message_noted"


class NotingAdmin(DeedAdmin):
    """A page that asks the account host, on a POST: the account may be charged for each request."""

    def has_noting_permission(self, request: HttpRequest) -> bool:
        """Whether the user may ask the gateway, and see what callbacks say."""
        return self.may(request, "refresh") and request.user.has_perm("django_smsww.view_callback")

    def get_urls(self) -> list[Any]:
        """Add the page."""
        view = transaction.non_atomic_requests(self.admin_site.admin_view(self.noted))
        return [path("<int:object_id>/noted/", view, name=NAME), *super().get_urls()]

    def message_buttons(self, request: HttpRequest, message: Message) -> list[dict[str, Any]]:
        """Return the deeds, and this page where there is an account to be asked."""
        buttons = self.buttons(request, message)
        if not self.has_noting_permission(request) or not can_be_asked(message):
            return buttons
        address = reverse(f"admin:{NAME}", args=(message.pk,), current_app=self.admin_site.name)
        return [*buttons, {"name": "noted", "label": _("Callbacks sent…"), "page": address}]

    def noted(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Say what will be asked, and on POST ask it and show the answer."""
        if not self.has_noting_permission(request):
            raise PermissionDenied
        message = self.get_object(request, str(object_id))
        if message is None or not can_be_asked(message):
            raise Http404
        noted = self._ask_account(request, message) if request.method == "POST" else None
        title = gettext("What the gateway noted of its callbacks")
        return framed(
            self,
            request,
            "message/noted.html",
            title=title,
            original=message,
            noted=noted,
            lines=[(each, badge(each.state)) for each in noted.callbacks] if noted else [],
        )

    def _ask_account(self, request: HttpRequest, message: Message) -> ProviderCallbacks | None:
        try:
            return provider_callbacks(message)
        except SMSError as error:
            said = gettext("The gateway gave no answer: %s") % error.explain()
            self.message_user(request, said, messages.WARNING)
            return None
