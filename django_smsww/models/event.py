from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..states import State
from .fields import user_field


class Event(models.Model):
    """An entry in the history of a message, such as a failed attempt or a person's decision."""

    class Kind(models.TextChoices):
        ATTEMPT = "attempt", _("Attempt")
        SETTLED = "settled", _("Settled")
        CANCELLED = "cancelled", _("Cancelled")
        HELD = "held", _("Made UNKNOWN after a restore of the database")
        SCRUBBED = "scrubbed", _("Scrubbed")

    message = models.ForeignKey(
        "Message", models.CASCADE, verbose_name=_("message"), related_name="events"
    )
    kind = models.CharField(_("kind"), max_length=16, choices=Kind.choices)
    state = models.CharField(_("state"), max_length=16, choices=State.choices, blank=True)
    error = models.CharField(_("error"), max_length=32, blank=True)
    error_code = models.CharField(_("error code"), max_length=32, blank=True)
    error_status = models.PositiveSmallIntegerField(_("HTTP status"), null=True, blank=True)
    error_text = models.CharField(_("error text"), max_length=500, blank=True)
    reason = models.CharField(_("reason"), max_length=255, blank=True)
    user = user_field(_("user"))
    created_at = models.DateTimeField(_("at"), default=timezone.now)

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.get_kind_display()} · {self.message_id}"
