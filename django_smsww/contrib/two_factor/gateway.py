"""Sends the codes of django-two-factor-auth."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.http import HttpRequest
from django.utils import timezone
from two_factor.middleware.threadlocals import get_current_request

from django_smsww.backends.handler import sms_backends
from django_smsww.contrib.code_limits import Guards, reason
from django_smsww.exceptions import SMSError
from django_smsww.sending.api import send_sms
from django_smsww.sending.rendering import render_sms

logger = logging.getLogger("django_smsww")


class SMSGateway:
    """Sends a code, within limits. To change what it does, subclass it and name your class.

    The log-in of django-two-factor-auth catches no errors. So where its middleware `ThreadLocals`
    and Django's messages are installed, the user is told why no code came, and for how many
    seconds; where they are not, the SMSError is raised.

    Attributes:
        using: the alias in the SMSWW setting.
        template_name: it has `token`, `minutes` and `device`.
        guards: how many codes may leave.
        validity: seconds for which a code is good; it does not leave later. A code is accepted
            for five steps of 30 seconds after its own.
        tag: the label of the messages.
    """

    using = "default"
    template_name = "django_smsww/code.txt"
    guards = Guards()
    validity = 150
    tag = "two-factor"

    def send_sms(self, device: Any, token: str) -> None:
        """Send the code to the device's number."""
        try:
            self.deliver(device, token)
        except SMSError as error:
            logger.warning("A code for two-factor authentication: %s", error)
            self.explain(error)

    def deliver(self, device: Any, token: str) -> None:
        """Send the code, or raise the SMSError that says why not."""
        recipient, user = device.number.as_e164, device.user
        body = self.render(device, token)
        environment = sms_backends[self.using].environment
        with self.guards.hold(recipient, user, environment=environment, tag=self.tag):
            send_sms(
                body,
                recipient,
                using=self.using,
                tag=self.tag,
                sensitive=True,
                expires_at=timezone.now() + timedelta(seconds=self.validity),
                created_by=user,
            )

    def render(self, device: Any, token: str) -> str:
        """Return the text, in the language that is active."""
        context = {"token": token, "minutes": self.validity // 60, "device": device}
        return render_sms(self.template_name, context)

    def explain(self, error: SMSError) -> None:
        """Tell the user, or raise the error if nobody listens."""
        request = get_current_request()
        if request is None or not _takes_messages(request):
            raise error
        messages.warning(request, reason(error))


def _takes_messages(request: HttpRequest) -> bool:
    return hasattr(request, "_messages")
