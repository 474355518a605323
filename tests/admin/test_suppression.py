"""The do-not-send list in the admin."""

import pytest
from django.contrib.admin.models import LogEntry

from django_smsww.models import Suppression

from ..conftest import NUMBER
from ..support.people import admin_url, browser_of, staff

LIST = admin_url("suppression_changelist")
ADD = admin_url("suppression_add")
EDITOR = ("view_suppression", "add_suppression", "delete_suppression", "view_message_content")
pytestmark = pytest.mark.django_db


@pytest.fixture
def editor():
    return browser_of(staff(*EDITOR))


@pytest.fixture
def entry():
    return Suppression.objects.create(recipient=NUMBER, reason="Mario asked")


def page(entry):
    return admin_url("suppression_change", entry.pk)


def delete_page(entry):
    return admin_url("suppression_delete", entry.pk)


@pytest.mark.parametrize("typed", [NUMBER, "+39 333 123-4567", "0039 333.1234567"])
def test_a_number_is_added_as_messages_are_addressed(editor, typed):
    response = editor.post(ADD, {"recipient": typed, "reason": "asked"}, follow=True)
    assert response.status_code == 200
    entry = Suppression.objects.get()
    assert (entry.recipient, entry.reason, entry.created_by.username) == (NUMBER, "asked", "ann")
    logged = LogEntry.objects.get()
    assert NUMBER[1:] not in f"{logged.object_repr} {logged.change_message}"


@pytest.mark.parametrize("typed", ["393331234567", "+39333abc", "", "+", "00"])
def test_what_is_no_number_is_explained(editor, typed):
    response = editor.post(ADD, {"recipient": typed})
    assert response.status_code == 200
    assert "errorlist" in response.content.decode()
    assert not Suppression.objects.exists()


def test_a_number_is_taken_off(editor, entry):
    assert NUMBER[1:] not in editor.get(delete_page(entry)).content.decode()
    editor.post(delete_page(entry), {"post": "yes"})
    assert not Suppression.objects.exists()


def test_an_entry_is_not_changed_into_another(editor, entry):
    editor.post(page(entry), {"recipient": "+34600000000", "reason": ""})
    entry.refresh_from_db()
    assert entry.recipient == NUMBER


def found(browser, typed):
    return list(browser.get(LIST, {"q": typed}).context["cl"].result_list)


def test_a_complete_number_is_found(editor, entry):
    other = Suppression.objects.create(recipient="+34600000000")
    assert found(editor, "+39 333 1234567") == [entry]
    assert found(editor, "") == [other, entry]
    assert found(editor, "+39333") == found(editor, "Mario") == []


def test_a_search_tells_nothing_without_the_permission(entry):
    browser = browser_of(staff("view_suppression"))
    assert found(browser, NUMBER) == found(browser, "+34600000000") == [entry]


def test_the_action_that_deletes_has_a_permission_of_its_own(entry):
    browser = browser_of(staff("view_suppression", "add_suppression", "view_message_content"))
    chosen = {"action": "delete_selected", "_selected_action": [entry.pk], "post": "yes"}
    browser.post(LIST, chosen)
    assert Suppression.objects.exists()
