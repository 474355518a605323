"""The do-not-send list in the admin."""

import pytest
from django.contrib.admin.models import LogEntry
from django.utils import timezone

from django_smsww.models import Suppression

from ..conftest import NUMBER
from ..support.people import admin_url, browser_of, missing, notices, staff, text_of

LIST = admin_url("suppression_changelist")
ADD = admin_url("suppression_add")
pytestmark = pytest.mark.django_db


@pytest.fixture
def editor():
    names = ("view_suppression", "add_suppression", "delete_suppression", "view_message_content")
    return browser_of(staff(*names))


@pytest.fixture
def entry():
    return Suppression.objects.create(recipient=NUMBER, reason="Mario asked")


@pytest.mark.parametrize("typed", [NUMBER, "+39 333 123-4567", "0039 333.1234567"])
def test_a_number_is_added_as_messages_are_addressed(editor, typed):
    assert editor.post(ADD, {"recipient": typed, "reason": "asked"}, follow=True).status_code == 200
    entry = Suppression.objects.get()
    assert (entry.recipient, entry.reason, entry.created_by.username) == (NUMBER, "asked", "ann")
    logged = LogEntry.objects.get()
    assert NUMBER[1:] not in f"{logged.object_repr} {logged.change_message}"


@pytest.mark.parametrize("typed", ["393331234567", "+39333abc", "", "+", "00"])
def test_what_is_no_number_is_explained(editor, typed):
    response = editor.post(ADD, {"recipient": typed})
    assert (response.status_code, missing(response, "errorlist")) == (200, [])
    assert not Suppression.objects.exists()


def test_a_number_is_taken_off(editor, entry):
    address = admin_url("suppression_delete", entry.pk)
    assert not missing(editor.get(address), f"no. {entry.pk}, added on 20", NUMBER, "Mario asked")
    editor.post(address, {"post": "yes"})
    assert not Suppression.objects.exists()


def choose(*entries, **answer):
    keys = [entry.pk for entry in entries]
    return {"action": "delete_selected", "_selected_action": keys, **answer}


def test_selected_numbers_are_taken_off(editor, entry):
    other = Suppression.objects.create(recipient="+34600000000", reason="Ann asked")
    assert not missing(editor.get(LIST), "Delete selected entries of the do-not-send list")
    question = editor.post(LIST, choose(entry, other))
    assert not missing(question, NUMBER, "Mario asked", "+34600000000", "Ann asked")
    answer = editor.post(LIST, choose(entry, other, post="yes"), follow=True)
    assert notices(answer) == ["Successfully deleted 2 entries of the do-not-send list."]
    assert not Suppression.objects.exists()


def test_the_name_of_an_entry_shows_neither_its_number_nor_its_reason(entry):
    name = f"no. {entry.pk}, added on {timezone.localdate()}"
    browser = browser_of(staff("view_suppression", "delete_suppression"))
    hidden = [NUMBER[1:], "Mario"]
    address = admin_url("suppression_delete", entry.pk)
    for question in (browser.get(address), browser.post(LIST, choose(entry))):
        assert missing(question, name, *hidden) == hidden
    browser.post(address, {"post": "yes"})
    assert LogEntry.objects.get().object_repr == name


def test_an_entry_is_not_changed_into_another(editor, entry):
    address = admin_url("suppression_change", entry.pk)
    editor.post(address, {"recipient": "+34600000000", "reason": ""})
    entry.refresh_from_db()
    assert entry.recipient == NUMBER


def found(browser, typed):
    return list(browser.get(LIST, {"q": typed}).context["cl"].result_list)


def test_the_number_leads_to_the_entry(editor, entry):
    """On a telephone the list shows no other link."""
    address = admin_url("suppression_change", entry.pk)
    assert text_of(editor.get(LIST)).count(f'href="{address}"') == 2


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
    browser.post(LIST, choose(entry, post="yes"))
    assert Suppression.objects.exists()
