"""A gateway for django-two-factor-auth.

    TWO_FACTOR_SMS_GATEWAY = "django_smsww.contrib.two_factor.SMSGateway"

It needs no entry in INSTALLED_APPS.
"""

from __future__ import annotations

from .gateway import SMSGateway

__all__ = ["SMSGateway"]
