from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class SimulatorConfig(AppConfig):
    """Brings the command ``smsww_simulator`` and the check that keeps it out of production."""

    name = "django_smsww.contrib.simulator"
    label = "smsww_simulator"
    verbose_name = _("SMS simulator")

    def ready(self) -> None:
        from . import checks  # noqa: F401  registering a check needs the apps to be loading
