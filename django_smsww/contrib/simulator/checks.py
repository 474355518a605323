"""The system check that keeps the simulator out of production."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, Tags, register


@register(Tags.security, deploy=True)
def check_simulator_not_deployed(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """E090: report an error in ``check --deploy`` if the simulator is installed."""
    return [
        Error(
            "The SMS simulator is installed in a deployment.",
            hint="Remove 'django_smsww.contrib.simulator' from INSTALLED_APPS in production.",
            id="smsww.E090",
        )
    ]
