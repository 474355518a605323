"""A project with both task queues."""

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS

INSTALLED_APPS = [
    *INSTALLED_APPS,
    "django_tasks_db",
    "django_smsww.contrib.tasks",
    "django_smsww.contrib.celery",
]
TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}

# No broker listens there, and no test may wait for one.
CELERY_BROKER_URL = "amqp://127.0.0.1:1//"
CELERY_TASK_ALWAYS_EAGER = False
