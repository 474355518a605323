"""Tables of the project that protect messages from being deleted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from django.db import IntegrityError
from django.db.models import PROTECT, RESTRICT, Exists, OuterRef, ProtectedError, Q, RestrictedError

from ..models import Message


# Note [Protected messages]
# One foreign key with PROTECT ended each run at its first row, scrubbing included. So rows that
# are protected directly are left out by the query. A cascade may meet a protected row as well, and
# a database may have a foreign key that Django does not follow: such a block is deleted in halves.
def protectors(using: str) -> dict[str, Q]:
    """Return, for each protecting relation of the project, the condition that it protects a row."""
    conditions = {}
    for relation in Message._meta.get_fields(include_hidden=True):
        if getattr(relation, "on_delete", None) in (PROTECT, RESTRICT):
            model, field = relation.related_model, cast(Any, relation).field
            here = {field.name: OuterRef(field.target_field.attname)}
            rows = cast(Any, model)._base_manager.using(using).filter(**here)
            conditions[str(field)] = Q(Exists(rows))
    return conditions


def delete_in_parts(
    keys: list[int], delete: Callable[[list[int]], int], keep: Callable[[int, IntegrityError], None]
) -> int:
    """Delete the block, in halves where something protects it; keep the rows at fault."""
    try:
        return delete(keys)
    except IntegrityError as error:
        if not _is_of_foreign_key(error):
            raise
        if len(keys) == 1:
            keep(keys[0], error)
            return 0
    half = len(keys) // 2
    return sum(delete_in_parts(part, delete, keep) for part in (keys[:half], keys[half:]))


def _is_of_foreign_key(error: IntegrityError) -> bool:
    # We know Django's own two errors by their classes, and those of a database by their text.
    is_django = isinstance(error, ProtectedError | RestrictedError)
    return is_django or "foreign key" in str(error).lower()


def protector_in(error: IntegrityError) -> str:
    """Return the models whose rows made a deletion fail, as far as the error names them."""
    found = vars(error).get("protected_objects") or vars(error).get("restricted_objects") or ()
    return ", ".join(sorted({each._meta.label for each in found})) or "a foreign key"
