"""Log-in and verification by telephone with django-allauth.

    class AccountAdapter(SMSAdapterMixin, DefaultAccountAdapter): ...

It needs no entry in INSTALLED_APPS.
"""

from __future__ import annotations

from .adapter import SMSAdapterMixin

__all__ = ["SMSAdapterMixin"]
