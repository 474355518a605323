"""Decide on the telephones of the simulator, in Chromium, what the history then tells."""

import time

import pytest
from django.urls import reverse
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

from django_smsww import State, send_sms
from django_smsww.contrib.simulator.process import SimulatorProcess
from django_smsww.models import Message

from ..conftest import NUMBER
from ..support.people import EVERYTHING, staff
from .steps import log_in, press
from .test_admin_browser import page, shown

PAGE = reverse("smsww_phones")
pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def simulator(settings, live_server):
    """A simulator that calls back to the site that the browser looks at."""
    with SimulatorProcess(state_delay=0.1) as simulator:
        settings.SMSWW = {
            "default": {
                "BACKEND": "django_smsww.backends.openapi.SMSBackend",
                "OPTIONS": {
                    "token": "simulator",
                    "host": simulator.url,
                    "callback_url": live_server.url + reverse("django_smsww:callback"),
                },
            }
        }
        yield simulator


@pytest.fixture
def phones(driver, live_server, simulator):
    staff(*EVERYTHING)
    log_in(driver, live_server)
    press(driver, f".object-tools a[href='{PAGE}']")
    return driver


def choose(driver, name, value):
    Select(driver.find_element(By.CSS_SELECTOR, f".smsww-hand [name={name}]")).select_by_value(
        value
    )


def wait_for(message, state):
    deadline = time.monotonic() + 10
    while Message.objects.get(pk=message.pk).state != state:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_callback_is_lost_and_then_repeated(phones, live_server, simulator):
    press(phones, "[name=_hold]")
    assert "stand still" in shown(phones)
    message = send_sms("Your “code” is 4711", NUMBER)
    phones.get(live_server.url + PAGE)
    for words in (NUMBER, "Your “code” is 4711", "UCS-2", "19 characters", "1 segment"):
        assert words in shown(phones)
    choose(phones, "state", "EXPIRED")
    choose(phones, "callbacks", "lost")
    press(phones, "[name=_decide]")
    assert "Callback Expired: lost" in shown(phones)
    assert Message.objects.get(pk=message.pk).state == State.NEW
    press(phones, "[name=_repeat]")
    wait_for(message, State.EXPIRED)
    phones.get(live_server.url + page(message))
    assert "Expired" in shown(phones)


def test_messages_go_on_by_themselves(phones, live_server, simulator):
    message = send_sms("Hello", NUMBER)
    wait_for(message, State.DELIVERED)
    simulator.wait_until_idle()
    phones.get(live_server.url + PAGE)
    assert "Callback Delivered: received" in shown(phones)
    press(phones, f"a[href='{PAGE}?live']")
    phones.execute_script("window.isOld = true")
    WebDriverWait(phones, 10, ignored_exceptions=[WebDriverException]).until(
        lambda _: not phones.execute_script("return window.isOld")
    )
