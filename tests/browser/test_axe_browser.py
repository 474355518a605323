"""axe-core finds nothing, and nothing is cut, in both themes, on a screen and on a telephone."""

import os

import pytest
from django.urls import reverse
from selenium.webdriver.common.by import By
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

from django_smsww import send_sms

from ..support.people import LIST, admin_url
from .axe import violations
from .steps import cut, overflows, press
from .test_compose_browser import write
from .test_phones_browser import simulator  # noqa: F401 - a fixture

# Colours do not change with the width. With screenshots, all four are shown.
LOOKS = [("light", 1280), ("dark", 390)]
if os.environ.get("SCREENSHOTS"):
    LOOKS += [("dark", 1280), ("light", 390)]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.parametrize(("theme", "width"), LOOKS),
]
ACTIONS = (
    "resend_selected",
    "refresh_selected",
    "cancel_selected",
    "settle_selected",
    "resend_all",
    "export_selected",
)


@pytest.fixture(autouse=True)
def two_aliases(settings):
    """With two aliases, lists have a column more."""
    settings.SMSWW = settings.SMSWW | {"marketing": settings.SMSWW["default"]}


def choose(driver, action):
    """Select all rows of the changelist, and choose an action for them."""
    driver.execute_script("document.querySelector('#action-toggle').click()")
    Select(driver.find_element(By.NAME, "action")).select_by_value(action)
    press(driver, ".actions button")


def faults(driver):
    """Return what makes the page hard to use: broken rules, cut parts, a page that is too wide."""
    return violations(driver) + cut(driver) + ["it is too wide"] * overflows(driver)


def test_the_statistics_have_no_fault(staffed, pages, show, theme, width):
    plots = (By.CSS_SELECTOR, ".smsww-plot svg[role=img]")
    show(pages["message_statistics"], "adding_up", theme=theme, width=width)
    # The page loads itself again until all days are added up.
    WebDriverWait(staffed, 60).until(lambda driver: len(driver.find_elements(*plots)) == 5)
    show(pages["message_statistics"], "statistics", theme=theme, width=width)
    assert len(staffed.find_elements(*plots)) == 5
    assert faults(staffed) == []


def test_no_page_has_a_fault(staffed, pages, show, theme, width):
    for name, address in pages.items():
        show(address, name, theme=theme, width=width)
        assert faults(staffed) == [], name


def test_no_question_about_several_rows_has_a_fault(staffed, pages, show, theme, width):
    lists = dict.fromkeys(ACTIONS, LIST)
    lists["delete_selected"] = admin_url("suppression_changelist")
    for action, address in lists.items():
        show(address, "list", theme=theme, width=width)
        choose(staffed, action)
        show.save(action)
        assert faults(staffed) == [], action


def test_no_step_of_writing_a_message_has_a_fault(staffed, show, theme, width, smsoutbox):
    show(admin_url("message_compose"), "writing", theme=theme, width=width)
    write(staffed, "recipients", "+393330000001\n+393330000001\n+393330000002\n12")
    write(staffed, "body", "“Nice to see you” 🎂")
    for button in ("_check", "_edit", "_try"):
        press(staffed, f"[name={button}]")
        show.save(f"compose{button}")
        assert faults(staffed) == [], button


def test_the_telephones_have_no_fault(staffed, simulator, show, theme, width):  # noqa: F811
    send_sms("“Nice to see you”", "+393330000001")
    simulator.wait_until_idle()
    simulator.hold()
    send_sms("This one waits for its outcome.", "+393330000001", "Acme")
    for query in ("", "?live"):
        show(reverse("smsww_phones") + query, f"phones{query[1:]}", theme=theme, width=width)
        assert faults(staffed) == []
