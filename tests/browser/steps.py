"""What people do in the browser, and what they see there."""

from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from ..support.people import LIST


def log_in(driver, live_server):
    driver.get(live_server.url + LIST)
    driver.find_element(By.ID, "id_username").send_keys("ann")
    driver.find_element(By.ID, "id_password").send_keys("secret")
    press(driver, "#login-form [type=submit]")


def press(driver, selector):
    """Click on something that leads to another page, and wait for that."""
    driver.execute_script("window.isLeft = true")
    driver.find_element(By.CSS_SELECTOR, selector).click()
    # Between two pages the driver may have no answer at all.
    has_come = "return !window.isLeft && document.readyState == 'complete'"
    WebDriverWait(driver, 10, ignored_exceptions=[WebDriverException]).until(
        lambda _: driver.execute_script(has_come)
    )


def overflows(driver):
    """Tell whether the page is wider than the window."""
    return driver.execute_script(
        "return document.documentElement.scrollWidth > document.documentElement.clientWidth + 1"
    )


CUT = """
const isCut = one => one.scrollWidth > one.clientWidth + 1
    && getComputedStyle(one).overflowX !== "visible"
    && one.checkVisibility()
    && !one.matches(".visually-hidden, .smsww-scroll:has(> svg)");
return [...document.querySelectorAll("#content *")].filter(isCut)
    .map(one => one.outerHTML.slice(0, 200));
"""


def cut(driver):
    """Return the parts of the page that are wider than their frames. A plot may be scrolled."""
    return driver.execute_script(CUT)
