"""A message that the callback view knows, and the question if it was left alone."""

import pytest

from django_smsww.models import Callback, Message
from django_smsww.states import State

from ..support.door import ENVIRONMENT


@pytest.fixture
def message(make_message):
    return make_message(environment=ENVIRONMENT, state=State.NEW)


def stored(message):
    return Message.objects.get(pk=message.pk)


def assert_untouched(message):
    row = stored(message)
    assert (row.state, row.provider_id, row.updated_at) == ("NEW", None, message.updated_at)
    assert not Callback.objects.exists()
