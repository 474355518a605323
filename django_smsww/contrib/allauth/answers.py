"""What a page of allauth answers when no code was sent.

allauth sends a code after its form was valid, so that the form can show no error by itself.
"""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.forms.utils import ErrorDict
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.generic.edit import FormMixin

from django_smsww.contrib.code_limits import reason
from django_smsww.exceptions import SMSError


def answer(request: HttpRequest, error: SMSError) -> HttpResponse:
    """Return the form of the page with the reason, or lead to a page that shows it."""
    if hasattr(request.allauth, "headless"):  # type: ignore[attr-defined]
        return _as_json(request, error)
    view = _view_of(request)
    if view is None:
        messages.error(request, reason(error), fail_silently=True)
        # To show a page that sends without a form would send again.
        is_form = request.method == "POST"
        page = request.get_full_path() if is_form else reverse("account_login")
        return HttpResponseRedirect(page)
    form = view.get_form()
    # It is valid, and to validate it again would count an attempt again.
    form._errors, form.cleaned_data = ErrorDict(), {}
    form.add_error("phone" if "phone" in form.fields else None, reason(error))
    return view.render_to_response(view.get_context_data(form=form))


def _view_of(request: HttpRequest) -> Any:
    """Return the view whose form asks for the first code, or None where there is none."""
    match = request.resolver_match
    kind = getattr(match and match.func, "view_class", None)
    is_first = request.method == "POST" and request.POST.get("action") != "resend"
    if match is None or kind is None or not is_first or not issubclass(kind, FormMixin):
        return None
    view: Any = kind(**match.func.view_initkwargs)  # type: ignore[attr-defined]
    view.setup(request, *match.args, **match.kwargs)
    return view


def _as_json(request: HttpRequest, error: SMSError) -> HttpResponse:
    # allauth.headless has answered the request so far.
    from allauth.headless.internal.restkit.response import ErrorResponse

    return ErrorResponse(request, ValidationError(reason(error), code=error.code))
