"""The site that `door.py` knocks at: our door, the same SQL in a plain view, and a view of nothing.

Each signal has a receiver. The plain view runs the portable statements by which our door stores a
first callback and reads its row for the receivers, with the names of each request put in: with
BEGIN and COMMIT they are five. On PostgreSQL our door has one, and then it sends its signals.
"""

import hashlib
import json
from typing import Any
from unittest import mock
from uuid import UUID

import django
from django.core.wsgi import get_wsgi_application
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse
from django.test import TestCase
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

django.setup()

from django.conf import settings  # noqa: E402 - they are read from here on

from django_smsww.callbacks import recording  # noqa: E402
from django_smsww.callbacks.signed import SignedCallback, clean  # noqa: E402
from django_smsww.callbacks.views import CallbackView  # noqa: E402
from django_smsww.gateway.payload import read_message  # noqa: E402
from django_smsww.models import Message  # noqa: E402
from django_smsww.signals import message_failed, message_sent, message_state_changed  # noqa: E402

settings.ROOT_URLCONF = __name__
statements: list[tuple[str, Any]] = []
sample: dict[str, Any] = {}


def learn(payload: dict[str, Any], reference: UUID) -> None:
    """Note the statements with which our door would store this callback, and store nothing."""

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if params is not None:  # or it is a savepoint
            statements.append((sql, params))
        return execute(sql, params, many, context)

    environment = payload["custom"]["_smsww"]["environment"]
    callback = SignedCallback(reference, environment, True, read_message(payload), clean(payload))
    sample.update(
        id=payload["data"]["id"], reference=reference, digest=callback.digest, kept=callback.payload
    )
    with transaction.atomic():
        portably = mock.patch.object(recording, "_is_moved_at_once", return_value=False)
        signals = TestCase.captureOnCommitCallbacks(execute=True)
        with connection.execute_wrapper(note), portably, signals:
            recording.record(callback, using=connection.alias)
        transaction.set_rollback(True)


@csrf_exempt
@transaction.non_atomic_requests
def plain(request: HttpRequest) -> HttpResponse:
    payload = json.loads(request.body)
    reference = UUID(payload["custom"]["_smsww"]["reference"])
    if not statements:
        learn(payload, reference)
    names = {
        sample["reference"]: reference,
        sample["reference"].hex: reference.hex,  # as SQLite keeps it
        sample["id"]: payload["data"]["id"],
        sample["digest"]: hashlib.sha256(request.body).hexdigest(),
    }
    with transaction.atomic(), connection.cursor() as cursor:
        for sql, params in statements:
            cursor.execute(sql, [_put_in(names, value) for value in params])
            if cursor.description:
                cursor.fetchall()
    return HttpResponse(b'{"outcome": "moved"}', content_type="application/json")


def _put_in(names: dict[Any, Any], value: Any) -> Any:
    return names.get(value, value) if isinstance(value, str | UUID) else value


def receive(sender: type[Message], message: Message, **kwargs: Any) -> None:
    assert message.reference


class Nothing(APIView):
    """A view of REST framework that reads the body and does nothing with it."""

    authentication_classes = ()
    permission_classes = ()

    def post(self, request: Request) -> Response:
        assert request.data
        return Response({"outcome": "moved"})


for signal in (message_sent, message_failed, message_state_changed):
    signal.connect(receive)

urlpatterns = [
    path("ours/", CallbackView.as_view()),
    path("plain/", plain),
    path("nothing/", Nothing.as_view()),
]
application = get_wsgi_application()
