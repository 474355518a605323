"""Send queued messages with the workers of Celery.

Name `"django_smsww.contrib.celery.tasks.enqueue"` as the `queue` of an alias.
"""
