from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class ResendReport:
    """The result of `MessageQuerySet.resend()`.

    Attributes:
        batch: the UUID of the batch of new messages, for the admin and for `smsww_pause --batch`.
        queued: how many new messages wait in the queue.
        failed: how many new messages failed at once, for example because of the do-not-send list.
        skipped: how many of the old messages were not resent.
    """

    batch: UUID
    queued: int
    failed: int
    skipped: int
