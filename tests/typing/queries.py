"""A project's queries, for mypy with the plugin of django-stubs: no other knows managers."""

from typing import assert_type

from django_smsww.models import Message


def find() -> int:
    open_now = Message.objects.unfinished().filter(tag="reminder")
    assert_type(open_now.cancel(reason="moved"), int)
    assert_type(open_now.resend().queued, int)
    return Message.objects.final().count()
