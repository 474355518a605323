"""A mixin with which an account adapter of django-allauth sends SMS.

# Note [Alike with and without an account]
A visitor must not learn whether a number has an account. For this reason, messages to numbers with
and without an account have the same limits and the same error responses.
"""

import logging
from datetime import timedelta
from functools import partial
from typing import Any

from allauth.account import app_settings
from allauth.core import context
from allauth.core.exceptions import ImmediateHttpResponse
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.forms.utils import ErrorDict
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.views.generic.edit import FormMixin

from django_smsww.backends.handler import sms_backends
from django_smsww.contrib.code_limits import Guards, reason, send_code
from django_smsww.exceptions import InvalidSMS, SMSError, SMSOutcomeUnknown
from django_smsww.sending.rendering import render_sms

logger = logging.getLogger("django_smsww")

SIGN_UPS = ("account_signup", "account_signup_by_passkey", "socialaccount_signup")


class SMSAdapterMixin:
    """Mixin that sends allauth's codes by SMS, within limits.

    If a code cannot be sent, the user sees the reason. Your adapter must define
    `get_user_by_phone()`, `get_phone()` and `set_phone()`, which read and store users' numbers.

    Attributes:
        using: the alias in the SMSWW setting.
        code_template: the template of codes. Its context has `token`, `minutes` and `user`.
        unknown_account_template: the template of messages to numbers without an account.
        account_exists_template: the template for sign-ups with a number that has an account.
        guards: the limits, an instance of `code_limits.Guards`.
        tag: the tag of the messages.
    """

    using = "default"
    code_template = "django_smsww/code.txt"
    unknown_account_template = "django_smsww/unknown_account.txt"
    account_exists_template = "django_smsww/account_exists.txt"
    guards = Guards()
    tag = "allauth"

    def send_verification_code_sms(self, user: Any, phone: str, code: str, **kwargs: Any) -> None:
        """Send the code that allauth has made."""
        names = {"token": code, "minutes": self.validity // 60, "user": user}
        self.send_sms(self.code_template, phone, names, user=user)

    def send_unknown_account_sms(self, phone: str, **kwargs: Any) -> None:
        """Send a message which says that this number has no account."""
        self.send_sms(self.unknown_account_template, phone, {})

    def send_account_already_exists_sms(self, phone: str, **kwargs: Any) -> None:
        """Send a message which says that the number given at sign-up already has an account."""
        self.send_sms(self.account_exists_template, phone, {})

    def set_phone_verified(self, user: Any, phone: str) -> None:
        """Store the number as verified."""
        self.set_phone(user, phone, True)  # type: ignore[attr-defined]

    def clean_phone(self, phone: str) -> str:
        """Return the number in E.164. Raise ValidationError if no code can be sent to it."""
        backend = sms_backends[self.using]
        number = backend.read_recipient(super().clean_phone(phone))  # type: ignore[misc]
        try:
            backend.validate_recipient(number)
        except InvalidSMS as error:
            raise ValidationError(reason(error), code="invalid_phone") from None
        return number

    @property
    def validity(self) -> int:
        """The number of seconds after which a code is no longer sent.

        This is the smaller of ACCOUNT_LOGIN_BY_CODE_TIMEOUT and ACCOUNT_PHONE_VERIFICATION_TIMEOUT.
        """
        return min(app_settings.LOGIN_BY_CODE_TIMEOUT, app_settings.PHONE_VERIFICATION_TIMEOUT)

    def send_sms(
        self, template_name: str, phone: str, names: dict[str, Any], user: Any = None
    ) -> None:
        """Send a message. If the message cannot be sent, show the reason to the user."""
        try:
            send_code(
                partial(render_sms, template_name, names),
                phone,
                using=self.using,
                guards=self.guards,
                tag=self.tag,
                expires_at=timezone.now() + timedelta(seconds=self.validity),
                user=user,
            )
        except SMSError as error:
            logger.warning("A code for allauth: %s", error)
            self.explain(error)

    def explain(self, error: SMSError) -> None:
        """Show the user the reason of the error. Outside of a request, raise the error.

        After a sign-up, or if the code may have been sent, allauth's next page shows the reason. In
        all other cases, raise ImmediateHttpResponse with the reason. Then allauth does not store
        the new code, and the previous code stays valid.
        """
        request = context.request
        if request is None:
            raise error
        match = request.resolver_match
        # After a sign-up the user exists, so the form would refuse the same number.
        is_sign_up = match is not None and match.url_name in SIGN_UPS
        if is_sign_up or isinstance(error, SMSOutcomeUnknown):
            messages.warning(request, reason(error), fail_silently=True)
        else:
            raise ImmediateHttpResponse(_answer(request, error))


def _answer(request: HttpRequest, error: SMSError) -> HttpResponse:
    """Return a response that shows the reason: the form, JSON, or a redirect to a page."""
    if hasattr(request.allauth, "headless"):  # type: ignore[attr-defined]
        return _as_json(request, error)
    view = _view_of(request)
    if view is None:
        messages.error(request, reason(error), fail_silently=True)
        # A page that sends without a form would send again.
        is_form = request.method == "POST"
        page = request.get_full_path() if is_form else reverse("account_login")
        return HttpResponseRedirect(page)
    form = view.get_form()
    # The form is valid. A second validation would count a second attempt.
    form._errors, form.cleaned_data = ErrorDict(), {}
    form.add_error("phone" if "phone" in form.fields else None, reason(error))
    return view.render_to_response(view.get_context_data(form=form))


def _view_of(request: HttpRequest) -> Any:
    """Return the view whose form the user has submitted, or None after any other request."""
    match = request.resolver_match
    kind = getattr(match and match.func, "view_class", None)
    is_first = request.method == "POST" and request.POST.get("action") != "resend"
    if match is None or kind is None or not is_first or not issubclass(kind, FormMixin):
        return None
    view: Any = kind(**match.func.view_initkwargs)  # type: ignore[attr-defined]
    view.setup(request, *match.args, **match.kwargs)
    return view


def _as_json(request: HttpRequest, error: SMSError) -> HttpResponse:
    # Imported here, because a project may run without allauth.headless.
    from allauth.headless.internal.restkit.response import ErrorResponse

    return ErrorResponse(request, ValidationError(reason(error), code=error.code))
