from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class VerificationConfig(AppConfig):
    name = "django_smsww.contrib.verification"
    label = "smsww_verification"
    default_auto_field = "django.db.models.BigAutoField"
    verbose_name = _("Verification of numbers")

    def ready(self) -> None:
        from . import checks  # noqa: F401 - registering needs the apps to be loading
