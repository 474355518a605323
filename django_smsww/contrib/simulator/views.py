"""A page that shows the messages of the simulator on telephones, for staff users."""

import json
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit

from django.contrib import admin, messages
from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from django_smsww.admin.formatting import badge
from django_smsww.admin.text import MarkedText
from django_smsww.backends.handler import sms_backends
from django_smsww.exceptions import InvalidSMSBackend
from django_smsww.gateway.network import is_loopback
from django_smsww.states import State

from .process import ask

STATES = (State.DELIVERED, State.UNDELIVERABLE, State.EXPIRED, State.REJECTED, State.PENDING)
CALLBACKS = (
    ("true", _("its callback comes")),
    ("lost", _("its callback gets lost")),
    ("twice", _("its callback comes twice")),
    ("late", _("its callback comes late")),
)


# The page shows texts, so it asks for the same permission as the history.
@never_cache
@staff_member_required
@permission_required("django_smsww.view_message_content", raise_exception=True)
@require_http_methods(["GET", "POST"])
def phones(request: HttpRequest) -> HttpResponse:
    """Show each number as a telephone with its messages. A POST controls the simulator."""
    url = simulator_url()
    if request.method == "POST":
        _control(request, url)
        query = "?live" if "live" in request.GET else ""
        return HttpResponseRedirect(reverse("smsww_phones") + query)
    context = admin.site.each_context(request) | {
        "title": _("Telephones of the simulator"),
        "url": url,
        "states": [(state.value, state.label) for state in STATES],
        "callbacks": CALLBACKS,
        "is_live": "live" in request.GET,
        **_read(url),
    }
    return TemplateResponse(request, "django_smsww/simulator/phones.html", context)


def simulator_url() -> str:
    """Return the first gateway URL in SMSWW that is on this machine, or "" if there is none."""
    for alias in sms_backends:
        try:
            client = getattr(sms_backends[alias], "client", None)
        except InvalidSMSBackend:
            continue
        if client is not None and is_loopback(urlsplit(client.url).hostname or ""):
            return str(client.url)
    return ""


def _read(url: str) -> dict[str, Any]:
    """Return the template context with the telephones and their messages, newest first.

    If the simulator does not answer, return only ``is_silent``.
    """
    try:
        found: dict[str, Any] = ask(url, "messages") if url else {"messages": [], "held": False}
    except (OSError, ValueError):
        return {"is_silent": True}
    numbers: dict[str, list[dict[str, Any]]] = {}
    for message in found["messages"]:
        numbers.setdefault(message["recipient"], []).append(_bubble(message))
    return {"phones": list(numbers.items()), "is_held": found["held"]}


def _bubble(message: dict[str, Any]) -> dict[str, Any]:
    return message | {
        "text": MarkedText.of(message["body"]),
        "badge": badge(message["state"]),
        "heard": [
            (one, State(one["state"]).label if one["state"] in State else one["state"])
            for one in message["callbacks"]
        ],
    }


def _control(request: HttpRequest, url: str) -> None:
    """Send the form's command to the simulator, and show errors to the user."""
    sent = request.POST
    commands: dict[str, dict[str, Any]] = {
        "hold": {"held": sent.get("held") == "yes"},
        "decide": {name: sent.get(name, "") for name in ("id", "state", "callbacks")},
        "repeat": {name: sent.get(name, "") for name in ("id", "callbacks")},
    }
    name = next((name for name in commands if f"_{name}" in sent), None)
    if name is None or not url:
        return
    try:
        ask(url, name, commands[name])
    except HTTPError as error:
        with error:
            messages.error(request, _message_of(error))
    except (OSError, ValueError):
        messages.error(request, gettext("The simulator does not answer."))


def _message_of(error: HTTPError) -> str:
    try:
        return str(json.load(error)["message"])
    except (ValueError, KeyError, TypeError):
        return str(error.code)
