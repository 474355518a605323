"""The part of an account adapter of django-allauth that sends SMS.

# Note [All three messages are alike]
A visitor who enters a number must not learn if it has an account. So the messages for accounts and
those for none have the same limits, and fail with the same answers.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from functools import partial
from typing import Any

from allauth.account import app_settings
from allauth.core import context
from allauth.core.exceptions import ImmediateHttpResponse
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.utils import timezone

from django_smsww.backends.handler import sms_backends
from django_smsww.contrib.code_limits import Guards, reason, send_code
from django_smsww.exceptions import InvalidSMS, SMSError, SMSOutcomeUnknown
from django_smsww.sending.rendering import render_sms

from .answers import answer

logger = logging.getLogger("django_smsww")

SIGN_UPS = ("account_signup", "account_signup_by_passkey", "socialaccount_signup")


class SMSAdapterMixin:
    """Sends the codes of allauth, within limits; the user reads why no code came.

    The class that uses it defines `get_user_by_phone()`, `get_phone()` and `set_phone()`, which
    know where numbers are stored.

    Attributes:
        using: the alias in the SMSWW setting.
        code_template: its context has `token`, `minutes` and `user`.
        unknown_account_template, account_exists_template: for numbers without an account, and for
            sign-ups with the number of an account.
        guards: the limits.
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
        """Say that nobody has an account with this number."""
        self.send_sms(self.unknown_account_template, phone, {})

    def send_account_already_exists_sms(self, phone: str, **kwargs: Any) -> None:
        """Say that the number of a sign-up has an account."""
        self.send_sms(self.account_exists_template, phone, {})

    def set_phone_verified(self, user: Any, phone: str) -> None:
        """Store that the user has this number."""
        self.set_phone(user, phone, True)  # type: ignore[attr-defined]

    def clean_phone(self, phone: str) -> str:
        """Return the number in E.164, or refuse a number that no code can be sent to."""
        backend = sms_backends[self.using]
        number = backend.read_recipient(super().clean_phone(phone))  # type: ignore[misc]
        try:
            backend.validate_recipient(number)
        except InvalidSMS as error:
            raise ValidationError(reason(error), code="invalid_phone") from None
        return number

    @property
    def validity(self) -> int:
        """Seconds for which each code of allauth is valid, and may still leave."""
        return min(app_settings.LOGIN_BY_CODE_TIMEOUT, app_settings.PHONE_VERIFICATION_TIMEOUT)

    def send_sms(
        self, template_name: str, phone: str, names: dict[str, Any], user: Any = None
    ) -> None:
        """Send a message, or let the user read why it was not sent."""
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
        """Show the reason: on the form, or where a sign-up or log-in goes on, on its next page.

        Where it does not go on, nothing of it is stored, so that the last code stays valid.
        """
        request = context.request
        if request is None:
            raise error
        match = request.resolver_match
        # A sign-up has made the user already: the form would refuse the same number.
        is_sign_up = match is not None and match.url_name in SIGN_UPS
        if is_sign_up or isinstance(error, SMSOutcomeUnknown):
            messages.warning(request, reason(error), fail_silently=True)
        else:
            raise ImmediateHttpResponse(answer(request, error))
