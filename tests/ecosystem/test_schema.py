"""The callback door in a project's OpenAPI schema."""

from __future__ import annotations

import pytest
import yaml
from django.core.management import call_command

from django_smsww.callbacks.views import CallbackView
from django_smsww.models import Outcome
from django_smsww.urls import urlpatterns as ours
from tests.support.door import FORM, document, mark, post


@pytest.fixture
def paths_of_schema(tmp_path):
    """Return a function that makes the project's schema; any warning is an error."""

    def make():
        path = tmp_path / "schema.yaml"
        call_command("spectacular", "--validate", "--fail-on-warn", file=str(path))
        return yaml.safe_load(path.read_text())["paths"]

    return make


def test_the_door_and_its_outcomes_are_described_without_warnings(paths_of_schema):
    paths = paths_of_schema()
    assert list(paths) == ["/sms/callback/"]
    [(method, door)] = paths["/sms/callback/"].items()
    assert (method, door["tags"]) == ("post", ["SMS"])
    assert set(door["requestBody"]["content"]) == {"application/json", FORM}
    assert list(door["responses"]) == ["200", "400", "401", "413", "415", "503"]
    assert [each["name"] for each in door["parameters"]] == ["X-SMSWW-Signature"]
    assert "security" not in door
    answer = door["responses"]["200"]["content"]["application/json"]["schema"]
    assert set(answer["properties"]["outcome"]["enum"]) == {*Outcome.values, "probe"}


def test_the_schema_class_of_the_project_does_not_matter(paths_of_schema, settings):
    settings.REST_FRAMEWORK = {}
    assert list(paths_of_schema()) == ["/sms/callback/"]


def test_a_view_of_the_projects_own_is_described_too(paths_of_schema, monkeypatch):
    class OwnView(CallbackView):
        pass

    [pattern] = ours
    monkeypatch.setattr(pattern, "callback", OwnView.as_view())
    assert "/sms/callback/" in paths_of_schema()


@pytest.mark.django_db
def test_the_door_works_as_before(make_message, paths_of_schema):
    paths_of_schema()
    message = make_message(state="NEW", environment="door.example.com")
    answer = post({"data": document("DELIVERED"), "custom": mark(message)})
    assert (answer.status_code, answer.json()) == (200, {"outcome": "moved"})
