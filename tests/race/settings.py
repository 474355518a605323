"""A project that delivers by every engine at once."""

from tests.faults.settings import *  # noqa: F403
from tests.faults.settings import INSTALLED_APPS, env

INSTALLED_APPS = [
    *INSTALLED_APPS,
    "django_tasks_db",
    "django_smsww.contrib.tasks",
    "django_smsww.contrib.celery",
]
TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}

CELERY_BROKER_URL = env("BROKER", default="redis://127.0.0.1:1/0")
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_REDIRECT_STDOUTS = False
# What a killed worker had taken is given out again while the others are still at work.
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 5}
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
