"""The guide to ways of delivering is true."""

from configparser import ConfigParser

import pytest
from django.conf import settings as project
from django.core.management import get_commands
from django.utils.module_loading import import_string

from tests.support import guides

from .celery_app import app


@pytest.fixture
def blocks():
    """Return the names that each block of settings defines."""
    found = []
    for block in guides.blocks_of("delivery.md"):
        names = {"INSTALLED_APPS": []}
        exec(block, names)
        found.append(names)
    return [names for names in found if "SMSWW" in names]


def test_its_settings_are_those_of_this_suite(blocks):
    installed = {name for names in blocks for name in names["INSTALLED_APPS"]}
    assert installed <= {*project.INSTALLED_APPS}
    assert blocks[1]["TASKS"] == project.TASKS


def test_its_task_queues_can_be_called(blocks):
    [worker, *paths] = [names["SMSWW"]["default"]["OPTIONS"]["queue"] for names in blocks]
    assert worker is True
    assert [callable(import_string(path)) for path in paths] == [True, True]


def test_its_schedule_names_a_task(blocks):
    app.loader.import_default_modules()
    [entry] = blocks[2]["CELERY_BEAT_SCHEDULE"].values()
    assert entry["task"] in app.tasks


def test_its_unit_starts_what_is_there():
    [unit] = guides.blocks_of("delivery.md", "ini")
    parser = ConfigParser()
    parser.optionxform = str
    parser.read_string(unit)
    assert parser["Service"]["ExecStart"].endswith("manage.py smsww_worker")
    assert {"smsww_worker", "db_worker", "prune_db_task_results"} <= {*get_commands()}
