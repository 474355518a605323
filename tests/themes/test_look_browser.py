"""Under another theme texts can be read, and inputs, buttons and plots be seen, in Chromium."""

import os
from pathlib import Path

import pytest
from django.conf import settings

from .conftest import chromium, django_db_modify_db_settings  # noqa: F401

FAULTS = Path(__file__).with_name("faults.js").read_text()
OPEN_FILTERS = (
    "document.querySelector('.grp-pulldown-handler, [x-on\\\\:click*=filterOpen]')?.click()"
)
pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture(scope="session")
def live_server(django_db_setup, live_server):
    """Start the server once the database is there: before that it would share a connection."""
    return live_server


@pytest.fixture(params=["light", "dark"])
def driver(request, chromium, live_server, browser):  # noqa: F811
    chromium.get(live_server.url + "/admin/login/")
    session = browser.cookies[settings.SESSION_COOKIE_NAME]
    chromium.add_cookie({"name": session.key, "value": session.value})
    prefer = {"features": [{"name": "prefers-color-scheme", "value": request.param}]}
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", prefer)
    chromium.set_window_size(1300, 1600)
    return chromium


def test_every_page_can_be_read(driver, live_server, pages, request):
    faults = set()
    for number, address in enumerate(pages):
        driver.get(live_server.url + address)
        driver.execute_script(OPEN_FILTERS)
        if folder := os.environ.get("SCREENSHOTS"):
            name = f"{settings.THEME}-{request.node.callspec.id}-{number:02}.png"
            driver.save_screenshot(str(Path(folder) / name))
        faults |= {(address, fault) for fault in driver.execute_script(FAULTS)}
    assert not faults, "\n".join(map(" ".join, sorted(faults)))
