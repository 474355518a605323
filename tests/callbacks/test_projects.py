"""The callback door in projects whose settings stand in its way: none of them changes it."""

import json
from urllib.parse import urlencode

import pytest
from django.db import connection, connections
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from rest_framework.response import Response
from rest_framework.views import APIView

from django_smsww.callbacks import views
from django_smsww.states import State

from ..support.door import ENVIRONMENT, FORM, URL, document, hear, post, refused_with, signed

pytestmark = pytest.mark.django_db


class Asked(Exception):
    """The view asked what a project configures for its own views."""


def refuse(*args, **kwargs):
    raise Asked


HOSTILE = {
    "authentication_classes": (refuse,),
    "permission_classes": (refuse,),
    "throttle_classes": (refuse,),
    "parser_classes": (refuse,),
    "renderer_classes": (refuse,),
    "content_negotiation_class": refuse,
    "versioning_class": refuse,
}


@pytest.fixture(params=[*HOSTILE, "UNAUTHENTICATED_USER"])
def hostile_default(request, monkeypatch, settings):
    if request.param in HOSTILE:
        monkeypatch.setattr(APIView, request.param, staticmethod(HOSTILE[request.param]))
    else:
        settings.REST_FRAMEWORK = {request.param: refuse}


@pytest.mark.usefixtures("hostile_default")
def test_defaults_of_rest_framework_change_nothing(message):
    assert hear(message) == "moved"
    refused_with(401, document())
    refused_with(400, b"[" * 60_000)
    refused_with(415, b"<xml/>", content_type="application/xml")


@pytest.mark.usefixtures("hostile_default")
def test_the_hostile_defaults_do_stand_in_the_way_of_other_views(rf):
    class Other(APIView):
        def post(self, request):
            raise AssertionError("it got through")

    with pytest.raises(Asked):
        Other.as_view()(rf.post("/"))


def always_200(error, context):
    return Response({"detail": "never mind"}, status=200)


@override_settings(REST_FRAMEWORK={"EXCEPTION_HANDLER": f"{__name__}.always_200"})
def test_an_exception_handler_of_the_project_does_not_answer_for_the_door(message):
    assert APIView().get_exception_handler() is always_200
    refused_with(401, document())
    refused_with(400, b"")


@override_settings(REST_FRAMEWORK={"URL_FORMAT_OVERRIDE": "format"})
def test_a_query_does_not_choose_the_format(message):
    response = Client().generic("POST", f"{URL}?format=xml", b"{}", "application/json")
    assert (response.status_code, response.json()) == (401, {"error": "not_authentic"})


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "nonsense", "*/*"])
def test_the_answer_is_json_whatever_is_asked_for(message, accept):
    for status, body in [(200, document()), (400, b"")]:
        response = post(body, {"Accept": accept} | signed(message))
        assert response.status_code == status
        assert response.headers["Content-Type"] == "application/json"


class Nosy:
    """A middleware that reads the body before the view does."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        assert request.body is not None
        assert request.POST is not None
        return self.get_response(request)


@pytest.mark.parametrize(
    "middleware",
    [
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        f"{__name__}.Nosy",
    ],
)
def test_middleware_changes_nothing(message, settings, middleware):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, middleware]
    assert hear(message, "PENDING") == "moved"
    body = urlencode({"data": json.dumps(document())}).encode()
    assert post(body, signed(message), FORM).json() == {"outcome": "moved"}


@pytest.fixture
def atomic_requests(monkeypatch):
    for alias in connections:
        monkeypatch.setitem(connections.settings[alias], "ATOMIC_REQUESTS", True)


@pytest.mark.usefixtures("atomic_requests")
def test_a_refusal_opens_no_transaction(message):
    with CaptureQueriesContext(connection) as captured:
        assert post(b"").status_code == 400
    assert len(captured) == 0


@pytest.mark.usefixtures("atomic_requests")
@pytest.mark.django_db(transaction=True)
def test_a_callback_is_committed_when_it_is_answered(make_message, monkeypatch):
    """With ATOMIC_REQUESTS of its own it would be committed after the answer was made."""
    message = make_message(environment=ENVIRONMENT, state=State.NEW)
    seen = []

    def answer(content):
        seen.append(connection.in_atomic_block)
        return Response(content)

    monkeypatch.setattr(views, "Response", answer)
    assert hear(message) == "moved"
    assert seen == [False]
