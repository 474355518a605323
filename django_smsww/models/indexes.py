from typing import Any

from django.db import models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


class ProvenIndex(models.Index):
    """A partial index on PostgreSQL, and a full index on other databases.

    PostgreSQL can use a partial index if the condition of the index follows from the query. For
    example, a query for FAILED rows can use an index of the rows that are not DELIVERED. SQLite
    needs the same condition in the query, word for word. (The condition IS NOT NULL is an
    exception.) MariaDB has no partial indexes.
    """

    def _get_condition_sql(
        self, model: type[models.Model], schema_editor: BaseDatabaseSchemaEditor
    ) -> Any:
        if schema_editor.connection.vendor != "postgresql":
            return None
        return super()._get_condition_sql(model, schema_editor)  # type: ignore[misc]


class UniqueIfSet(models.UniqueConstraint):
    """A unique constraint whose index leaves out the rows in which the first field is NULL.

    SQL allows many NULLs in a unique index, so the constraint accepts the same rows as
    `UniqueConstraint`. An UPDATE of a row that the index leaves out is cheaper. MariaDB has no
    partial indexes, so its index contains all rows.
    """

    def _get_condition_sql(
        self, model: type[models.Model], schema_editor: BaseDatabaseSchemaEditor
    ) -> str | None:
        if not schema_editor.connection.features.supports_partial_indexes:
            return None
        field: Any = model._meta.get_field(self.fields[0])
        return f"{schema_editor.quote_name(field.column)} IS NOT NULL"
