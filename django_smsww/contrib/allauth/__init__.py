"""Log-in and verification by telephone with django-allauth.

    class AccountAdapter(SMSAdapterMixin, DefaultAccountAdapter): ...

`django_smsww.contrib.allauth` needs no entry in INSTALLED_APPS.
"""

from .adapter import SMSAdapterMixin

__all__ = ["SMSAdapterMixin"]
