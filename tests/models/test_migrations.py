"""A release can be rolled out while the one before it is still at work on the same database."""

from __future__ import annotations

import pytest
from django.db import migrations
from django.db.migrations.loader import MigrationLoader
from django.db.models import NOT_PROVIDED

ADDING = (
    migrations.AddField,
    migrations.AddIndex,
    migrations.AlterField,
    migrations.AlterModelOptions,
    migrations.CreateModel,
    migrations.RunPython,
)


def later_operations():
    """Yield what migrations after the first do to tables that older releases know."""
    for (app, name), migration in sorted(MigrationLoader(None).disk_migrations.items()):
        if app == "django_smsww" and name != "0001_initial":
            models_of_old = [
                each for each in migration.operations if not _is_of_new(each, migration)
            ]
            yield from ((name, operation) for operation in models_of_old)


def _is_of_new(operation, migration):
    created = [each for each in migration.operations if isinstance(each, migrations.CreateModel)]
    name = getattr(operation, "model_name", "")
    return name in {each.name_lower for each in created}


OPERATIONS = list(later_operations())
NAMES = [f"{name}: {operation.describe()}" for name, operation in OPERATIONS]


def test_there_are_migrations_to_look_at():
    assert len(OPERATIONS) > 5


@pytest.mark.parametrize(("name", "operation"), OPERATIONS, ids=NAMES)
def test_a_migration_takes_nothing_away_that_an_older_release_needs(name, operation):
    assert isinstance(operation, ADDING), name
    if isinstance(operation, migrations.AddField):
        assert operation.field.null or operation.field.db_default is not NOT_PROVIDED, name
