"""Pause sending and resume it, and see above every message that it is paused."""

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.utils import timezone

from django_smsww import AccountBlocklisted, ContentRefused, SMSUnavailable, send_sms
from django_smsww.models import Suspension
from django_smsww.worker.limits import stop_batch

from ..conftest import NUMBER
from ..support.people import LIST, admin_url, browser_of, notices, page, staff, text_of

SUSPENSIONS = admin_url("suspension_changelist")
PAUSE = admin_url("suspension_pause")
EVIL = "<script>alert(1)</script>\u202e"
pytestmark = pytest.mark.django_db


@pytest.fixture
def browser(db):
    return browser_of(staff("view_message", "view_suspension", "pause_message"))


def resume_page(suspension):
    return admin_url("suspension_resume", suspension.pk)


def test_pause_tells_what_waits_and_then_holds_it_back(browser, make_message):
    make_message(segments=3)
    make_message(segments=1)
    question = text_of(browser.get(PAUSE))
    assert "2 messages wait" in question
    assert "4 segments" in question
    assert not Suspension.objects.exists()
    answer = browser.post(PAUSE, {"alias": "default", "reason": "maintenance"}, follow=True)
    assert notices(answer) == ["Nothing is sent through “default” now."]
    row = Suspension.objects.get()
    assert (row.reason, row.until, row.created_by.username) == ("maintenance", None, "ann")
    with pytest.raises(SMSUnavailable, match="suspended"):
        send_sms("Hello", NUMBER)


def test_resume_counts_what_leaves_and_lifts_it(browser, make_message):
    browser.post(PAUSE, {"alias": "default"})
    make_message(segments=2)
    make_message(alias="other")
    row = Suspension.objects.get()
    question = text_of(browser.get(resume_page(row)))
    assert "1 message leaves" in question
    assert "2 segments" in question
    assert Suspension.objects.exists()
    answer = browser.post(resume_page(row), follow=True)
    assert notices(answer)[-1] == "Sending through “default” goes on."
    assert not Suspension.objects.exists()
    assert send_sms("Hello", NUMBER).pk


def test_a_pause_is_seen_on_the_list_and_on_a_message(browser, make_message):
    browser.post(PAUSE, {"alias": "default", "reason": "maintenance"})
    for address in (LIST, page(make_message())):
        text = text_of(browser.get(address))
        assert "Nothing is sent through “default” at present." in text
        assert "maintenance" in text
        assert resume_page(Suspension.objects.get()) in text


def test_what_is_over_or_holds_back_less_than_an_alias_has_no_banner(browser):
    Suspension.objects.create(alias="default", until=timezone.now() - timedelta(seconds=1))
    Suspension.objects.create(alias="default", scope="text:abc")
    assert "smsww-banner" not in text_of(browser.get(LIST))


def test_who_may_not_resume_sees_the_banner_without_the_link():
    row = Suspension.objects.create(alias="default", reason=EVIL)
    text = text_of(browser_of(staff("view_message", "pause_message")).get(LIST))
    assert "smsww-banner" in text
    assert resume_page(row) not in text
    assert "<script>alert" not in text


def test_what_was_stopped_for_good_is_not_resumed(browser, make_message):
    batch = "6f1d0a52-0000-4000-8000-000000000001"
    stop_batch("default", "", batch, using="default")
    row = Suspension.objects.get()
    answer = browser.post(resume_page(row), follow=True)
    assert "stopped for good" in notices(answer)[0]
    assert Suspension.objects.exists()


@pytest.mark.parametrize(
    ("error", "warning"),
    [(ContentRefused, "may cost a fine"), (AccountBlocklisted, "ask its support")],
)
def test_a_resume_that_may_cost_warns(browser, make_message, error, warning):
    message = make_message(fingerprint="abc")
    make_message(fingerprint="other")
    Suspension.objects.impose("default", "", error(), "abc")
    text = text_of(browser.get(resume_page(Suspension.objects.get())))
    assert warning in text
    is_text = error is ContentRefused
    assert ("1 message leaves" if is_text else "2 messages leave") in text
    assert message.body not in text


@pytest.mark.parametrize("form", [{}, {"alias": "gone"}, {"alias": "default", "reason": "x" * 256}])
def test_a_pause_of_nothing_is_refused(browser, form):
    assert "errornote" in text_of(browser.post(PAUSE, form))
    assert not Suspension.objects.exists()


def test_an_alias_that_cannot_be_built_is_not_paused(browser, settings):
    settings.SMSWW = {"default": {"BACKEND": "nowhere.SMSBackend"}}
    assert "cannot be used" in text_of(browser.post(PAUSE, {"alias": "default"}))
    assert not Suspension.objects.exists()


def test_pausing_and_resuming_are_in_the_log(browser):
    browser.post(PAUSE, {"alias": "default"})
    browser.post(resume_page(Suspension.objects.get()))
    said = list(LogEntry.objects.order_by("pk").values_list("object_repr", "change_message"))
    assert said == [("default · everything", "Paused."), ("default · everything", "Resumed.")]


def test_resuming_what_is_gone_is_not_found(browser):
    row = Suspension.objects.create(alias="default")
    address = resume_page(row)
    row.delete()
    assert browser.post(address).status_code == 404
