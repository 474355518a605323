"""Send queued messages with `django.tasks`, whatever backend stands behind it.

Name `"django_smsww.contrib.tasks.tasks.enqueue"` as the `queue` of an alias.
"""
