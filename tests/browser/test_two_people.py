"""Several members of staff press the same button at the same moment, at a real server."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import requests
from django.conf import settings

from django_smsww import State
from django_smsww.models import Message

from ..support.people import EVERYTHING, admin_url, browser_of, page, resend_page, staff

PEOPLE = 6
pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def sessions(live_server):
    """Some members of staff, each logged in."""
    opened = []
    for number in range(PEOPLE):
        client = browser_of(staff(*EVERYTHING, name=f"ann{number}"))
        session = requests.Session()
        session.trust_env = False
        name = settings.SESSION_COOKIE_NAME
        session.cookies.set(name, client.cookies[name].value)
        opened.append(session)
    yield opened
    for session in opened:
        session.close()


def press_together(live_server, sessions, address, **form):
    """Let everybody read the question first, and then answer it at once."""
    together = Barrier(len(sessions))

    def press(session):
        url = live_server.url + address
        session.get(url, timeout=30)
        together.wait(30)
        data = form | {"csrfmiddlewaretoken": session.cookies["csrftoken"]}
        return session.post(url, data, timeout=60, allow_redirects=False)

    with ThreadPoolExecutor(len(sessions)) as threads:
        return list(threads.map(press, sessions))


def test_people_who_resend_at_once_send_once(live_server, sessions, make_message, smsoutbox):
    message = make_message(state=State.EXPIRED)
    answers = press_together(live_server, sessions, resend_page(message))
    fresh = Message.objects.get(resend_of=message)
    assert [sms.reference for sms in smsoutbox] == [fresh.reference]
    assert {answer.status_code for answer in answers} == {302}
    assert {answer.headers["Location"] for answer in answers} <= {page(fresh), page(message)}


def test_people_who_cancel_at_once_cancel_once(live_server, sessions, make_message):
    message = make_message(state=State.QUEUED)
    address = admin_url("message_cancel", message.pk)
    answers = press_together(live_server, sessions, address)
    assert {answer.status_code for answer in answers} == {302}
    assert Message.objects.get().state == State.CANCELLED
    assert message.events.count() == 1


def test_a_form_that_is_sent_at_once_by_a_nervous_hand_sends_once(live_server, sessions, smsoutbox):
    form = {"recipients": "+393330000001", "body": "Hello", "alias": "default", "_send": "1"}
    form["token"] = "6f1d0a52-0000-4000-8000-000000000001"
    address = admin_url("message_compose")
    answers = press_together(live_server, sessions[:1] * PEOPLE, address, **form)
    assert {answer.status_code for answer in answers} == {302}
    assert len(smsoutbox) == Message.objects.count() == 1
