"""The callback door in a project's OpenAPI schema."""

import pytest
import yaml
from django.core.management import call_command

from django_smsww.callbacks.views import CallbackView
from django_smsww.models import Outcome
from django_smsww.urls import urlpatterns as ours
from tests.support.door import FORM, document, mark, post


@pytest.fixture
def make_schema(tmp_path):
    """Return a function that makes the project's schema; any warning is an error."""

    def make():
        path = tmp_path / "schema.yaml"
        call_command("spectacular", "--validate", "--fail-on-warn", file=str(path))
        return yaml.safe_load(path.read_text())

    return make


def test_the_door_and_its_outcomes_are_described_without_warnings(make_schema):
    schema = make_schema()
    assert list(schema["paths"]) == ["/sms/callback/"]
    [(method, door)] = schema["paths"]["/sms/callback/"].items()
    assert (method, door["tags"]) == ("post", ["SMS"])
    assert list(door["responses"]) == ["200", "400", "401", "411", "413", "415", "503"]
    answer = door["responses"]["200"]["content"]["application/json"]["schema"]
    assert set(answer["properties"]["outcome"]["enum"]) == {*Outcome.values, "probe"}


def test_the_signature_is_a_security_scheme(make_schema):
    schema = make_schema()
    assert schema["paths"]["/sms/callback/"]["post"]["security"] == [{"smsCallback": []}]
    scheme = schema["components"]["securitySchemes"]["smsCallback"]
    assert (scheme["in"], scheme["name"]) == ("header", "X-SMSWW-Signature")


def test_the_payload_is_described_and_fields_of_a_form_hold_json(make_schema):
    schema = make_schema()
    content = schema["paths"]["/sms/callback/"]["post"]["requestBody"]["content"]
    assert {each["schema"]["$ref"] for each in content.values()} == {
        "#/components/schemas/SMSCallback"
    }
    assert content[FORM]["encoding"]["data"] == {"contentType": "application/json"}
    message = schema["components"]["schemas"]["SMSCallbackMessage"]
    assert message["required"] == ["state"]
    assert set(message["properties"]) <= set(document())


def test_the_schema_class_of_the_project_does_not_matter(make_schema, settings):
    settings.REST_FRAMEWORK = {}
    assert list(make_schema()["paths"]) == ["/sms/callback/"]


def test_a_view_of_the_projects_own_is_described_too(make_schema, monkeypatch):
    class OwnView(CallbackView):
        pass

    [pattern] = ours
    monkeypatch.setattr(pattern, "callback", OwnView.as_view())
    assert "/sms/callback/" in make_schema()["paths"]


@pytest.mark.django_db
def test_the_door_works_as_before(make_message, make_schema):
    make_schema()
    message = make_message(state="NEW", environment="door.example.com")
    answer = post({"data": document("DELIVERED"), "custom": mark(message)})
    assert (answer.status_code, answer.json()) == (200, {"outcome": "moved"})
