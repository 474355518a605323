from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class Preflight(models.Model):
    """The result of a preflight, which is a dry run of one text and one sender before a batch."""

    environment = models.CharField(_("environment"), max_length=64, blank=True)
    alias = models.CharField(_("alias"), max_length=64)
    batch = models.UUIDField(_("batch"))
    sender = models.CharField(_("sender"), max_length=32, blank=True)
    fingerprint = models.CharField(_("fingerprint"), max_length=64)
    passed = models.BooleanField(_("passed"))
    error = models.CharField(_("error"), max_length=32, blank=True)
    error_code = models.CharField(_("error code"), max_length=32, blank=True)
    error_text = models.CharField(_("error text"), max_length=500, blank=True)
    created_at = models.DateTimeField(_("at"), default=timezone.now)

    class Meta:
        verbose_name = _("preflight")
        verbose_name_plural = _("preflights")
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(
                fields=["environment", "alias", "batch", "sender", "fingerprint"],
                name="smsww_preflight_group",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.alias} · {self.batch}"
