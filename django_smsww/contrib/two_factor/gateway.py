"""The gateway that sends the codes of django-two-factor-auth."""

from __future__ import annotations

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
    """Sends codes, within limits. To change it, write a subclass and name that in the setting.

    The log-in of django-two-factor-auth catches no errors. With its middleware `ThreadLocals` and
    Django's messages, the user reads why no code came and how many seconds to wait; without
    them, SMSGateway raises the SMSError.

    Attributes:
        using: the alias in the SMSWW setting.
        template_name: its context has `token`, `minutes` and `device`.
        guards: the limits.
        validity: seconds for which a code is valid and may still leave. django-two-factor-auth
            accepts a code for five steps of 30 seconds after its own.
        tag: the tag of the messages.
    """

    using = "default"
    template_name = "django_smsww/code.txt"
    guards = Guards()
    validity = 150
    tag = "two-factor"

    def send_sms(self, device: Any, token: str) -> None:
        """Send the code to the number of the device."""
        try:
            self.deliver(device, token)
        except SMSError as error:
            logger.warning("A code for two-factor authentication: %s", error)
            self.explain(error)

    def deliver(self, device: Any, token: str) -> None:
        """Send the code; raise SMSError if that fails or a limit is reached."""
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
        """Return the text in the active language."""
        context = {"token": token, "minutes": self.validity // 60, "device": device}
        return render_sms(self.template_name, context)

    def explain(self, error: SMSError) -> None:
        """Add a message for the user; raise the error if there is no request for it."""
        request = get_current_request()
        if request is None or not hasattr(request, "_messages"):
            raise error
        messages.warning(request, reason(error))
