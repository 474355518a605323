"""The telephones of the simulator are for staff, and only a POST changes anything."""

import pytest
from django.test import Client
from django.urls import reverse

from django_smsww import send_sms
from django_smsww.contrib.simulator.context import Options
from django_smsww.contrib.simulator.server import Simulator

from ..conftest import NUMBER
from ..simulator.door import wait_for
from ..support.people import browser_of, notices, staff, text_of

PAGE = reverse("smsww_phones")
BACKEND = "django_smsww.backends.openapi.SMSBackend"
HOLD = {"_hold": "", "held": "yes"}
EVIL = "<script>alert(1)</script>\"'\u202e"
pytestmark = pytest.mark.django_db(transaction=True)  # messages leave on commit


@pytest.fixture
def simulator(settings):
    """A running simulator that the default alias sends to."""
    with Simulator(Options(state_delay=0.02)) as simulator:
        options = {"token": "simulator", "host": simulator.url, "callback_retry": 0}
        # No server listens at this URL, but messages with one have callbacks.
        options["callback_url"] = "http://127.0.0.1:9/sms/callback/"
        settings.SMSWW = {"default": {"BACKEND": BACKEND, "OPTIONS": options}}
        yield simulator


@pytest.fixture
def browser(db):
    return browser_of(staff("view_message_content"))


@pytest.fixture
def held(simulator, browser):
    browser.post(PAGE, HOLD)
    return browser


def bubble(browser):
    [(_number, bubbles)] = browser.get(PAGE).context["phones"]
    return bubbles[0]


def wait_until(browser, state):
    wait_for(lambda: bubble(browser)["state"] == state)


def test_each_number_is_a_telephone(simulator, browser):
    send_sms("Hello “you”", NUMBER, "Acme")
    send_sms("Good-bye", NUMBER)
    send_sms("Salut", "+33612345678")
    answer = browser.get(PAGE)
    assert [number for number, _bubbles in answer.context["phones"]] == ["+33612345678", NUMBER]
    assert [one["body"] for one in answer.context["phones"][1][1]] == ["Good-bye", "Hello “you”"]
    for words in ("Acme", "UCS-2", "11 characters", "1 segment"):
        assert words in text_of(answer)


def test_somebody_decides_the_state_of_a_message_once(held):
    send_sms("Hello", NUMBER)
    form = {"_decide": "", "id": bubble(held)["id"], "state": "EXPIRED", "callbacks": "lost"}
    assert held.post(PAGE, form).status_code == 302
    assert bubble(held)["state"] == "EXPIRED"
    assert "Expired: lost" in text_of(held.get(PAGE))
    held.post(PAGE, {"_repeat": "", "id": form["id"], "callbacks": "true"})
    assert len(bubble(held)["callbacks"]) == 2
    assert notices(held.post(PAGE, form, follow=True)) == ["It has ended: EXPIRED"]


def test_messages_go_on_when_they_are_let(held):
    send_sms("Hello", NUMBER)
    assert "stand still" in text_of(held.get(PAGE))
    held.post(PAGE, {"_hold": "", "held": "no"})
    wait_until(held, "DELIVERED")


@pytest.mark.parametrize("method", ["get", "post"])
def test_only_staff_who_may_read_texts_see_it(simulator, django_user_model, method):
    send_sms("Hello", NUMBER)
    assert "/login/" in getattr(Client(), method)(PAGE, HOLD).url
    nobody = browser_of(django_user_model.objects.create_user("bob"))
    assert "/login/" in getattr(nobody, method)(PAGE, HOLD).url
    blind = browser_of(staff("view_message", "send_message"))
    assert getattr(blind, method)(PAGE, HOLD).status_code == 403
    wait_until(browser_of(staff("view_message_content", name="cy")), "DELIVERED")


def test_nothing_happens_by_a_link_or_from_another_page(simulator, browser):
    browser.get(PAGE, HOLD)
    strict = browser_of(staff("view_message_content", name="eve"), enforce_csrf_checks=True)
    assert strict.post(PAGE, HOLD).status_code == 403
    assert browser.put(PAGE).status_code == 405
    assert browser.get(PAGE).context["is_held"] is False


def test_hostile_texts_are_escaped(simulator, browser):
    send_sms(EVIL + "<b>", NUMBER)
    text = text_of(browser.get(PAGE))
    assert "<script>alert" not in text
    assert "&lt;b&gt;" in text
    assert "\u202e" not in text


def test_a_simulator_that_does_not_run_is_said_to_be_silent(simulator, browser):
    simulator.stop()
    assert "Nothing answers at" in text_of(browser.get(PAGE))
    answer = browser.post(PAGE, HOLD, follow=True)
    assert notices(answer) == ["The simulator does not answer."]
    simulator.start = simulator.stop = lambda: None  # it is stopped already


def test_no_other_address_is_ever_asked(browser, settings, monkeypatch):
    monkeypatch.setattr("django_smsww.contrib.simulator.views.ask", None)
    options = {"token": "secret", "host": "sandbox"}
    settings.SMSWW = {"default": {"BACKEND": BACKEND, "OPTIONS": options}, "broken": {}}
    assert "No alias sends to a simulator" in text_of(browser.get(PAGE))
    assert browser.post(PAGE, HOLD).status_code == 302


def test_the_list_of_messages_leads_there(browser):
    link = f'href="{PAGE}"'
    listing = reverse("admin:django_smsww_message_changelist")
    assert link not in text_of(browser_of(staff("view_message", name="di")).get(listing))
    reader = browser_of(staff("view_message", "view_message_content", name="jo"))
    assert link in text_of(reader.get(listing))
