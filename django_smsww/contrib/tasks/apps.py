from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class TasksConfig(AppConfig):
    name = "django_smsww.contrib.tasks"
    label = "smsww_tasks"
    verbose_name = _("SMS by Django tasks")

    def ready(self) -> None:
        from . import checks  # noqa: F401 - registering needs the apps to be loading
