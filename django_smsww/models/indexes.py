"""The indexes that are smaller on PostgreSQL than elsewhere."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


class ProvenIndex(models.Index):
    """An index of the rows of its condition on PostgreSQL, and of all rows elsewhere.

    PostgreSQL can prove that a FAILED row is not DELIVERED. SQLite proves only IS NOT NULL; for
    other conditions it uses a partial index only if the query repeats them word for word. MariaDB
    has no partial indexes, and Django makes full ones of them there.
    """

    def _get_condition_sql(
        self, model: type[models.Model], schema_editor: BaseDatabaseSchemaEditor
    ) -> Any:
        if schema_editor.connection.vendor != "postgresql":
            return None
        return super()._get_condition_sql(model, schema_editor)  # type: ignore[misc]
