"""Foreign keys of the project that protect messages from deletion."""

from collections.abc import Callable
from typing import Any, cast

from django.db import IntegrityError
from django.db.models import PROTECT, RESTRICT, Exists, OuterRef, ProtectedError, Q, RestrictedError

from ..models import Message


# Note [Protected messages]
# A foreign key with PROTECT used to end each run at its first row, and then nothing was scrubbed
# either. So the query leaves out rows that are protected directly. A cascade may still meet a
# protected row, or a foreign key that Django does not know. Then the block is deleted in halves.
def protectors(using: str) -> dict[str, Q]:
    """Return the foreign keys that protect messages from deletion (PROTECT or RESTRICT).

    The keys of the dict are the names of the foreign keys. Each value is a condition: it selects
    the messages that this foreign key protects.
    """
    conditions = {}
    for relation in Message._meta.get_fields(include_hidden=True):
        if getattr(relation, "on_delete", None) in (PROTECT, RESTRICT):
            model, field = relation.related_model, cast(Any, relation).field
            here = {field.name: OuterRef(field.target_field.attname)}
            rows = cast(Any, model)._base_manager.using(using).filter(**here)
            conditions[str(field)] = Q(Exists(rows))
    return conditions


def delete_in_parts(
    keys: list[int],
    delete: Callable[[list[int]], int],
    keep: Callable[[int, IntegrityError], object],
) -> int:
    """Delete the rows with these keys by calling `delete`. Return the sum of its results.

    If a foreign key protects some of the rows, this function splits the keys into two halves and
    calls itself for each half. If only one row is left and it is protected, `keep` is called.
    """
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
    """Return the names of the models that prevented a deletion.

    If the error does not name them, return the text "a foreign key".
    """
    found = vars(error).get("protected_objects") or vars(error).get("restricted_objects") or ()
    return ", ".join(sorted({each._meta.label for each in found})) or "a foreign key"
