"""A real browser, in front of a real server. Where there is no browser, these tests fail."""

import os
from pathlib import Path

import pytest
from django.conf import settings as django_settings

from .chromium import start


@pytest.fixture(scope="session")
def django_db_modify_db_settings(tmp_path_factory):
    """Keep SQLite in a file: threads of the server that share one connection disturb each other."""
    database = django_settings.DATABASES["default"]
    if database["ENGINE"].endswith("sqlite3"):
        path = tmp_path_factory.mktemp("database") / "browser.sqlite3"
        database.setdefault("TEST", {})["NAME"] = str(path)


@pytest.fixture(scope="session")
def strict_policy():
    """Have the server, which reads its settings when it starts, send a strict policy.

    And have it speak the language that a cookie names.
    """
    django_settings.MIDDLEWARE = [
        *django_settings.MIDDLEWARE,
        "django.middleware.locale.LocaleMiddleware",
        "tests.browser.policy.strict",
    ]


@pytest.fixture(scope="session")
def live_server(strict_policy, django_db_setup, live_server):
    """Start the server once the database is there: before that it would share a connection."""
    return live_server


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """One browser for all tests; each starts logged out."""
    driver = start(tmp_path_factory.mktemp("profile"))
    yield driver
    driver.quit()


@pytest.fixture
def driver(chromium, live_server):
    chromium.get(live_server.url + "/admin/login/")
    chromium.delete_all_cookies()
    chromium.get_log("browser")
    yield chromium
    said = [entry["message"] for entry in chromium.get_log("browser")]
    assert [line for line in said if "Content Security Policy" in line] == []


@pytest.fixture
def show(driver, live_server, tmp_path):
    """Return a function that opens a page in a theme and a width, and saves a picture of it."""
    folder = Path(os.environ.get("SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)

    def open_page(address, name, *, theme="light", width=1280, height=900):
        prefer = {"features": [{"name": "prefers-color-scheme", "value": theme}]}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", prefer)
        driver.set_window_size(width, height)
        driver.get(live_server.url + address)
        path = folder / f"{name}-{width}-{theme}.png"
        assert driver.save_screenshot(str(path))
        return path

    yield open_page
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    driver.set_window_size(1280, 900)
