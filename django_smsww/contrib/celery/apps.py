from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class CeleryConfig(AppConfig):
    name = "django_smsww.contrib.celery"
    label = "smsww_celery"
    verbose_name = _("SMS by Celery")

    def ready(self) -> None:
        from . import checks  # noqa: F401 - registering needs the apps to be loading
