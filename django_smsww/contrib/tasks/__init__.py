"""Send queued messages with Django's tasks framework and a backend that has workers.

In SMSWW, set the option `queue` of an alias to `"django_smsww.contrib.tasks.tasks.enqueue"`.
"""
