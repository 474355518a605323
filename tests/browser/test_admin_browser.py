"""Support finds a message, reads its page and sends it once more, in Chromium."""

import re
from datetime import timedelta
from decimal import Decimal
from urllib.parse import urlparse

import pytest
from django.utils import timezone
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.expected_conditions import presence_of_all_elements_located
from selenium.webdriver.support.wait import WebDriverWait

from django_smsww import State
from django_smsww.admin.statistics import views as statistics
from django_smsww.models import Callback, Event, Message
from django_smsww.models.viewer import HIDDEN

from ..conftest import NUMBER
from ..support.people import EVERYTHING, LIST, admin_url, staff
from .steps import log_in, press

TEXTS = (
    "Your code is 4711.",
    "Your table for four is booked for Saturday at 20:30. Reply STOP to receive no more of these.",
    "مرحبا، موعدك غدا الساعة العاشرة صباحا",
    "Happy birthday 🎂🎉 from all of us!",
    "x" * 300,
    "“Nice to see you” – your code is \u202eFDP.exe\u202c. " + "Bring it along, please. " * 6,
)
pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def user(db):
    return staff(*EVERYTHING)


@pytest.fixture
def history(make_message, user):
    """One message in every state, with its callbacks and events where it has some."""
    messages = []
    for number, state in enumerate(State):
        sent_at = timezone.now() - timedelta(minutes=60 - number)
        messages.append(
            make_message(
                recipient=f"+39333000{number:04}",
                body=TEXTS[number % len(TEXTS)],
                state=state,
                created_at=sent_at,
                claimed_at=None if state in (State.QUEUED, State.CANCELLED) else sent_at,
                country="IT",
                segments=1 + number % 3,
                encoding="GSM-7",
                total_price=Decimal("0.07") * (1 + number % 3),
                tag=("otp", "reminder", "")[number % 3],
                created_by=user if number % 2 else None,
                dry_run=state == State.VALIDATED,
                error="SMSRefused" if state == State.FAILED else "",
            )
        )
    return messages


@pytest.fixture
def refused(make_message):
    message = make_message(
        state=State.FAILED,
        body=TEXTS[1],
        segments=1,
        country="IT",
        encoding="GSM-7",
        total_price=Decimal("0.07"),
        error="SMSRefused",
        error_code="2011",
        error_status=422,
        error_text="Sender not approved for country",
        custom={"order": "A-1", "customer": {"id": 7}},
        tag="reminder",
        provider_id="5f1c2a",
    )
    Event.objects.create(
        message=message, kind="attempt", state="QUEUED", error="SMSUnavailable", error_status=503
    )
    for state, outcome in (("NEW", "stood"), ("LOST", "unknown_word")):
        Callback.objects.create(
            message=message,
            reference=message.reference,
            state=state,
            outcome=outcome,
            digest=state,
            payload={"id": "5f1c2a", "state": state, "totalPrice": 0.07, "custom": {"order": "A"}},
        )
    return message


@pytest.fixture
def past(make_message):
    """A month of messages, for the plots."""
    states = (State.DELIVERED,) * 7 + (State.EXPIRED, State.FAILED, State.UNKNOWN, State.PENDING)
    for number in range(240):
        sent_at = timezone.now() - timedelta(days=number % 27)
        state = states[number * 7 % 11]
        make_message(
            state=state,
            created_at=sent_at,
            claimed_at=sent_at,
            delivered_at=sent_at + timedelta(seconds=2 + number % 60)
            if state == State.DELIVERED
            else None,
            country=("IT", "IT", "ES", "DE")[number % 4],
            tag=("otp", "reminder", "")[number % 3],
            segments=1 + number % 3,
            total_price=Decimal("0.07") * (1 + number % 3),
            penalty=Decimal(2) if number == 90 else None,
        )


def find(driver, typed):
    box = driver.find_element(By.ID, "searchbar")
    box.clear()
    box.send_keys(typed)
    press(driver, "#changelist-search [type=submit]")


def page(message):
    return admin_url("message_change", message.pk)


def shown(driver):
    return driver.find_element(By.ID, "content").text


def test_find_read_and_resend_with_a_double_click(
    driver, live_server, user, history, refused, smsoutbox
):
    log_in(driver, live_server)
    find(driver, "+39 333 123")
    assert driver.find_element(By.PARTIAL_LINK_TEXT, NUMBER)
    press(driver, "#result_list .field-number a")
    for words in (str(refused.reference), NUMBER, TEXTS[1], "Failed", "Sender not approved"):
        assert words in shown(driver)
    press(driver, ".smsww-resend")
    assert "0.07 EUR" in shown(driver)
    assert smsoutbox == []
    button = driver.find_element(By.CSS_SELECTOR, ".smsww-buttons [type=submit]")
    ActionChains(driver).double_click(button).perform()
    WebDriverWait(driver, 10, ignored_exceptions=[WebDriverException]).until(
        lambda _: (
            "the new message" in driver.page_source or ("resent already" in driver.page_source)
        )
    )
    fresh = Message.objects.get(resend_of=refused)
    assert urlparse(driver.current_url).path == page(fresh)
    assert [sms.reference for sms in smsoutbox] == [fresh.reference]


def test_select_several_and_resend_them(driver, live_server, user, history, smsoutbox):
    log_in(driver, live_server)
    driver.find_element(By.ID, "action-toggle").click()
    driver.find_element(By.CSS_SELECTOR, "option[value=resend_selected]").click()
    press(driver, ".actions button")
    assert "These are not resent" in shown(driver)
    press(driver, ".smsww-buttons [type=submit]")
    notes = driver.find_element(By.CSS_SELECTOR, ".messagelist").text
    assert "1 was skipped: It was delivered." in notes
    assert len(smsoutbox) == Message.objects.filter(resend_of__isnull=False).count() == 5


def test_who_may_not_read_texts_finds_by_the_whole_number_alone(driver, live_server, refused):
    staff("view_message", "view_callback")
    log_in(driver, live_server)
    find(driver, "+39 333 123")
    assert "0 results" in shown(driver)
    find(driver, NUMBER)
    assert HIDDEN in driver.find_element(By.CSS_SELECTOR, "#result_list .field-hidden_number").text
    driver.get(live_server.url + page(refused))  # the link would have what was typed in it
    assert "Sender not approved" in shown(driver)
    assert driver.find_element(By.CSS_SELECTOR, ".smsww-text").text == HIDDEN
    on_its_page = driver.page_source
    press(driver, ".smsww-timeline a")
    for secret in (NUMBER, NUMBER[1:], TEXTS[1], "0.07", "A-1"):
        assert secret not in on_its_page
        assert secret not in driver.page_source


def test_the_statistics_of_another_period_are_shown(driver, live_server, user, past):
    log_in(driver, live_server)
    press(driver, ".object-tools a[href$='/statistics/']")
    assert len(driver.find_elements(By.CSS_SELECTOR, ".smsww-plot svg[role=img]")) == 5
    press(driver, ".smsww-period a")
    assert "Messages: 6" in shown(driver)
    driver.find_element(By.CSS_SELECTOR, ".smsww-plot summary").click()
    assert driver.find_element(By.CSS_SELECTOR, ".smsww-plot details table").is_displayed()


def test_a_telephone_shows_the_newest_days_of_a_plot(driver, live_server, user, past):
    log_in(driver, live_server)
    driver.set_window_size(390, 900)
    driver.get(live_server.url + admin_url("message_statistics"))
    newest = driver.find_elements(By.CSS_SELECTOR, "svg[role=img] .smsww-bar")[-1]
    assert 0 < newest.rect["x"] < driver.execute_script("return innerWidth")
    table = driver.find_element(By.CSS_SELECTOR, "[id^=smsww-rank] .smsww-scroll")
    assert table.value_of_css_property("direction") == "ltr"
    driver.set_window_size(1280, 900)


def test_statistics_that_take_long_ask_for_themselves_until_all_days_are_there(
    driver, live_server, user, past, monkeypatch
):
    monkeypatch.setattr(statistics, "SECONDS", 0)
    log_in(driver, live_server)
    driver.get(live_server.url + admin_url("message_statistics"))
    there = (By.CSS_SELECTOR, ".smsww-plot svg[role=img]")
    assert len(WebDriverWait(driver, 60).until(presence_of_all_elements_located(there))) == 5
    assert not driver.find_elements(By.CSS_SELECTOR, "progress")


def test_settle_and_cancel_ask_and_then_do_so(driver, live_server, user, history):
    log_in(driver, live_server)
    driver.get(live_server.url + page(history[-1]))
    press(driver, ".smsww-settle")
    driver.find_element(By.CSS_SELECTOR, "input[value=unsent]").click()
    driver.find_element(By.NAME, "reason").send_keys("she never got it")
    press(driver, ".smsww-buttons [type=submit]")
    assert "settled as not sent" in driver.find_element(By.CSS_SELECTOR, ".messagelist").text
    driver.get(live_server.url + page(history[0]))
    press(driver, ".smsww-cancel")
    press(driver, ".smsww-buttons [type=submit]")
    assert "It was cancelled" in driver.find_element(By.CSS_SELECTOR, ".messagelist").text
    states = [Message.objects.get(pk=row.pk).state for row in (history[-1], history[0])]
    assert states == [State.FAILED, State.CANCELLED]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_badges_can_be_read(driver, live_server, user, history, show, theme):
    """The contrast that the Web Content Accessibility Guidelines ask of small text is 4.5."""
    log_in(driver, live_server)
    show(LIST, "badges", theme=theme)
    badges = driver.find_elements(By.CSS_SELECTOR, "#result_list .smsww-badge")
    assert len(badges) == len(State)
    lightness = set()
    for badge in badges:
        front, back = (
            luminance(badge.value_of_css_property(name)) for name in ("color", "background-color")
        )
        assert (max(front, back) + 0.05) / (min(front, back) + 0.05) >= 4.5, badge.text
        lightness.add(back > 0.5)
    assert lightness == {theme == "light"}


def luminance(color):
    """Return the relative luminance of "rgba(1, 2, 3, 1)", as those guidelines define it."""
    channels = [int(part) / 255 for part in re.findall(r"\d+", color)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
