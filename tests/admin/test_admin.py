"""The pages of the admin: a message, a callback, a suspension; and nothing hostile on them."""

from decimal import Decimal
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.urls import reverse

from django_smsww import State
from django_smsww.admin.detail.advice import advise
from django_smsww.exceptions import kinds_of
from django_smsww.models import Callback, Event, Message, Suppression, Suspension

from ..conftest import NUMBER
from ..support.hostile import CORPUS, read
from ..support.people import (
    LIST,
    admin_url,
    listed,
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
    Event.objects.create(message=message, kind=Event.Kind.ATTEMPT, error="SMSUnavailable")
    Callback.objects.create(
        message=message, reference=message.reference, state="PENDING", outcome="moved"
    )
    text = text_of(browser.get(page(message)))
    for shown in (NUMBER, "Hello", "would refuse it again", "2011", "422", "invalid mobile number"):
        assert shown in text
    for shown in ("A-1", "On its way", "Moved the state", "nothing was sent", "Attempt"):
        assert shown in text


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
    assert "The text was forgotten" in text_of(browser.get(page(message)))
    assert "forgotten" in text_of(browser.get(LIST))


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


@pytest.fixture(params=slow_unless({"script", "attribute"}.__contains__, CORPUS))
def evil(request):
    """One hostile text after the other."""
    return CORPUS[request.param]


@pytest.fixture
def hostile(make_message, evil):
    """A message all of which is hostile, with everything that belongs to it."""
    message = make_message(
        state=State.FAILED,
        body=evil,
        recipient=evil[:32],
        tag=evil,
        sender=evil[:32],
        error=evil[:32],
        error_code=evil[:32],
        error_text=evil,
        blocklisted_reason=evil,
        key=evil,
        custom={evil: [evil]},
        country="<b",
        batch=uuid4(),
        provider_id=evil,
        environment=evil,
    )
    said = {"error_text": evil, "reason": evil, "state": evil[:16], "error_code": evil[:32]}
    Event.objects.create(message=message, kind="attempt", **said)
    Suspension.objects.create(alias=evil, reason=evil, scope=evil, error=evil[:32])
    Suspension.objects.create(alias=evil, reason=evil)
    Suppression.objects.create(recipient=evil[:32], reason=evil)
    LogEntry.objects.create(
        user_id=staff(name=evil[:20]).pk,
        content_type=ContentType.objects.get_for_model(Message),
        object_id=message.pk,
        object_repr=evil,
        change_message=evil,
        action_flag=2,
    )
    Callback.objects.create(
        message=message,
        reference=message.reference,
        state=evil[:32],
        payload={evil: evil, "state": [evil]},
        provider_id=evil,
    )
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
    batch = ("message_batch", "message_batch_stop")
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


@pytest.fixture
def superuser(admin_client):
    return admin_client


def test_hostile_content_is_harmless_on_every_page(superuser, hostile, evil):
    answers = [*map(superuser.get, all_pages(hostile)), *posted_pages(superuser, hostile)]
    for answer in answers:
        assert answer.status_code == 200
        dangers, _shown = read(text_of(answer))
        assert dangers == [], answer.request["PATH_INFO"]
    assert evil in read(text_of(superuser.get(page(hostile))))[1]  # and is shown as it is


def test_our_pages_have_no_script_or_style_of_their_own(superuser, make_message):
    """A strict Content-Security-Policy allows files alone; the admin's own data block is JSON."""
    message = make_message(state=State.FAILED, batch=uuid4())
    Suspension.objects.create(alias="default")
    addresses = [page(message), *our_pages(message)]
    for response in [*map(superuser.get, addresses), *posted_pages(superuser, message)]:
        text = text_of(response)
        for inline in ("<style", " style=", " onclick=", "<script>"):
            assert inline not in text
        assert "django_smsww/admin.css" in text
    assert 'type="application/json"' in text_of(superuser.get(admin_url("message_compose")))


# Callbacks and suspensions


def test_callbacks_can_be_read(browser, make_message):
    message = make_message()
    callback = Callback.objects.create(
        message=message,
        reference=message.reference,
        state="DELIVERED",
        outcome="moved",
        payload={"id": "abc", "totalPrice": 0.21, "note": "così"},
    )
    listing = text_of(browser.get(CALLBACKS))
    assert page(message) in listing
    assert "Moved the state" in listing
    address = admin_url("callback_change", callback.pk)
    text = text_of(browser.get(address))
    assert "&quot;totalPrice&quot;: 0.21" in text
    assert "così" in text


def test_a_callback_without_a_row_has_no_link(browser):
    Callback.objects.create(reference=uuid4(), outcome="no_row", state="LOST")
    text = text_of(browser.get(CALLBACKS))
    assert "There is no such message here" in text
    assert "message/None" not in text


def test_callbacks_are_found_by_reference(browser, make_message):
    message = make_message()
    mine = Callback.objects.create(message=message, reference=message.reference, state="NEW")
    Callback.objects.create(reference=uuid4(), state="NEW")
    assert listed(browser.get(CALLBACKS, {"q": str(message.reference)})) == {mine.pk}
    assert listed(browser.get(CALLBACKS, {"q": "NEW"})) == set()
    assert len(listed(browser.get(CALLBACKS, {"period": "today"}))) == 2


def test_suspensions_can_be_seen_without_the_fingerprint(browser):
    suspension = Suspension.objects.create(alias="default", scope="text:abcdef", error_code="2044")
    address = admin_url("suspension_change", suspension.pk)
    for where in (admin_url("suspension_changelist"), address):
        text = text_of(browser.get(where))
        assert "one text" in text
        assert "abcdef" not in text
