"""The system check of the setting TASKS."""

from typing import Any

from django.core.checks import CheckMessage, Warning, register  # noqa: A004

from .tasks import deliver

NOT_IN_BACKGROUND = {
    "ImmediateBackend": "tasks run in the process that calls, which waits for the gateway",
    "DummyBackend": "no task ever runs, so smsww_worker has to send all messages",
}


@register("sms")
def check_backend(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """W021: warn if the tasks backend runs tasks in the calling process, or never runs tasks."""
    name = type(deliver.get_backend()).__name__
    if name not in NOT_IN_BACKGROUND:
        return []
    hint = (
        "Give TASKS['default'] a backend with workers, such as "
        "'django_tasks_db.DatabaseBackend', and run its `manage.py db_worker`."
    )
    text = f"TASKS['default'] is {name}: {NOT_IN_BACKGROUND[name]}."
    return [Warning(text, hint=hint, id="smsww.W021")]
