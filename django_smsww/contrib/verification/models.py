"""Codes that were sent and not used yet. A row contains only digests of its number and code."""

from __future__ import annotations

from datetime import datetime

from django.db import models, transaction
from django.db.models import F
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext_lazy as _

WRONG_CODE = "wrong_code"
CODE_EXPIRED = "code_expired"
TOO_MANY_ATTEMPTS = "too_many_attempts"


class VerificationQuerySet(models.QuerySet["Verification"]):
    """Methods that store and check codes.

    # Note [Attempts are never given back]
    Each method commits its changes at once. In the transaction of a web request, an error in the
    view would roll back the attempt, and an attacker could guess codes without limit. For this
    reason, the methods raise RuntimeError inside a transaction (`durable=True`).
    """

    def put(self, verification: Verification, now: datetime) -> None:
        """Store a code as the only valid code of its number, and delete all expired codes."""
        self.filter(expires_at__lte=now).delete()
        names = ("code", "attempts_left", "expires_at")
        values = {name: getattr(verification, name) for name in names}
        with transaction.atomic(using=self.db, durable=True):
            row, _is_new = self.update_or_create(key=verification.key, defaults=values)
        verification.pk = row.pk

    def attempt(self, key: str, code: str, now: datetime) -> str:
        """Use one attempt. Return "" if the code is right, otherwise the reason for the refusal.

        `key` and `code` are digests. An UPDATE counts the attempt first, and locks the row, so that
        simultaneous attempts cannot exceed the limit. A right code is deleted: it works only once.
        """
        rows = self.filter(key=key, expires_at__gt=now)
        with transaction.atomic(using=self.db, durable=True):
            if not rows.filter(attempts_left__gt=0).update(attempts_left=F("attempts_left") - 1):
                is_used_up = rows.filter(attempts_left=0).exists()
                return TOO_MANY_ATTEMPTS if is_used_up else CODE_EXPIRED
            row = rows.get()
            if constant_time_compare(row.code, code):
                row.delete()
                return ""
            return WRONG_CODE if row.attempts_left else TOO_MANY_ATTEMPTS


class Verification(models.Model):
    """The valid code of one number. `key` and `code` are digests made with SECRET_KEY."""

    key = models.CharField(max_length=64, unique=True)
    code = models.CharField(max_length=64)
    attempts_left = models.PositiveSmallIntegerField()
    expires_at = models.DateTimeField(db_index=True)

    objects = VerificationQuerySet.as_manager()

    class Meta:
        verbose_name = _("verification")
        verbose_name_plural = _("verifications")
        default_permissions = ()
        permissions = [("verify_number", _("Can verify numbers"))]

    def __str__(self) -> str:
        return f"{self.key[:8]} · {self.expires_at:%Y-%m-%d %H:%M}"
