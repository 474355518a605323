"""The tasks framework: Django's own from version 6.0, the backport before."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured

try:
    from django.tasks import task
except ImportError:  # Django 5.2
    try:
        from django_tasks import task  # type: ignore[no-redef]
    except ImportError as error:
        raise ImproperlyConfigured(
            "django_smsww.contrib.tasks needs Django 6.0, or the package django-tasks: "
            "pip install 'django-smsww[tasks]'."
        ) from error

__all__ = ["task"]
