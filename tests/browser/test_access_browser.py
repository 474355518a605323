"""Everybody can work with the admin: by keyboard, by ear, in the dark, on a phone, in Arabic."""

import pytest
from django.urls import reverse
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from django_smsww import send_sms

from ..support.people import LIST, admin_url
from ..support.waiting import await_true
from .conftest import BODY
from .steps import overflows, press
from .test_admin_browser import luminance
from .test_compose_browser import write
from .test_phones_browser import simulator as calling_simulator  # noqa: F401 - a fixture

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def speak(driver, language):
    driver.add_cookie({"name": "django_language", "value": language})


def test_the_texts_of_the_list_have_room_beside_the_side_bar(staffed, pages, show):
    show(pages["message_changelist"], "room", width=1280)
    assert staffed.find_element(By.ID, "nav-sidebar").is_displayed()
    assert staffed.find_element(By.CSS_SELECTOR, "#result_list .field-excerpt").rect["width"] > 170
    assert not overflows(staffed)


@pytest.mark.parametrize("language", ["de", "ar"])
@pytest.mark.parametrize("width", [1280, 360])
def test_no_page_is_wider_than_its_window(staffed, pages, show, language, width):
    speak(staffed, language)
    for name, address in pages.items():
        show(address, f"{name}-{language}", width=width, height=1700)
        assert not overflows(staffed), name


# What a screen reader would announce without a name.
ROLES = {"textbox", "searchbox", "combobox", "checkbox", "radio", "button", "link", "spinbutton"}
ROLES |= {"Date", "DateTime", "img", "image", "progressbar", "region", "figure"}


def nameless(driver):
    """Return the roles of what is used on the page, and has no name."""
    tree = driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    used = [node for node in tree if not node["ignored"] and node["role"]["value"] in ROLES]
    found = [node["role"]["value"] for node in used if not node["name"]["value"].strip()]
    return found if used else ["no page"]


def test_whatever_can_be_used_has_a_name_for_screen_readers(staffed, live_server, pages):
    for name, address in pages.items():
        staffed.get(live_server.url + address)
        # A page that reloads itself has no tree for a moment.
        await_true(lambda: nameless(staffed) == [], name.__str__, seconds=5)


def test_every_table_has_a_name_and_headers_with_a_scope(staffed, live_server, pages):
    for name, address in pages.items():
        staffed.get(live_server.url + address)
        for table in staffed.find_elements(By.CSS_SELECTOR, "[class*=smsww-] table"):
            assert table.find_elements(By.CSS_SELECTOR, "caption"), name
            assert table.find_elements(By.CSS_SELECTOR, "th:not([scope])") == [], name


# What a mouse can use in our parts of a page, each with a note of how it looks without the focus.
USABLE = """
const kinds = "a[href], button, input:not([type=hidden], [type=radio]), select, textarea, summary";
window.lookOf = one => {
    const style = getComputedStyle(one);
    return [style.outlineStyle, style.outlineWidth, style.boxShadow, style.borderColor,
        style.backgroundColor, style.color, style.textDecorationLine].join();
};
const all = [...document.querySelectorAll("#content :is([class*=smsww-], .object-tools)")]
    .flatMap(part => [...part.querySelectorAll(kinds)])
    .filter((one, n, all) => all.indexOf(one) === n && one.checkVisibility());
all.forEach(one => { one.style.transition = "none"; });
window.looks = new Map(all.map(one => [one, lookOf(one)]));
return all;
"""
# Where the focus is, and whether that can be seen.
FOCUSED = """
const one = document.activeElement;
return [one, lookOf(one) !== looks.get(one)];
"""
MOST_STOPS = 150


@pytest.mark.parametrize(
    "name", ["message_compose", "message", "message_statistics", "batch", "settle", "resume"]
)
def test_the_keyboard_reaches_every_control_and_shows_where_it_is(
    staffed, live_server, pages, name
):
    staffed.get(live_server.url + pages[name])
    left = set(staffed.execute_script(USABLE))
    assert left
    for _stop in range(MOST_STOPS):
        ActionChains(staffed).send_keys(Keys.TAB).perform()
        focused, is_seen = staffed.execute_script(FOCUSED)
        if focused in left:
            assert is_seen, focused.get_attribute("outerHTML")
            left.remove(focused)
        if not left:
            break
    assert [one.get_attribute("outerHTML") for one in left] == []


# Texts of ours and what is behind them, as far as the colours are plain.
COLOURS = """
const seen = [];
const walker = document.createTreeWalker(
    document.querySelector("#content"), NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
    const text = walker.currentNode.data.trim(), one = walker.currentNode.parentElement;
    if (!text || !one.closest("[class*=smsww-]") || !one.checkVisibility()) continue;
    let behind = one;
    while (behind && getComputedStyle(behind).backgroundColor === "rgba(0, 0, 0, 0)")
        behind = behind.parentElement;
    const style = getComputedStyle(one);
    const front = one.namespaceURI.endsWith("svg") ? style.fill : style.color;
    seen.push([text.slice(0, 40), front,
        behind ? getComputedStyle(behind).backgroundColor : "rgb(255, 255, 255)"]);
}
return seen;
"""


PLAIN = {"forgotten", "suspension", "suppression"}
"""Pages without a style of ours."""


def pale(driver):
    """Return the texts whose contrast is less than the 4.5 that guidelines ask of text (WCAG)."""

    def contrast(*colours):
        light, dark = sorted(map(luminance, colours), reverse=True)
        return (light + 0.05) / (dark + 0.05)

    texts = driver.execute_script(COLOURS)
    return None if not texts else [one for one in texts if contrast(*one[1:]) < 4.5]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_of_ours_can_be_read(staffed, pages, show, theme):
    for name, address in pages.items():
        show(address, f"{name}-contrast", theme=theme)
        assert pale(staffed) == (None if name in PLAIN else []), name


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("language", ["de", "ar"])
def test_the_telephones_are_for_everybody(
    staffed,
    calling_simulator,  # noqa: F811 - the fixture
    show,
    theme,
    language,
):
    for number, text in enumerate((BODY, "x" * 300, "<script>alert(1)</script>")):
        send_sms(text, f"+39333000{number:04}")
    calling_simulator.wait_until_idle()
    calling_simulator.hold()
    send_sms("This one waits for its outcome.", "+393330000001", "Acme")
    speak(staffed, language)
    for width in (1280, 360):
        show(reverse("smsww_phones"), f"phones-{language}", theme=theme, width=width, height=1700)
        assert (overflows(staffed), nameless(staffed), pale(staffed)) == (False, [], [])


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("language", ["de", "ar"])
def test_what_is_asked_before_sending_is_for_everybody(staffed, show, theme, language):
    speak(staffed, language)
    show(admin_url("message_compose"), "writing", theme=theme, width=360)
    write(staffed, "recipients", "+393330000001\n+393330000001\n12")
    write(staffed, "body", BODY)
    assert (overflows(staffed), nameless(staffed), pale(staffed)) == (False, [], [])
    press(staffed, "[name=_check]")
    assert (overflows(staffed), nameless(staffed), pale(staffed)) == (False, [], [])


def test_the_theme_of_the_admins_button_counts_for_our_colours(staffed, live_server, pages):
    staffed.get(live_server.url + LIST)
    toggle = staffed.find_element(By.CSS_SELECTOR, ".theme-toggle")
    badge = staffed.find_element(By.CSS_SELECTOR, ".smsww-badge")
    shades = {}
    for _click in range(3):
        toggle.click()
        theme = staffed.find_element(By.TAG_NAME, "html").get_attribute("data-theme")
        shades[theme] = luminance(badge.value_of_css_property("background-color"))
    assert shades["dark"] < 0.1 < 0.5 < shades["light"]
