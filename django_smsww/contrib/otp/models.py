"""The device of django-otp that receives its codes by SMS."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django_otp.models import CooldownMixin, SideChannelDevice, ThrottlingMixin, TimestampMixin
from django_otp.util import random_number_token

from django_smsww.contrib.code_limits import Guards, reason, send_code
from django_smsww.exceptions import SMSError, SMSLimited, SMSOutcomeUnknown
from django_smsww.sending.rendering import render_sms

from .conf import settings
from .validators import validate_number

logger = logging.getLogger("django_smsww")

TAG = "otp"


class SMSDevice(TimestampMixin, CooldownMixin, ThrottlingMixin, SideChannelDevice):
    """A telephone that receives codes by SMS. The field `token` has a digest of the last code."""

    number = models.CharField(_("number"), max_length=32, validators=[validate_number])
    token = models.CharField(max_length=64, blank=True, null=True, editable=False)

    class Meta:
        verbose_name = _("SMS device")
        verbose_name_plural = _("SMS devices")

    def generate_challenge(self, extra_context: dict[str, Any] | None = None) -> str:
        """Send a code. Return a text that says that the code was sent, or why it was not sent.

        Args:
            extra_context: additional context for the template of the message.
        """
        earlier = self.last_generated_timestamp
        if not self._begin_cooldown():
            return self._cooldown_reason()
        try:
            self._send(extra_context or {})
        except SMSError as error:
            logger.warning("A code for an SMS device: %s", error)
            if not isinstance(error, SMSOutcomeUnknown):  # no code is on its way: allow another try
                self._store(last_generated_timestamp=earlier)
            return reason(error)
        return gettext("sent by text message")

    def verify_token(self, token: str) -> bool:
        """Return True if `token` is the last code and not expired. A code works only once."""
        allowed, _why = self.verify_is_allowed()
        if not allowed:
            return False
        if not self._use(str(token)):
            self.throttle_increment()
            return False
        self.cooldown_reset(commit=False)
        self.throttle_reset(commit=False)
        self.set_last_used_timestamp(commit=False)
        self.save()
        return True

    def _use(self, code: str) -> bool:
        """Delete the code if it is right. Of two calls at the same time, only one returns True."""
        now = timezone.now()
        good = self._row().filter(token=self._digest(code), valid_until__gt=now)
        if not good.update(token=None, valid_until=now):
            return False
        self.token, self.valid_until = None, now
        return True

    def get_cooldown_duration(self) -> float:
        return settings.OTP_SMSWW_COOLDOWN_DURATION

    def get_throttle_factor(self) -> float:
        return settings.OTP_SMSWW_THROTTLE_FACTOR

    # The cool-down

    def _begin_cooldown(self) -> bool:
        """Start the cool-down and return True, or return False if a cool-down is running already.

        Of two simultaneous requests, only one gets True.
        """
        now = timezone.now()
        since = now - timedelta(seconds=self.get_cooldown_duration())
        rested = Q(last_generated_timestamp=None) | Q(last_generated_timestamp__lte=since)
        if not self._row().filter(rested).update(last_generated_timestamp=now):
            return False
        self.last_generated_timestamp = now
        return True

    def _cooldown_reason(self) -> str:
        self.refresh_from_db(fields=["last_generated_timestamp"])
        again = self.last_generated_timestamp + timedelta(seconds=self.get_cooldown_duration())
        left = max(1.0, (again - timezone.now()).total_seconds())
        return reason(SMSLimited(code="cooldown", retry_after=left))

    # Sending

    def _send(self, context: dict[str, Any]) -> None:
        expires_at = timezone.now() + timedelta(seconds=settings.OTP_SMSWW_TOKEN_VALIDITY)
        guards = Guards(
            cooldown=0,  # the device has its own
            max_per_number=settings.OTP_SMSWW_MAX_PER_NUMBER,
            max_per_user=settings.OTP_SMSWW_MAX_PER_USER,
        )
        send_code(
            partial(self._new_code, expires_at, context),
            self.number,
            using=settings.OTP_SMSWW_USING,
            guards=guards,
            tag=TAG,
            expires_at=expires_at,
            user=self.user,
        )

    def _new_code(self, expires_at: datetime, context: dict[str, Any]) -> str:
        """Store a new code's digest in place of the old one. Return the text of the message."""
        code = random_number_token(settings.OTP_SMSWW_TOKEN_LENGTH)
        minutes = settings.OTP_SMSWW_TOKEN_VALIDITY // 60
        names = {"token": code, "minutes": minutes, "device": self, **context}
        body = render_sms(settings.OTP_SMSWW_BODY_TEMPLATE_PATH, names)
        self._store(token=self._digest(code), valid_until=expires_at)
        return body

    def _digest(self, code: str) -> str:
        plain = code.strip().encode("ascii", "backslashreplace").decode()
        value = f"{self.pk}:{plain}"
        return salted_hmac("django_smsww.contrib.otp", value, algorithm="sha256").hexdigest()

    # A save() would write old values over fields that another request changes meanwhile.

    def _row(self) -> models.QuerySet[SMSDevice]:
        return type(self)._default_manager.filter(pk=self.pk)

    def _store(self, **values: Any) -> None:
        self._row().update(**values)
        for name, value in values.items():
            setattr(self, name, value)
