"""The gateway class that sends the codes of django-two-factor-auth by SMS."""

import logging
from datetime import timedelta
from functools import partial
from typing import Any

from django.contrib import messages
from django.utils import timezone
from two_factor.middleware.threadlocals import get_current_request

from django_smsww.contrib.code_limits import Guards, reason, send_code
from django_smsww.exceptions import SMSError
from django_smsww.sending.rendering import render_sms

logger = logging.getLogger("django_smsww")


class SMSGateway:
    """Gateway class of django-two-factor-auth. It sends codes by SMS within the limits in `guards`.

    If a code cannot be sent, the user sees the reason. For this, the project needs Django's
    messages framework and the middleware `ThreadLocals` of django-two-factor-auth. If either
    is missing, `send_sms` raises SMSError. django-two-factor-auth does not catch this error.

    Attributes:
        using: the alias in the SMSWW setting.
        template_name: the template of the message. Its context has `token`, `minutes` and `device`.
        guards: the limits, an instance of `code_limits.Guards`.
        validity: seconds after which a waiting code is not sent any more. The default is 150,
            because django-two-factor-auth accepts a code for at least 150 seconds.
        tag: the tag of the messages.
    """

    using = "default"
    template_name = "django_smsww/code.txt"
    guards = Guards()
    validity = 150
    tag = "two-factor"

    def send_sms(self, device: Any, token: str) -> None:
        """Send the code to the number of the device. If this fails, call `explain`."""
        try:
            self.deliver(device, token)
        except SMSError as error:
            logger.warning("A code for two-factor authentication: %s", error)
            self.explain(error)

    def deliver(self, device: Any, token: str) -> None:
        """Send the code. Raise SMSError if the code cannot be sent or a limit is reached."""
        send_code(
            partial(self.render, device, token),
            device.number.as_e164,
            using=self.using,
            guards=self.guards,
            tag=self.tag,
            expires_at=timezone.now() + timedelta(seconds=self.validity),
            user=device.user,
        )

    def render(self, device: Any, token: str) -> str:
        """Return the text of the message in the active language."""
        context = {"token": token, "minutes": self.validity // 60, "device": device}
        return render_sms(self.template_name, context)

    def explain(self, error: SMSError) -> None:
        """Show the reason by Django's messages framework. If that is impossible, raise `error`."""
        request = get_current_request()
        if request is None or not hasattr(request, "_messages"):
            raise error
        messages.warning(request, reason(error))
