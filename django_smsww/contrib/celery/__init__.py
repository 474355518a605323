"""Send queued messages with Celery workers.

In SMSWW, set the option `queue` of an alias to `"django_smsww.contrib.celery.tasks.enqueue"`.
"""
