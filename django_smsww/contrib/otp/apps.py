from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class OTPConfig(AppConfig):
    name = "django_smsww.contrib.otp"
    label = "otp_smsww"
    default_auto_field = "django.db.models.BigAutoField"
    verbose_name = _("Codes by SMS")
