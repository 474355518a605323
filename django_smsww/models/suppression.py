from collections.abc import Iterable

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.utils.translation.trans_null import gettext_noop

from ..clock import local_time
from ..exceptions import InvalidSMS
from .bulk import one_of
from .fields import NumberField, user_field
from .sql import field_of


def suppressed() -> InvalidSMS:
    """Return the error for a message to a number on the do-not-send list."""
    return InvalidSMS(gettext_noop("recipient is on the do-not-send list."), code="suppressed")


class SuppressionQuerySet(models.QuerySet["Suppression"]):
    def among(self, recipients: Iterable[object]) -> set[str]:
        """Return the numbers in `recipients` that are on the do-not-send list."""
        numbers = {recipient for recipient in recipients if isinstance(recipient, str)}
        # A database refuses to compare with texts that it cannot store.
        plain = [number for number in numbers if number.isascii() and "\x00" not in number]
        spelled = list(map(field_of(self.model, "recipient").get_prep_value, plain))
        listed = self.filter(recipient__in=one_of(spelled, self.db))
        return set(listed.values_list("recipient", flat=True))


class Suppression(models.Model):
    """A number on the do-not-send list: the package sends no messages to this number."""

    recipient = NumberField(_("recipient"), max_length=32, unique=True)
    reason = models.CharField(_("reason"), max_length=255, blank=True)
    created_at = models.DateTimeField(_("since"), default=timezone.now, editable=False)
    created_by = user_field(_("by"))

    objects = SuppressionQuerySet.as_manager()

    class Meta:
        verbose_name = _("do-not-send entry")
        verbose_name_plural = _("entries of the do-not-send list")

    def __str__(self) -> str:
        # The admin's log keeps this text, so it must not have the number. Nor the reason, which may
        # name a person.
        named = {"number": self.pk, "day": local_time(self.created_at).date()}
        return gettext("no. %(number)s, added on %(day)s") % named
