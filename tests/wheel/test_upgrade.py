"""The release before this one works on with the database that this one has migrated.

As while hosts are upgraded one after the other. PREVIOUS_WHEEL names the file of that release.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .newcomer import ROOT, Newcomer, await_true, blocks, section

WHEEL = os.environ.get("PREVIOUS_WHEEL", "")
pytestmark = [
    pytest.mark.wheel,
    pytest.mark.skipif(not WHEEL, reason="PREVIOUS_WHEEL names no release before this one"),
]
SEND = """
from django_smsww import send_mass_sms, send_sms
send_sms("It works.", "+393331234567", key="one")
send_sms("It works.", "+393331234567", key="one")
send_sms("It waits.", "+393331234567", queue=True, sensitive=True)
send_mass_sms("To many.", ["+393331234568", "+393331234569"])
"""
OUTCOME = """
from django_smsww.models import Message
print(*sorted(Message.objects.values_list("state", "body", "scrubbed")), sep="\\n")
"""


@pytest.fixture
def previous(tmp_path_factory):
    """Return the folder of the programs that the release before this one is installed beside."""
    folder = tmp_path_factory.mktemp("previous")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip = [folder / "bin" / "pip", "install", "-q", Path(WHEEL).resolve()]
    subprocess.run(pip, check=True)
    return folder / "bin"


@pytest.fixture
def site(tmp_path):
    """A project whose database this release has migrated, and the simulator beside it."""
    me = Newcomer(tmp_path)
    me.do("django-admin startproject mysite .")
    me.do("python manage.py startapp notices")
    me.write((ROOT / "README.md").read_text("utf-8").partition("\n## ")[0])
    me.write(section("README.md", "Start"))
    export, *_ = [line for line in start_lines() if line.startswith("export")]
    try:
        for line in (export, "python manage.py migrate", "python manage.py smsww_simulator &"):
            me.do(line)
        yield me
    finally:
        for name in list(me.running):
            me.stop(name)


def start_lines():
    return blocks(section("README.md", "Start"), "console")[0].splitlines()


def test_the_release_before_goes_through_a_loop_on_the_database_of_this_one(site, previous):
    now = site.environment["PATH"]
    site.environment["PATH"] = f"{previous}:{now}"
    where = site.do("python -c 'import django_smsww; print(django_smsww.__file__)'")
    assert where.startswith(str(previous.parent))
    site.do("python manage.py runserver &")
    site.do(f"python manage.py shell -c '{SEND}'")
    site.do("python manage.py smsww_worker --once")

    site.environment["PATH"] = now  # and this release sees what that one has done
    ends = "\n".join(
        f"('DELIVERED', '{body}', {scrubbed})"
        for body, scrubbed in [("", True), ("It works.", False), *[("To many.", False)] * 2]
    )
    await_true(lambda: ends in site.do(f"python manage.py shell -c '{OUTCOME}'"), "not delivered")
    site.do(f"python manage.py shell -c '{SEND}'")
    assert site.do(f"python manage.py shell -c '{OUTCOME}'").count("It works.") == 1
