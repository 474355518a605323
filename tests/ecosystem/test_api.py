"""The API in a project's OpenAPI schema, and a fuzzer that reads it."""

from base64 import b64encode

import pytest
import schemathesis
import yaml
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.ecosystem.conftest import NUMBER
from tests.support.people import EVERYTHING, staff

SENDS = [
    "/api/messages/",
    "/api/messages/{reference}/resend/",
    "/api/batches/",
    "/api/verifications/",
]


@pytest.fixture
def schema(settings, tmp_path):
    """Return the schema of the API alone; any warning is an error."""
    settings.ROOT_URLCONF = "tests.contrib.api.urls"
    path = tmp_path / "schema.yaml"
    call_command("spectacular", "--validate", "--fail-on-warn", file=str(path))
    return yaml.safe_load(path.read_text())


def test_every_address_is_described_without_warnings(schema):
    methods = {path: sorted(each) for path, each in schema["paths"].items()}
    assert methods == {
        "/api/batches/": ["get", "post"],
        "/api/batches/{reference}/": ["get"],
        "/api/batches/{reference}/stop/": ["post"],
        "/api/messages/": ["get", "post"],
        "/api/messages/{reference}/": ["get"],
        "/api/messages/{reference}/cancel/": ["post"],
        "/api/messages/{reference}/refresh/": ["post"],
        "/api/messages/{reference}/resend/": ["post"],
        "/api/suppressions/": ["get", "post"],
        "/api/suppressions/{id}/": ["delete", "get"],
        "/api/verifications/": ["post"],
        "/api/verifications/check/": ["post"],
    }


@pytest.mark.parametrize("path", SENDS)
def test_what_sends_needs_the_header_and_tells_its_answers(schema, path):
    action = schema["paths"][path]["post"]
    [header] = [each for each in action["parameters"] if each["in"] == "header"]
    assert (header["name"], header["required"]) == ("Idempotency-Key", True)
    assert {"201", "202", "400", "422", "429", "503"} <= action["responses"].keys()


def test_what_a_user_may_not_see_may_be_null(schema):
    fields = schema["components"]["schemas"]["Message"]["properties"]
    assert all(fields[name]["nullable"] for name in ("recipient", "body", "key", "total_price"))


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode))
def test_a_fuzzer_finds_no_fault_of_the_server(schema, make_message, mode):
    staff(
        *EVERYTHING,
        "view_suppression",
        "add_suppression",
        "delete_suppression",
        "smsww_verification.verify_number",
    )
    make_message(state="FAILED", error="SMSRefused")
    api = schemathesis.openapi.from_dict(schema)
    api.app = get_wsgi_application()
    log_in = {"Authorization": f"Basic {b64encode(b'ann:secret').decode()}"}
    strategies = [each.ok().as_strategy(generation_mode=mode) for each in api.get_all_operations()]
    seen = set()

    @settings(database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=st.one_of(strategies))
    def check(case):
        if mode is schemathesis.GenerationMode.POSITIVE and isinstance(case.body, dict):
            known = {"recipient": NUMBER, "recipients": [NUMBER], "alias": "default"}
            case.body |= {name: known[name] for name in known.keys() & case.body.keys()}
        seen.add(case.call(headers=log_in).status_code)

    check()
    assert {status for status in seen if status >= 500} <= {503}
    assert 400 in seen
    assert seen & {200, 201} or mode is schemathesis.GenerationMode.NEGATIVE  # it was logged in
