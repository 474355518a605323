from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class SimulatorConfig(AppConfig):
    """The app with the command ``smsww_simulator`` and the deployment check E090."""

    name = "django_smsww.contrib.simulator"
    label = "smsww_simulator"
    verbose_name = _("SMS simulator")

    def ready(self) -> None:
        from . import checks  # noqa: F401  registering a check needs the apps to be loading
