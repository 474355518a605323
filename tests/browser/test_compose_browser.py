"""Write a message in Chromium: the live counter, a try, a batch and its stop button."""

import pytest
from selenium.webdriver.common.by import By

from django_smsww import State
from django_smsww.models import Heartbeat, Message
from django_smsww.segments import count_segments, replace_characters

from ..support.people import EVERYTHING, admin_url, staff
from .steps import log_in, press
from .test_admin_browser import shown

COMPOSE = admin_url("message_compose")
TEXTS = (
    "",
    "Hello",
    "x" * 160,
    "x" * 161,
    "x" * 152 + "€" + "x" * 152,
    "[" * 80,
    "[" * 81,
    "so’n “Text” – und…",
    "Monday—reply “YES”—or 9—11",
    "é" * 160,
    "e\u0301 ciao",
    "ç",
    "🎂" * 35,
    "🎂" * 67,
    "x" * 66 + "🎂" + "x" * 66 + "’",
    "Съешь же ещё этих мягких булок " * 5,
    "one\ntwo\x0c\u00a0\u200b",
    "`" * 160,
    "…" * 70,
    "\u202eabc",
)
pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def user(db):
    return staff(*EVERYTHING)


@pytest.fixture
def form(driver, live_server, user):
    log_in(driver, live_server)
    driver.get(live_server.url + COMPOSE)
    return driver


def write(driver, name, text):
    """Put a text into a field as if it had been pasted: ChromeDriver cannot type an emoji."""
    field = driver.find_element(By.NAME, name)
    driver.execute_script(
        "arguments[0].value = arguments[1];"
        "arguments[0].dispatchEvent(new Event('input', {bubbles: true}))",
        field,
        text,
    )
    return field


def counted(driver):
    return driver.find_element(By.CSS_SELECTOR, "[data-smsww=size]").get_property("textContent")


def test_the_live_counter_counts_as_we_do(form):
    for text in TEXTS:
        write(form, "body", text)
        count = count_segments(text)
        sums = f"characters: {count.characters} · segments: {count.segments}"
        expected = f"{count.encoding} · {sums}"
        assert counted(form) == expected, ascii(text)


def test_one_click_writes_plain_characters(form):
    button = form.find_element(By.CSS_SELECTOR, "[data-smsww=replace]")
    for text in TEXTS:
        field = write(form, "body", text)
        plain = replace_characters(text)
        assert button.is_displayed() == (plain != text), ascii(text)
        if plain != text:
            button.click()
            assert field.get_property("value") == plain.replace("\r\n", "\n"), ascii(text)


def test_the_guilty_characters_are_marked_and_nothing_is_markup(form):
    write(form, "body", "<img src=x onerror=alert(1)> “Hi” 🎂")
    marks = form.find_elements(By.CSS_SELECTOR, "[data-smsww=preview] mark")
    assert [mark.text for mark in marks] == ["“", "”", "🎂"]
    assert "U+1F382" in form.find_element(By.CSS_SELECTOR, "[data-smsww=culprits]").text
    assert form.find_elements(By.CSS_SELECTOR, "[data-smsww=preview] img") == []


def test_try_then_send_with_a_double_click(form, smsoutbox):
    write(form, "recipients", "+39 333 000 0001")
    write(form, "body", "Hello “you”")
    press(form, "[name=_try]")
    assert "Nothing was sent" in shown(form)
    assert counted(form).startswith("UCS-2 · characters: 11 ")
    press(form, "[name=_check]")
    assert "1 message" in shown(form)
    press(form, "[name=_send]")
    assert "The gateway accepted it." in form.find_element(By.CSS_SELECTOR, ".messagelist").text
    assert [sms.recipient for sms in smsoutbox if not sms.dry_run] == ["+393330000001"]


def test_a_batch_is_confirmed_followed_and_stopped(form, live_server, smsoutbox):
    Heartbeat.objects.beat("", "sweep:default")
    write(form, "recipients", "\n".join(f"+393330000{n:03}" for n in range(25)))
    write(form, "body", "Maintenance tonight at 22:00.")
    press(form, "[name=_check]")
    press(form, "[name=_send]")
    assert "Type in how many" in shown(form)
    write(form, "count", "25")
    press(form, "[name=_send]")
    assert "0 of 25 sent" in shown(form)
    press(form, ".smsww-stop")
    assert "25 messages wait now" in shown(form)
    press(form, ".smsww-buttons [type=submit]")
    notes = form.find_element(By.CSS_SELECTOR, ".messagelist").text
    assert "25 messages were cancelled" in notes
    assert {row.state for row in Message.objects.all()} == {State.CANCELLED}
