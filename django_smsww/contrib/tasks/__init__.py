"""Send queued messages with any backend of `django.tasks` that has workers.

Name `"django_smsww.contrib.tasks.tasks.enqueue"` as the `queue` of an alias.
"""
