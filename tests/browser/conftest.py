"""A real browser, in front of a real server. Where there is no browser, these tests fail."""

import os
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest
from django.conf import settings as django_settings
from django.utils import timezone

from django_smsww import State
from django_smsww.models import Batch, Callback, Event, Suppression, Suspension

from ..support.people import EVERYTHING, admin_url, page, staff
from .chromium import start
from .steps import log_in

BATCH = UUID("6f1d0a52-0000-4000-8000-000000000002")
STOPPED = UUID("6f1d0a52-0000-4000-8000-000000000003")
BODY = "“Nice to see you” – \u202eFDP.exe\u202c 🎂 مرحبا " + "Bring it along, please. " * 7


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
        open_page.save = lambda name: save(f"{name}-{width}-{theme}.png")
        return open_page.save(name)

    def save(name):
        assert driver.save_screenshot(str(folder / name))
        return folder / name

    yield open_page
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    driver.set_window_size(1280, 900)


@pytest.fixture
def pages(make_message):
    """Return the addresses of all our pages, by name, with rows of every state behind them."""
    rows = [_row(make_message, number, state) for number, state in enumerate([*State] * 2)]
    story = rows[State.names.index("FAILED")]
    Event.objects.create(message=story, kind="attempt", state="QUEUED", error="SMSUnavailable")
    callback = Callback.objects.create(
        message=story,
        reference=story.reference,
        state="NEW",
        outcome="stood",
        payload={"id": "5f1c2a", "totalPrice": 0.07, "custom": {"order": "A" * 90}},
    )
    Batch.objects.create(reference=BATCH, alias="default", tag="reminder", size=len(rows))
    entry = Suppression.objects.create(recipient="+393330000001", reason="asked us to stop")
    pause = Suspension.objects.create(alias="default", reason="maintenance of the gateway")
    stop = {"scope": f"batch:{STOPPED}", "error_code": "stopped", "reason": "the text was wrong"}
    Suspension.objects.create(alias="default", **stop)
    retried = {"error": "SMSUnavailable", "error_status": 503}
    again = make_message(batch=STOPPED, resend_of=story, body=BODY, **retried)
    make_message(batch=STOPPED, state=State.CANCELLED)
    unknown, queued = (rows[State.names.index(name)] for name in ("UNKNOWN", "QUEUED"))
    pages = {
        "message": page(story),
        "queued": page(queued),
        "retried": page(again),
        "long": page(make_message(body="x" * 300, error_text="x" * 200, tag="x" * 64)),
        "callback": admin_url("callback_change", callback.pk),
        "suppressed": admin_url("suppression_change", entry.pk),
        "forgotten": admin_url("suppression_delete", entry.pk),
        "suspension": admin_url("suspension_change", pause.pk),
        "resume": admin_url("suspension_resume", pause.pk),
        "resend": admin_url("message_resend", story.pk),
        "settle": admin_url("message_settle", unknown.pk),
        "cancel": admin_url("message_cancel", queued.pk),
        "batch": admin_url("batch_page", BATCH),
        "stopped": admin_url("batch_page", STOPPED),
        "stop": admin_url("batch_stop", BATCH),
    }
    names = ("message_compose", "message_statistics", "suspension_pause")
    lists = [
        f"{name}_changelist"
        for name in ("message", "batch", "callback", "suspension", "suppression")
    ]
    others = {name: admin_url(f"{name}") for name in (*names, *lists)}
    return pages | others | {"suppression": admin_url("suppression_add")}


def _row(make_message, number, state):
    began = timezone.now() - timedelta(hours=7 * number)
    return make_message(
        recipient=f"+39333000{number:04}",
        body=BODY,
        state=state,
        batch=BATCH,
        created_at=began,
        claimed_at=began,
        delivered_at=began + timedelta(seconds=9) if state == State.DELIVERED else None,
        country="IT",
        encoding="UCS-2",
        segments=4,
        total_price=Decimal("0.28"),
        penalty=Decimal(1) if state == State.REJECTED else None,
        tag="reminder",
        dry_run=state == State.VALIDATED,
        error="SMSRefused" if state == State.FAILED else "",
        error_text="Sender not approved for country" if state == State.FAILED else "",
    )


@pytest.fixture
def staffed(driver, live_server, db):
    """Return the browser of somebody who may do everything."""
    permissions = ("view_suppression", "add_suppression", "delete_suppression")
    staff(*EVERYTHING, *permissions)
    log_in(driver, live_server)
    return driver
