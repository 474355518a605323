"""The result of `MessageQuerySet.resend()`."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class ResendReport:
    """The result of resending many messages.

    Attributes:
        batch: the batch of the new rows, for the admin's page and `smsww_pause`.
        queued: how many new rows wait in the queue.
        failed: how many new rows are FAILED already, for example by the do-not-send list.
        skipped: how many messages were left as they are.
    """

    batch: UUID
    queued: int
    failed: int
    skipped: int
