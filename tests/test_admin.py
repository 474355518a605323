"""The pages of the admin: a message, a callback, a suspension; and nothing hostile on them."""

from decimal import Decimal
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from django.urls import reverse

from django_smsww import (
    State,
)
from django_smsww.admin.advice import advise
from django_smsww.exceptions import kinds_of
from django_smsww.models import Callback, Event, Suspension

from .conftest import NUMBER
from .people import EVERYTHING, browser_of, listed, page, resend_page, staff, text_of

LIST = reverse("admin:django_smsww_message_changelist")
CALLBACKS = reverse("admin:django_smsww_callback_changelist")
EVIL = "<script>alert(1)</script>\"'&\u202egnp.exe\u202c"
pytestmark = pytest.mark.django_db


@pytest.fixture
def browser(db):
    return browser_of(staff(*EVERYTHING))


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


@pytest.fixture
def hostile(make_message):
    return make_message(
        state=State.FAILED,
        body=EVIL,
        recipient=EVIL[:32],
        tag=EVIL,
        sender=EVIL[:32],
        error=EVIL[:32],
        error_code=EVIL[:32],
        error_text=EVIL,
        blocklisted_reason=EVIL,
        key=EVIL,
        custom={EVIL: [EVIL]},
        country="<b",
        batch=uuid4(),
    )


def questions(browser, message):
    """Yield what each action of the list asks before it does anything with this message."""
    for deed in ("resend", "refresh", "cancel", "settle", "export"):
        form = {"action": f"{deed}_selected", "_selected_action": message.pk}
        yield browser.post(LIST, form)


def test_hostile_content_is_escaped_on_every_page(browser, hostile):
    Event.objects.create(
        message=hostile, kind="attempt", error_text=EVIL, reason=EVIL, state=EVIL[:16]
    )
    callback = Callback.objects.create(
        message=hostile,
        reference=hostile.reference,
        state=EVIL[:32],
        payload={EVIL: EVIL, "state": [EVIL]},
        provider_id=EVIL,
    )
    suspension = Suspension.objects.create(alias=EVIL, reason=EVIL, scope=EVIL, error=EVIL[:32])
    addresses = [
        LIST,
        CALLBACKS,
        page(hostile),
        resend_page(hostile),
        f"{LIST}?{urlencode({'q': EVIL})}",
    ]
    addresses += [
        reverse(f"admin:django_smsww_{row._meta.model_name}_change", args=(row.pk,))
        for row in (callback, suspension)
    ]
    addresses += [
        reverse("admin:django_smsww_suspension_changelist"),
        reverse("admin:django_smsww_message_history", args=(hostile.pk,)),
    ]
    addresses += [
        reverse("admin:django_smsww_suspension_pause"),
        reverse("admin:django_smsww_suspension_resume", args=(suspension.pk,)),
        reverse("admin:django_smsww_message_statistics"),
        reverse("admin:django_smsww_message_compose"),
        reverse("admin:django_smsww_message_batch", args=(hostile.batch,)),
        reverse("admin:django_smsww_message_batch_stop", args=(hostile.batch,)),
    ]
    for response in [*map(browser.get, addresses), *questions(browser, hostile)]:
        text = text_of(response)
        assert response.status_code == 200
        assert "<script>alert" not in text
        assert "<b<" not in text
    assert "&lt;script&gt;alert" in text_of(browser.get(page(hostile)))


def test_our_pages_have_no_script_or_style_of_their_own(browser, make_message):
    """A strict Content-Security-Policy allows files alone; the admin's own data block is JSON."""
    message = make_message(state=State.FAILED)
    Suspension.objects.create(alias="default")
    addresses = [
        page(message),
        resend_page(message),
        reverse("admin:django_smsww_suspension_pause"),
    ]
    for response in [*map(browser.get, addresses), *questions(browser, message)]:
        text = text_of(response)
        assert "<style" not in text
        assert " style=" not in text
        assert " onclick=" not in text
        assert "django_smsww/admin.css" in text


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
    address = reverse("admin:django_smsww_callback_change", args=(callback.pk,))
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
    address = reverse("admin:django_smsww_suspension_change", args=(suspension.pk,))
    for where in (reverse("admin:django_smsww_suspension_changelist"), address):
        text = text_of(browser.get(where))
        assert "one text" in text
        assert "abcdef" not in text
