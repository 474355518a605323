"""The Celery app of this project."""

from celery import Celery

app = Celery("race")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
