"""Send queued messages with Django's tasks framework. The backend in TASKS must have workers.

In SMSWW, set the option `queue` of an alias to `"django_smsww.contrib.tasks.tasks.enqueue"`.
"""
