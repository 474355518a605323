"""Verify telephone numbers with one-time codes by SMS. The visitor needs no user account.

Put `django_smsww.contrib.verification` into INSTALLED_APPS, and run `manage.py migrate`. Send a
code with `start_verification(number)`, and check it with `check_verification(number, code)`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .codes import VerificationFailed as VerificationFailed
    from .codes import check_verification as check_verification
    from .codes import start_verification as start_verification

__all__ = ["VerificationFailed", "check_verification", "start_verification"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(".codes", __name__), name)  # imports models: apps must be loaded
