"""The pages of the admin: a message, a callback, a suspension; and nothing hostile on them."""

from decimal import Decimal
from urllib.parse import urlencode
from uuid import UUID, uuid4

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.urls import reverse

from django_smsww import State
from django_smsww.admin.advice import advise
from django_smsww.exceptions import kinds_of
from django_smsww.models import Callback, Event, Message, Suppression, Suspension

from ..conftest import NUMBER
from ..support.hostile import CORPUS, read
from ..support.people import (
    LIST,
    admin_url,
    browser_of,
    listed,
    missing,
    page,
    resend_page,
    staff,
    text_of,
)
from ..support.sampling import slow_unless

CALLBACKS = admin_url("callback_changelist")
pytestmark = pytest.mark.django_db


def test_the_page_tells_the_whole_story(browser, make_message):
    message = make_message(
        state=State.FAILED,
        error="SMSRefused",
        error_code="2011",
        error_status=422,
        error_text="invalid mobile number",
        custom={"order": "A-1"},
    )
    message.events.create(kind=Event.Kind.ATTEMPT, error="SMSUnavailable")
    message.callbacks.create(reference=message.reference, state="PENDING", outcome="moved")
    facts = (NUMBER, "Hello", "would refuse it again", "2011", "422", "invalid mobile number")
    story = ("A-1", "On its way", "State changed", "nothing was sent", "Attempt")
    assert not missing(browser.get(page(message)), *facts, *story)


def test_title_and_breadcrumbs_name_the_reference_alone(browser, make_message):
    message = make_message(body="secret text")
    head, _, rest = text_of(browser.get(page(message))).partition('id="content"')
    assert str(message.reference) in head
    assert NUMBER not in head
    assert "secret text" not in head
    assert NUMBER in rest


def test_a_price_of_zero_is_shown_and_one_not_known_is_not(browser, make_message):
    free = make_message(total_price=Decimal(0), state=State.DELIVERED)
    assert "0 EUR" in text_of(browser.get(page(free)))
    assert "EUR" not in text_of(browser.get(page(make_message())))


def test_a_forgotten_text_is_said_to_be(browser, make_message):
    message = make_message(body="", scrubbed=True, sensitive=True, state=State.DELIVERED)
    assert not missing(browser.get(page(message)), "The text was deleted")
    assert not missing(browser.get(LIST), "text deleted")


def test_resends_are_linked_both_ways(browser, make_message):
    old = make_message(state=State.FAILED)
    new = make_message(resend_of=old)
    assert f'href="{page(new)}"' in text_of(browser.get(page(old)))
    assert f'href="{page(old)}"' in text_of(browser.get(page(new)))


def test_every_way_to_end_has_an_advice(make_message):
    for state in State:
        message = make_message(state=state, error="SMSUnavailable")
        assert advise(message) or state == State.DELIVERED
    kinds = kinds_of(Exception)
    advices = {str(advise(make_message(state=State.FAILED, error=kind))) for kind in kinds}
    assert len(advices) == len(kinds)
    assert "" not in advices


@pytest.fixture(params=slow_unless("attribute".__eq__, CORPUS))
def evil(request):
    """One hostile text after the other."""
    return CORPUS[request.param]


@pytest.fixture
def hostile(make_message, evil):
    """A message all of which is hostile, with everything that belongs to it."""
    long = ("body", "tag", "error_text", "blocklisted_reason", "key", "provider_id", "environment")
    short = ("recipient", "sender", "error", "error_code")
    columns = dict.fromkeys(long, evil) | dict.fromkeys(short, evil[:32])
    columns |= {"state": State.FAILED, "custom": {evil: [evil]}, "country": "<b", "batch": uuid4()}
    message = make_message(**columns)
    said = {"error_text": evil, "reason": evil, "state": evil[:16], "error_code": evil[:32]}
    message.events.create(kind="attempt", **said)
    Suspension.objects.create(alias=evil, reason=evil, scope=evil, error=evil[:32])
    Suspension.objects.create(alias=evil, reason=evil)
    Suppression.objects.create(recipient=NUMBER, reason=evil)
    Suppression.objects.update(recipient=evil[:32])
    LogEntry.objects.create(
        user_id=staff(name=evil[:20]).pk,
        content_type=ContentType.objects.get_for_model(Message),
        object_id=message.pk,
        object_repr=evil,
        change_message=evil,
        action_flag=2,
    )
    said = {"state": evil[:32], "payload": {evil: evil, "state": [evil]}, "provider_id": evil}
    message.callbacks.create(reference=message.reference, **said)
    return message


def all_pages(message):
    """Return the addresses of everything that shows something of a message."""
    pages = [reverse("admin:index"), reverse("admin:app_list", args=("django_smsww",))]
    for model in (Message, Callback, Suspension, Suppression):
        name = model._meta.model_name
        pages.append(admin_url(f"{name}_changelist"))
        for row in model.objects.all():
            pages += [admin_url(f"{name}_{view}", row.pk) for view in ("change", "history")]
    return [
        *pages,
        *(admin_url("suspension_resume", row.pk) for row in Suspension.objects.all()),
        *(admin_url("suppression_delete", row.pk) for row in Suppression.objects.all()),
        *our_pages(message),
        *(f"{LIST}?{urlencode({field: message.tag})}" for field in ("q", "tag", "batch")),
        f"{LIST}?{urlencode({'q': message.body, 'period': 'today'})}",
    ]


def our_pages(message):
    """Return the addresses of the pages that Django does not know."""
    views = ("suspension_pause", "message_statistics", "message_compose")
    batch = ("batch_page", "batch_stop")
    return [
        resend_page(message),
        *map(admin_url, views),
        *(admin_url(view, message.batch) for view in batch),
    ]


def posted_pages(browser, message):
    """Yield what is answered to a POST before anything is done: questions, forms with errors."""
    for action in ("resend", "refresh", "cancel", "settle", "export"):
        yield browser.post(LIST, {"action": f"{action}_selected", "_selected_action": message.pk})
    form = {"body": message.body, "recipients": message.body, "token": uuid4(), "tag": message.tag}
    compose = admin_url("message_compose")
    yield browser.post(compose, form)
    form |= {"recipients": f"{NUMBER}\n{message.body}1", "alias": "default"}
    for button in ("_check", "_try", "_edit", "_send"):
        yield browser.post(compose, form | {button: "1"}, follow=True)
    yield browser.post(admin_url("suppression_add"), {"recipient": message.body})


def test_hostile_content_is_harmless_on_every_page(admin_client, hostile, evil, make_message):
    # Only a message that may be resent has the page that asks; the others show why they may not.
    pages = [*all_pages(hostile), resend_page(make_message(body=evil, state=State.FAILED))]
    answers = (admin_client.get(address, follow=True) for address in pages)
    for answer in (*answers, *posted_pages(admin_client, hostile)):
        assert answer.status_code == 200
        dangers, _shown = read(text_of(answer))
        assert dangers == [], answer.request["PATH_INFO"]
    assert evil in read(text_of(admin_client.get(page(hostile))))[1]  # and is shown as it is


def test_our_pages_have_no_script_or_style_of_their_own(admin_client, make_message):
    """A strict Content-Security-Policy allows files alone; the admin's own data block is JSON."""
    message = make_message(state=State.FAILED, batch=uuid4())
    Suspension.objects.create(alias="default")
    inline = ["<style", " style=", " onclick=", "<script>"]
    answers = map(admin_client.get, (page(message), *our_pages(message)))
    for response in (*answers, *posted_pages(admin_client, message)):
        assert missing(response, *inline, "django_smsww/admin.css") == inline
    compose = admin_client.get(admin_url("message_compose"))
    assert not missing(compose, 'type="application/json"')


# Callbacks and suspensions


def test_callbacks_can_be_read(browser, make_message):
    message = make_message()
    said = {"state": "DELIVERED", "payload": {"id": "abc", "totalPrice": 0.21, "note": "così"}}
    callback = message.callbacks.create(reference=message.reference, outcome="moved", **said)
    assert not missing(browser.get(CALLBACKS), page(message), "State changed")
    answer = browser.get(admin_url("callback_change", callback.pk))
    assert not missing(answer, "&quot;totalPrice&quot;: 0.21", "così")


def test_a_callback_without_a_row_has_no_link(browser):
    Callback.objects.create(reference=uuid4(), outcome="no_row", state="LOST")
    shown = ("There is no such message here", "message/None")
    assert missing(browser.get(CALLBACKS), *shown) == ["message/None"]


def test_callbacks_are_found_by_reference(browser, make_message):
    message = make_message()
    mine = message.callbacks.create(reference=message.reference, state="NEW")
    Callback.objects.create(reference=uuid4(), state="NEW")
    assert listed(browser.get(CALLBACKS, {"q": str(message.reference)})) == {mine.pk}
    assert listed(browser.get(CALLBACKS, {"q": "NEW"})) == set()
    assert len(listed(browser.get(CALLBACKS, {"period": "today"}))) == 2


@pytest.mark.parametrize("size", [4, 8, 9, 13, 17, 20, 24, 35, 36])
def test_callbacks_are_found_by_the_beginning_of_a_reference(browser, size):
    reference = UUID("0123abcd-ef01-4567-89ab-cdef01234567")
    mine = Callback.objects.create(reference=reference, state="NEW")
    Callback.objects.create(reference=UUID("0124" + "0" * 28), state="NEW")
    begins = str(reference)[:size]
    for typed in (begins, begins.upper(), begins.replace("-", "")):
        assert listed(browser.get(CALLBACKS, {"q": typed})) == {mine.pk}
    assert listed(browser.get(CALLBACKS, {"q": "012"})) == set()


@pytest.mark.parametrize("typed", [NUMBER, NUMBER[1:], "+39 333 123", NUMBER[-4:]])
def test_callbacks_are_found_by_a_number_that_the_user_may_see(browser, make_message, typed):
    mine, _other = [
        make_message(recipient=number).callbacks.create(reference=UUID(int=n), state="NEW")
        for n, number in enumerate((NUMBER, "+393339999999"))
    ]
    assert listed(browser.get(CALLBACKS, {"q": typed})) == {mine.pk}
    blind = browser_of(staff("view_message", "view_callback", name="bob"))
    assert listed(blind.get(CALLBACKS, {"q": typed})) == set()


def test_suspensions_can_be_seen_without_the_fingerprint(browser):
    suspension = Suspension.objects.create(alias="default", scope="text:abcdef", error_code="2044")
    address = admin_url("suspension_change", suspension.pk)
    for where in (admin_url("suspension_changelist"), address):
        assert missing(browser.get(where), "one text", "abcdef") == ["abcdef"]
