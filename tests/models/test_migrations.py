"""The migrations make the tables of the models."""

from django.core.management import call_command
from django.db.migrations.loader import MigrationLoader


def test_the_migrations_are_complete(db):
    call_command("makemigrations", "django_smsww", check=True, dry_run=True, verbosity=0)


def test_there_is_one_migration_until_the_first_release():
    """From 0.1.0 on, migrations only add, and this test goes."""
    migrations = MigrationLoader(None).disk_migrations
    assert [name for app, name in migrations if app == "django_smsww"] == ["0001_initial"]
