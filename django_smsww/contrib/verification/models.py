"""The codes that were sent and not yet used. No row holds a number or a code in clear."""

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
    """The moves of a code.

    # Note [Attempts are never given back]
    Each move commits by itself. In the transaction of a request, an error of the view would undo
    the attempt, and somebody could guess without end. So `durable` refuses to run in one.
    """

    def put(self, verification: Verification, now: datetime) -> None:
        """Store this code in place of the last one for its number; delete expired codes."""
        self.filter(expires_at__lte=now).delete()
        names = ("code", "attempts_left", "expires_at")
        values = {name: getattr(verification, name) for name in names}
        with transaction.atomic(using=self.db, durable=True):
            row, _is_new = self.update_or_create(key=verification.key, defaults=values)
        verification.pk = row.pk

    def attempt(self, key: str, code: str, now: datetime) -> str:
        """Use one attempt, and the code if it is right; return "" or why it is refused.

        The UPDATE locks the row until the commit. So of many guesses at the same time, no more are
        compared than there are attempts, and of two right ones the second finds no row.
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
    """The code that is valid for a number; `key` and `code` are digests made with SECRET_KEY."""

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
