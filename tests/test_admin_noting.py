"""The page with what the gateway noted of its callbacks to a message."""

import pytest
from django.urls import reverse

from django_smsww import send_sms
from django_smsww.contrib.simulator.process import SimulatorProcess

from .conftest import NUMBER
from .people import EVERYTHING, browser_of, page, staff, text_of
from .raw_server import own_connections  # noqa: F401
from .simulator.receiver import Receiver

MAY = ("view_message", "view_callback", "refresh_message")
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def simulator():
    with SimulatorProcess(pace=0.01) as running:
        yield running


@pytest.fixture
def account(simulator, settings):
    """Return the options of an alias with an account; an address takes its callbacks."""
    simulator.reset()
    receiver = Receiver()
    options = {"token": "t", "host": simulator.url, "callback_url": receiver.url}
    options |= {"environment": "here", "account_email": "me@example.com", "api_key": "the-key"}
    settings.SMSWW = {"default": {"OPTIONS": options}}
    yield options
    receiver.stop()


@pytest.fixture
def message(simulator, account):
    message = send_sms("The secret text", NUMBER)
    simulator.wait_until_idle()
    return message


def address(message):
    return reverse("admin:django_smsww_message_noted", args=(message.pk,))


def test_a_button_asks_the_gateway_for_its_callbacks(message):
    browser = browser_of(staff(*MAY))
    assert address(message) in text_of(browser.get(page(message)))
    answer = browser.post(address(message))
    noted = answer.context["noted"]
    assert [each.status for each in noted.callbacks] == [200, 200]
    shown = text_of(answer)
    assert ("Delivered" in shown, "2 records were opened" in shown) == (True, True)
    assert not [secret for secret in (NUMBER[1:], "secret text", "the-key") if secret in shown]


def test_nothing_is_asked_on_get(simulator, message, account):
    simulator.kill()
    answer = browser_of(staff(*MAY)).get(address(message))
    simulator.start()
    assert (answer.status_code, "Ask the gateway" in text_of(answer)) == (200, True)


@pytest.mark.parametrize("lacking", MAY)
def test_it_needs_each_permission(message, lacking):
    held = set(EVERYTHING) - {lacking}
    browser = browser_of(staff(*held))
    assert browser.post(address(message)).status_code == 403
    assert address(message) not in text_of(browser.get(page(message), follow=True))


def test_a_refusal_is_said_and_nothing_is_shown(simulator, message):
    browser = browser_of(staff(*MAY))
    simulator.kill()
    answer = browser.post(address(message))
    simulator.start()
    assert ("gave no answer" in text_of(answer), answer.context["noted"]) == (True, None)


@pytest.mark.parametrize("lack", [{"api_key": ""}, {"environment": "elsewhere"}])
def test_without_an_account_there_is_no_such_page(message, settings, account, lack):
    settings.SMSWW = {"default": {"OPTIONS": account | lack}}
    browser = browser_of(staff(*MAY))
    assert address(message) not in text_of(browser.get(page(message)))
    assert browser.post(address(message)).status_code == 404
