from importlib import import_module
from typing import Any

from django.apps import AppConfig, apps
from django.utils.translation import gettext_lazy as _


class SMSWWConfig(AppConfig):
    name = "django_smsww"
    default_auto_field = "django.db.models.BigAutoField"
    verbose_name = _("SMS")

    def ready(self) -> None:
        """Register the system checks and, if drf-spectacular is installed, our OpenAPI schema."""
        from . import checks  # noqa: F401 - it registers the checks, and needs loaded apps

        _let_rows_be_resent()
        if apps.is_installed("drf_spectacular"):
            # By name, because contrib imports the core, and not the other way round.
            import_module("django_smsww.contrib.spectacular")
            import_module("django_smsww.contrib.api.schema")


def _let_rows_be_resent() -> None:
    from .models import MessageQuerySet

    def resend_many(*args: Any, **options: Any) -> Any:
        from .sending import resending  # not at start-up: few processes resend

        return resending.resend_many(*args, **options)

    MessageQuerySet._resend_many = staticmethod(resend_many)
