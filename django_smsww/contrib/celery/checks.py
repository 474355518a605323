"""The system check of the project's Celery app."""

from typing import Any

from celery import current_app
from django.core.checks import CheckMessage, Warning, register  # noqa: A004


@register("sms")
def check_broker(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """W022: warn if the current Celery app has no broker in its configuration."""
    settings = current_app.conf
    if settings.task_always_eager or settings.broker_write_url or settings.broker_url:
        return []
    hint = (
        "Import the Celery app in the __init__.py of the project's package, so that it is loaded "
        "before a message is sent, and set its broker_url (CELERY_BROKER_URL)."
    )
    text = "No broker is configured: tasks go to the default, an AMQP server on this machine."
    return [Warning(text, hint=hint, id="smsww.W022")]
