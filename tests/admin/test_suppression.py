"""The do-not-send list in the admin."""

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse

from django_smsww.models import Suppression

from ..conftest import NUMBER
from ..support.people import browser_of, staff

LIST = reverse("admin:django_smsww_suppression_changelist")
ADD = reverse("admin:django_smsww_suppression_add")
EDITOR = ("view_suppression", "add_suppression", "delete_suppression", "view_message_content")
pytestmark = pytest.mark.django_db


@pytest.fixture
def editor():
    return browser_of(staff(*EDITOR))


@pytest.fixture
def entry():
    return Suppression.objects.create(recipient=NUMBER, reason="Mario asked")


def page(entry):
    return reverse("admin:django_smsww_suppression_change", args=(entry.pk,))


def delete_page(entry):
    return reverse("admin:django_smsww_suppression_delete", args=(entry.pk,))


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


def test_numbers_and_reasons_are_masked_without_the_permission(entry):
    browser = browser_of(staff("view_suppression", "delete_suppression"))
    for url in (LIST, page(entry), delete_page(entry)):
        shown = browser.get(url).content.decode()
        assert "4567" not in shown
        assert "Mario" not in shown


def test_a_search_tells_nothing_without_the_permission(entry):
    browser = browser_of(staff("view_suppression"))
    assert found(browser, NUMBER) == found(browser, "+34600000000") == [entry]


@pytest.mark.parametrize("missing", ["add_suppression", "delete_suppression"])
def test_each_change_has_a_permission_of_its_own(entry, missing):
    browser = browser_of(staff(*(name for name in EDITOR if name != missing)))
    if missing == "add_suppression":
        assert browser.post(ADD, {"recipient": "+34600000000"}).status_code == 403
    else:
        assert browser.post(delete_page(entry), {"post": "yes"}).status_code == 403
        chosen = {"action": "delete_selected", "_selected_action": [entry.pk], "post": "yes"}
        browser.post(LIST, chosen)
    assert Suppression.objects.count() == 1
