"""Pause sending and resume it, and see above every message that it is paused."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib.admin.models import LogEntry
from django.utils import timezone
from django.utils.formats import localize

from django_smsww import AccountBlocklisted, ContentRefused, SMSUnavailable, send_sms
from django_smsww.models import Heartbeat, Suspension
from django_smsww.models.batch import stop_batch
from django_smsww.models.suspension import FAILURES
from django_smsww.states import State

from ..conftest import NUMBER
from ..support.door import hear
from ..support.people import (
    LIST,
    admin_url,
    browser_of,
    listed,
    missing,
    notices,
    page,
    resend_page,
    selection,
    staff,
)

SUSPENSIONS = admin_url("suspension_changelist")
PAUSE = admin_url("suspension_pause")
EVIL = "<script>alert(1)</script>\u202e"
pytestmark = pytest.mark.django_db


def resume_page(suspension):
    return admin_url("suspension_resume", suspension.pk)


def test_pause_tells_what_waits_and_then_holds_it_back(browser, make_message):
    make_message(segments=3)
    make_message(segments=1)
    assert not missing(browser.get(PAUSE), "2 messages wait now", "4 segments")
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
    assert not missing(browser.get(resume_page(row)), "1 message waits now", "2 segments")
    assert Suspension.objects.exists()
    answer = browser.post(resume_page(row), follow=True)
    assert notices(answer)[-1] == "Sending through “default” has resumed."
    assert not Suspension.objects.exists()
    assert send_sms("Hello", NUMBER).pk


def test_a_pause_is_seen_wherever_somebody_waits_or_sends(browser, make_message):
    browser.post(PAUSE, {"alias": "default", "reason": "maintenance"})
    link = resume_page(Suspension.objects.get())
    shown = ("Nothing is sent through “default” at present.", "maintenance", link)
    message = make_message(batch=uuid4())
    compose, batch = admin_url("message_compose"), admin_url("batch_page", message.batch)
    for address in (LIST, page(message), compose, batch):
        assert not missing(browser.get(address), *shown), address
    draft = {"body": "Hello", "recipients": NUMBER, "alias": "default", "token": uuid4()}
    assert not missing(browser.post(compose, draft | {"_check": "1"}), *shown)
    failed = make_message(state=State.FAILED)
    assert not missing(browser.get(resend_page(failed)), *shown)
    for action in ("resend_selected", "resend_all"):
        assert not missing(browser.post(LIST, selection(failed, action=action)), *shown), action


def test_a_question_that_sends_nothing_has_no_banner(browser, make_message):
    Suspension.objects.create(alias="default")
    question = browser.get(admin_url("message_cancel", make_message().pk))
    assert missing(question, "smsww-banner", "smsww-question") == ["smsww-banner"]


def test_callbacks_without_a_known_state_are_told_to_readers_of_callbacks(browser, make_message):
    message = make_message(state=State.NEW)
    hear(message, "SHREDDED")
    shown = ("callbacks came that this package could not read", admin_url("callback_changelist"))
    for address in (LIST, page(message)):
        assert not missing(browser.get(address), *shown)
    other = make_message()
    other.callbacks.create(reference=other.reference, outcome="moved", digest="1", payload={})
    heard = browser.get(shown[1] + "?outcome=unknown_word&period=7")
    assert listed(heard) == {message.callbacks.get().pk}
    assert shown[0] in missing(browser_of(staff("view_message", name="bob")).get(LIST), *shown)
    Heartbeat.objects.update(beat_at=timezone.now() - timedelta(hours=25))
    assert missing(browser.get(LIST), "smsww-banner")


def test_what_is_over_or_holds_back_less_than_an_alias_has_no_banner(browser):
    Suspension.objects.create(alias="default", until=timezone.now() - timedelta(seconds=1))
    Suspension.objects.create(alias="default", scope="text:abc")
    assert missing(browser.get(LIST), "smsww-banner")


@pytest.mark.parametrize(
    ("error", "said", "unsaid"),
    [
        ("", "Sending resumes at", "test message"),
        ("SMSUnavailable", "The next test message leaves at", "Sending resumes"),
    ],
)
def test_the_banner_says_when_sending_goes_on(browser, error, said, unsaid):
    until = timezone.now().replace(second=1) + timedelta(hours=1)
    Suspension.objects.create(alias="default", error=error, until=until)
    shown = timezone.localtime(until + timedelta(minutes=1))
    assert missing(browser.get(LIST), said, f"{shown:%H:%M}</time>.", unsaid) == [unsaid]
    assert not missing(browser.get(SUSPENSIONS), localize(shown.replace(second=0)))


ANSWERED = "The gateway did not accept the message; nothing was sent"


def test_a_pause_after_an_answer_is_not_said_to_be_an_unreached_gateway(browser):
    for _ in range(FAILURES):
        Suspension.objects.count_failures("default", "", SMSUnavailable(status=503), 1)
    row = Suspension.objects.get()
    assert not missing(browser.get(LIST), f"{ANSWERED}. <bdi>HTTP 503.</bdi>")
    for address in (LIST, SUSPENSIONS, admin_url("suspension_change", row.pk)):
        shown = missing(browser.get(address), ANSWERED, "could not be reached")
        assert shown == ["could not be reached"], address


@pytest.mark.parametrize(
    ("reason", "shown"), [("maintenance", "maintenance."), ("Who paid?", "Who paid?")]
)
def test_the_reason_of_a_pause_ends_as_a_sentence(browser, reason, shown):
    Suspension.objects.pause("default", "", reason=reason)
    assert not missing(browser.get(LIST), f"<bdi>{shown}</bdi>")


def test_who_may_not_resume_sees_the_banner_without_the_link():
    row = Suspension.objects.create(alias="default", reason=EVIL)
    answer = browser_of(staff("view_message", "pause_message")).get(LIST)
    hidden = [resume_page(row), "<script>alert"]
    assert missing(answer, "smsww-banner", *hidden) == hidden


def test_a_stopped_batch_is_no_suspension(browser, make_message):
    stop_batch("default", "", uuid4(), using="default")
    assert listed(browser.get(admin_url("suspension_changelist"))) == set()
    assert browser.post(resume_page(Suspension.objects.get())).status_code == 404


def test_a_paused_batch_has_a_link(browser, make_message):
    message = make_message(batch=uuid4())
    Suspension.objects.pause("default", "", scope=f"batch:{message.batch}")
    link = admin_url("batch_page", message.batch)
    assert not missing(browser.get(admin_url("suspension_changelist")), f'href="{link}"')


@pytest.mark.parametrize(
    ("error", "warning"),
    [(ContentRefused, "may cost a fine"), (AccountBlocklisted, "unblock it")],
)
def test_a_resume_that_may_cost_warns(browser, make_message, error, warning):
    message = make_message(fingerprint="abc")
    make_message(fingerprint="other")
    Suspension.objects.impose("default", "", error(), "abc")
    count = "1 message waits now" if error is ContentRefused else "2 messages wait now"
    answer = browser.get(resume_page(Suspension.objects.get()))
    assert missing(answer, warning, count, message.body) == [message.body]


@pytest.mark.parametrize("form", [{}, {"alias": "gone"}, {"alias": "default", "reason": "x" * 256}])
def test_a_pause_of_nothing_is_refused(browser, form):
    assert not missing(browser.post(PAUSE, form), "errornote")
    assert not Suspension.objects.exists()


def test_an_alias_that_cannot_be_built_is_not_paused(browser, settings):
    settings.SMSWW = {"default": {"BACKEND": "nowhere.SMSBackend"}}
    assert not missing(browser.post(PAUSE, {"alias": "default"}), "cannot be used")
    assert not Suspension.objects.exists()


def test_pausing_and_resuming_are_in_the_log(browser):
    browser.post(PAUSE, {"alias": "default"})
    browser.post(resume_page(Suspension.objects.get()))
    said = list(LogEntry.objects.order_by("pk").values_list("object_repr", flat=True))
    assert said == ["Paused · default · everything", "Resumed · default · everything"]


def test_resuming_what_is_gone_is_not_found(browser):
    row = Suspension.objects.create(alias="default")
    address = resume_page(row)
    row.delete()
    assert browser.post(address).status_code == 404
