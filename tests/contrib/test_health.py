"""The health check fails while an alias sends nothing, and says what to do."""

from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django.test import Client, override_settings
from django.urls import path
from django.utils import timezone
from health_check.exceptions import ServiceUnavailable
from health_check.views import HealthCheckView

from django_smsww import State
from django_smsww.contrib.health import SMSHealthCheck
from django_smsww.models import Suspension

CHECK = "django_smsww.contrib.health.SMSHealthCheck"
urlpatterns = [path("health/", HealthCheckView.as_view(checks=[(CHECK, {"alias": "default"})]))]
pytestmark = pytest.mark.django_db(transaction=True)


def test_an_alias_that_sends_is_healthy(gateway, make_message):
    make_message(state=State.QUEUED, next_attempt_at=timezone.now())
    make_message(state=State.UNKNOWN)
    SMSHealthCheck().run()


def test_messages_that_wait_for_long_are_a_failure(gateway, make_message):
    make_message(state=State.QUEUED, next_attempt_at=timezone.now() - timedelta(minutes=11))
    with pytest.raises(ServiceUnavailable, match="is smsww_worker running"):
        SMSHealthCheck().run()


def test_a_suspension_is_a_failure_that_names_the_remedy(gateway):
    Suspension.objects.create(alias="default", scope="alias", error="InsufficientCredit", times=1)
    with pytest.raises(ServiceUnavailable, match="smsww_resume"):
        SMSHealthCheck().run()


def test_an_alias_that_is_not_defined_is_a_failure():
    with pytest.raises(ServiceUnavailable, match="SMSBackendDoesNotExist"):
        SMSHealthCheck(alias="nowhere").run()


def test_a_broken_database_is_a_failure(gateway):
    def break_down(*args):
        raise OperationalError("secret")

    with connection.execute_wrapper(break_down), pytest.raises(ServiceUnavailable) as caught:
        SMSHealthCheck().run()
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(("minutes", "status", "text"), [(1, 200, "OK"), (11, 500, "smsww_worker")])
@override_settings(ROOT_URLCONF=__name__)
def test_the_view_of_the_package_shows_it(gateway, make_message, minutes, status, text):
    make_message(state=State.QUEUED, next_attempt_at=timezone.now() - timedelta(minutes=minutes))
    response = Client(raise_request_exception=False).get("/health/?format=json")
    assert response.status_code == status
    [(name, said)] = response.json().items()
    assert (name, text in said) == ("SMSHealthCheck(alias='default')", True)
