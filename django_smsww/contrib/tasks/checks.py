"""The system check of the backend in TASKS."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, Warning, register  # noqa: A004

from .tasks import deliver

NOT_IN_BACKGROUND = {
    "ImmediateBackend": "the process that sends waits for the gateway all the same",
    "DummyBackend": "no task is ever run, and smsww_worker has to send everything",
}


@register("sms")
def check_backend(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """W021: another process runs the tasks."""
    name = type(deliver.get_backend()).__name__
    if name not in NOT_IN_BACKGROUND:
        return []
    hint = (
        "Give TASKS['default'] a backend with workers, such as "
        "'django_tasks_db.DatabaseBackend', and run its `manage.py db_worker`."
    )
    text = f"TASKS['default'] is {name}: {NOT_IN_BACKGROUND[name]}."
    return [Warning(text, hint=hint, id="smsww.W021")]
