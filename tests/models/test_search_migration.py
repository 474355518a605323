"""The column that numbers are found by from their end is filled for rows that are there already."""

from datetime import timedelta

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from ..conftest import NUMBER

pytestmark = pytest.mark.django_db(transaction=True)


def migrate(name):
    executor = MigrationExecutor(connection)
    executor.migrate([("django_smsww", name)])
    return executor.loader.project_state([("django_smsww", name)]).apps


def test_rows_of_an_older_release_are_found_by_their_last_digits():
    try:
        old = migrate("0001_initial").get_model("django_smsww", "Message")
        for number in (NUMBER, "+39…", ""):
            soon = timezone.now() + timedelta(days=1)
            old.objects.create(alias="default", recipient=number, expires_at=soon)
        new = migrate("0002_search").get_model("django_smsww", "Message")
        columns = new.objects.order_by("pk").values_list("recipient_reversed", flat=True)
        assert list(columns) == ["765432133393", "", ""]
    finally:
        executor = MigrationExecutor(connection)
        executor.migrate(executor.loader.graph.leaf_nodes())
