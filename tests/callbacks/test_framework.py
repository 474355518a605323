"""What a reader who knows REST framework expects of the callback view, and of a subclass."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory, force_authenticate
from rest_framework.throttling import BaseThrottle

from django_smsww.callbacks.serializers import SMSCallbackSerializer
from django_smsww.callbacks.signed import SignedCallback
from django_smsww.callbacks.views import CallbackView

from ..support.door import FORM, URL, document, mark, post, signed
from .conftest import assert_untouched, stored

pytestmark = pytest.mark.django_db


def answer_of(view, body, **headers):
    request = APIRequestFactory().post(URL, body, format="json", headers=headers)
    return view.as_view()(request)


def test_a_401_names_the_scheme(message):
    response = post(document())
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == 'X-SMSWW-Signature realm="SMS callbacks"'


@pytest.mark.parametrize("method", ["get", "options", "put", "delete"])
def test_another_method_is_refused_without_a_signature_too(message, method):
    response = getattr(Client(), method)(URL)
    assert (response.status_code, response.json()) == (405, {"error": "method_not_allowed"})


class Echo(CallbackView):
    def post(self, request):
        return Response({"callback": request.auth, "user": request.user, "data": request.data})


def test_a_subclass_finds_the_callback_in_auth_and_what_is_kept_of_it_in_data(message):
    said = answer_of(Echo, {"data": document(), "custom": mark(message)}).data
    assert isinstance(said["callback"], SignedCallback)
    assert (said["callback"].reference, said["user"].is_anonymous) == (message.reference, True)
    assert said["data"]["data"]["state"] == "DELIVERED"
    assert "message" not in said["data"]["data"]


def test_a_test_may_force_authentication(message):
    callback = SignedCallback(message.reference, message.environment, True, None, {})
    request = APIRequestFactory().post(URL, {}, format="json")
    force_authenticate(request, token=callback)
    assert Echo.as_view()(request).data["callback"] is callback


class Busy(BaseThrottle):
    def allow_request(self, request, view):
        return False

    def wait(self):
        return 7


class Throttled(CallbackView):
    throttle_classes = (Busy,)


def test_a_throttled_subclass_says_when_to_come_again_and_asks_no_database(message):
    with CaptureQueriesContext(connection) as captured:
        response = answer_of(Throttled, document(), **signed(message))
    assert (response.status_code, response.data) == (429, {"error": "throttled"})
    assert (response.headers["Retry-After"], len(captured)) == ("7", 0)
    assert_untouched(message)


def test_the_signature_is_asked_before_the_throttle(message):
    assert answer_of(Throttled, document()).status_code == 401


def test_the_serializer_takes_unknown_words_and_fields(message):
    data = document("SHREDDED", invented=[1]) | {"price": None}
    assert SMSCallbackSerializer(data={"data": data, "more": 1}).is_valid()


def test_the_view_takes_what_its_serializer_would_refuse(message):
    wrong = document(price="a lot", messageCount=[], createdAt="yesterday")
    assert not SMSCallbackSerializer(data={"data": wrong}).is_valid()
    assert post(wrong, signed(message)).status_code == 200
    assert stored(message).state == "DELIVERED"


def test_a_multipart_body_that_a_middleware_has_read_is_refused_all_the_same(message, settings):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.ReadsFiles"]
    response = Client().post(URL, {"data": "{}"}, headers=signed(message))
    assert response.status_code == 415
    assert stored(message).state == "NEW"


class ReadsFiles:
    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        assert request.FILES is not None
        return self.get_response(request)


def test_a_form_is_parsed_into_objects(message):
    body = b'data={"state":"DELIVERED"}&custom={"order":1}'
    request = APIRequestFactory().generic("POST", URL, body, FORM, headers=signed(message))
    said = Echo.as_view()(request).data["data"]
    assert said == {"state": "DELIVERED", "custom": {"order": 1}}
