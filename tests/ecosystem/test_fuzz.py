"""A fuzzer with the door's own schema, signed and unsigned, gets no server error."""

import pytest
import schemathesis
import yaml
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from django_smsww.gateway.signature import HEADER
from django_smsww.models import Callback
from tests.support.door import ENVIRONMENT, signed

CHECKS = [
    not_a_server_error,
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
]


@pytest.fixture
def door(tmp_path):
    """Return the callback door as its schema describes it, in this process."""
    path = tmp_path / "schema.yaml"
    call_command("spectacular", file=str(path))
    schema = schemathesis.openapi.from_dict(yaml.safe_load(path.read_text()))
    schema.app = get_wsgi_application()
    return schema["/sms/callback/"]["POST"]


# A real handler ends its connection with each request, and with that a test's transaction.
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("mode", "always"),
    [(GenerationMode.POSITIVE, {200, 401}), (GenerationMode.NEGATIVE, {400, 401})],
)
def test_the_door_answers_as_its_schema_says(door, make_message, mode, always):
    message = make_message(state="NEW", environment=ENVIRONMENT)
    seen = set()

    @settings(
        database=None,
        suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
    )
    @given(case=door.as_strategy(generation_mode=mode), is_signed=st.booleans())
    def check(case, is_signed):
        if is_signed:
            case.headers[HEADER] = signed(message)[HEADER]
        if mode is GenerationMode.POSITIVE and isinstance(case.body, dict):
            case.body = case.body | {"data": {"state": "DELIVERED"}}  # without a state it is a 400
        response = case.call()
        seen.add(response.status_code)
        case.validate_response(response, checks=CHECKS)

    check()
    assert always <= seen
    assert set(Callback.objects.values_list("reference", flat=True)) == {message.reference}
