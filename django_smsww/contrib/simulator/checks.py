"""The simulator is for development: ``check --deploy`` fails while it is installed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, Tags, register


@register(Tags.security, deploy=True)
def check_simulator_not_deployed(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Refuse a deployment that could mistake the simulator for the gateway."""
    return [
        Error(
            "The SMS simulator is installed in a deployment.",
            hint="Remove 'django_smsww.contrib.simulator' from INSTALLED_APPS in production.",
            id="smsww.E090",
        )
    ]
