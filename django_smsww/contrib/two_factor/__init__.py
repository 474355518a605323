"""An SMS gateway class for django-two-factor-auth.

    TWO_FACTOR_SMS_GATEWAY = "django_smsww.contrib.two_factor.SMSGateway"

This package needs no entry in INSTALLED_APPS.
"""

from .gateway import SMSGateway

__all__ = ["SMSGateway"]
