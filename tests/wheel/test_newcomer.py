"""A newcomer follows the README word for word, and it works, up to a log-in with a code by SMS."""

import json
import re
from functools import partial
from urllib.request import urlopen

import pytest
from selenium.webdriver.common.by import By

from ..browser import chromium
from ..support.waiting import await_true
from .newcomer import ROOT, WAIT, Newcomer, blocks, section

pytestmark = [pytest.mark.wheel, pytest.mark.browser]

NUMBER = "+393331234567"
OWNER = "ada", "a-long-pass-word"
# A code may be asked for once in a minute; so may the newcomer wait, but not this test.
A_MINUTE_LATER = """
from datetime import timedelta
from django.db.models import F
from django_smsww.models import Counter, Message
Message.objects.update(created_at=F("created_at") - timedelta(minutes=1))
Counter.objects.filter(scope__contains=":cooldown:").delete()
"""


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory):
    me = Newcomer(tmp_path_factory.mktemp("newcomer"))
    me.environment |= {"DJANGO_SUPERUSER_PASSWORD": OWNER[1]}
    first, *terminals = blocks(section("README.md", "Quick start"), "console")
    try:
        for line in first.splitlines():
            me.do(line)
        me.write(section("README.md", "How it looks"))
        me.write(section("README.md", "Quick start"))
        for line in "".join(terminals).splitlines():
            me.do(line)
        yield me
    finally:
        for name in list(me.running):
            me.stop(name)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    driver = chromium.start(tmp_path_factory.mktemp("profile"))
    driver.implicitly_wait(5)
    yield driver
    driver.quit()


def fill(browser, **fields):
    """Fill in the fields of a form by their names, and send it with the key of the last one."""
    for name, value in fields.items():
        field = browser.find_element(By.NAME, name.replace("__", "-"))
        field.clear()
        field.send_keys(value)
    field.submit()


def code_on_the_phone(newcomer, *, after=0):
    """Return the code that the simulator has last delivered, of more than so many."""

    def codes():
        with urlopen(f"{newcomer.simulator}/_simulator/ledger") as answer:
            texts = [entry["body"] for entry in json.load(answer)]
        return [code for text in texts for code in re.findall(r"\b\d{6}\b", text)]

    await_true(lambda: len(codes()) > after, seconds=WAIT)
    return codes()[-1]


def test_it_sends_and_hears_back(newcomer):
    log = partial(newcomer.log, "runserver")
    await_true(lambda: "was delivered at" in log(), log, WAIT)


def test_the_history_is_in_the_admin(newcomer, browser):
    browser.get(f"{newcomer.site}/admin/django_smsww/message/")
    fill(browser, username=OWNER[0], password=OWNER[1])
    row = browser.find_element(By.CSS_SELECTOR, "#result_list tbody tr").text
    assert "It works." in row
    assert "Delivered" in row
    browser.get(f"{newcomer.site}/phones/")
    assert "It works." in browser.find_element(By.CLASS_NAME, "smsww-phone").text


def test_it_tests_itself(newcomer):
    [command] = re.findall(r"`(pytest --ds .*?)`", section("README.md", "Quick start"))
    assert "1 passed" in newcomer.do(command)


def test_a_user_logs_in_with_a_code_by_sms(newcomer, browser):
    newcomer.write(section("docs/two_factor.md", "With django-two-factor-auth"))
    newcomer.do("python manage.py migrate")
    newcomer.stop("runserver")
    newcomer.do("python manage.py runserver")

    browser.delete_all_cookies()
    browser.get(f"{newcomer.site}/account/login/")
    fill(browser, auth__username=OWNER[0], auth__password=OWNER[1])
    browser.get(f"{newcomer.site}/account/two_factor/setup/")
    browser.find_element(By.CSS_SELECTOR, "button.btn-primary").click()
    browser.find_element(By.CSS_SELECTOR, "input[value=sms]").click()
    browser.find_element(By.CSS_SELECTOR, "button.btn-primary").click()
    fill(browser, sms__number=NUMBER)
    fill(browser, validation__token=code_on_the_phone(newcomer))
    assert "successfully enabled" in browser.page_source

    newcomer.do(f"python manage.py shell -c '{A_MINUTE_LATER}'")
    browser.delete_all_cookies()
    browser.get(f"{newcomer.site}/account/login/")
    fill(browser, auth__username=OWNER[0], auth__password=OWNER[1])
    fill(browser, token__otp_token=code_on_the_phone(newcomer, after=1))
    assert browser.current_url == f"{newcomer.site}/account/two_factor/"
    assert "Backup Tokens" in browser.page_source


def press(newcomer, browser, label):
    """Press a button above the telephones; log in first, unless an earlier test has."""
    browser.get(f"{newcomer.site}/phones/")
    if "/login/" in browser.current_url:
        fill(browser, username=OWNER[0], password=OWNER[1])
    browser.find_element(By.XPATH, f"//button[.='{label}']").click()


def test_the_tutorial_works(newcomer, browser):
    tutorial = (ROOT / "docs" / "tutorial.md").read_text("utf-8")
    newcomer.write(tutorial)
    undeliverable, lost, status, sync, once = "".join(blocks(tutorial, "console")).splitlines()
    ends = "from django_smsww.models import Message as M; print(*M.objects.values_list('state'))"
    newcomer.do(undeliverable)
    await_true(lambda: "UNDELIVERABLE" in newcomer.do(f'python manage.py shell -c "{ends}"'))
    by_hand, go_on, *_ = re.findall(r'press\s"([^"]+)"', tutorial)
    press(newcomer, browser, by_hand)
    assert "1 unknown" in newcomer.do(lost, code=1)
    assert "1 UNKNOWN waiting for a callback or smsww_sync." in newcomer.do(status)
    assert "1 found again" in newcomer.do(sync)
    assert "('NEW',)" in newcomer.do(f'python manage.py shell -c "{ends}"')
    press(newcomer, browser, go_on)
    await_true(lambda: "('NEW',)" not in newcomer.do(f'python manage.py shell -c "{ends}"'))
    newcomer.do(once)
    assert "2 passed" in newcomer.do("pytest --ds mysite.settings notices/test_tasks.py")
