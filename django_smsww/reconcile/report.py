"""The reports of one sync, and of one adoption, of one alias."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import Enum
from typing import Any
from uuid import UUID

from django.utils.translation.trans_null import gettext_noop as _

from ..exceptions import SMSError


class Reason(Enum):
    """Why a message stays UNKNOWN; the row keeps the value as its error text."""

    TOO_EARLY = _("Not settled: its request may still be under way")
    KNOWN = _("Not settled: the provider knows it, but did not say what became of it")
    CONTESTED = _("Not settled: the message with its reference contradicts this row")
    NOT_ECHOED = _("Not settled: the provider's list shows no references, and no match is certain")
    TWIN = _("Not settled: a message of unknown origin has its number and text")
    NO_CONTROL_BEFORE = _("Not settled: the list shows no message of ours from before it")
    NO_CONTROL_AFTER = _("Not settled: the list shows no message of ours from after it")
    NOT_READ = _("Not settled: the list could not be read far enough")
    HOLE = _("Not settled: the list lacks messages that were accepted at about its time")
    NO_LIST = _("Not settled: the provider's list cannot be read")
    GIVEN_UP = _("Not settled: it was looked for long enough, and a person must decide")


@dataclass(slots=True)
class Adoption:
    """The counts of one adoption, without numbers and texts.

    Attributes:
        is_dry_run: nothing was written; `added` and `updated` count the rows that a real run would
            write.
        listed: entries that were read.
        added: entries that are now stored as rows from elsewhere.
        updated: rows from elsewhere that the list has changed.
        known: other entries with a row.
        stamped: entries with the reference of this deployment or another one.
        held_back: entries that may belong to a row whose outcome is not settled.
        pruned: entries as old as messages that `smsww_prune` has deleted.
        unreadable: entries without a number or a time.
        is_whole: no gap was noticed in the list, and every entry had an id.
        skipped: why the provider was not asked at all.
        error: the provider's error that ended the run early; a further run goes on.
    """

    alias: str
    is_dry_run: bool = False
    listed: int = 0
    added: int = 0
    updated: int = 0
    known: int = 0
    stamped: int = 0
    held_back: int = 0
    pruned: int = 0
    unreadable: int = 0
    is_whole: bool = True
    skipped: str = ""
    error: SMSError | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        counts = {each.name: getattr(self, each.name) for each in fields(self)}
        return counts | {"error": str(self.error) if self.error else ""}


@dataclass(slots=True)
class SyncReport:
    """The result of one sync; it names messages by reference or provider's id alone.

    Attributes:
        skipped: why the provider was not asked at all.
        held: rows that became UNKNOWN because a backup was restored.
        looked: rows whose record the provider sent.
        adopted: rows that were found and now have the provider's id.
        moved: rows with a new state, adopted ones included.
        corrected: rows whose final state a single look-up corrected.
        proved_absent: rows that are FAILED now, since they never arrived.
        still_unknown: references of the other UNKNOWN rows, with the reasons.
        missing: references of accepted rows that the provider does not have.
        doubled: references that the list shows under a second id.
        orphans: after a restore, ids of messages with our signature and without a row.
        left: unfinished rows for which this sync had no look-ups left.
        pages, requests: how many were asked for.
        error: the provider's error that ended the sync early; verdicts before it stay.
        adoption: the counts of `smsww_sync --adopt`, if that was asked for.
    """

    alias: str
    environment: str = ""
    skipped: str = ""
    held: int = 0
    looked: int = 0
    adopted: int = 0
    moved: int = 0
    corrected: int = 0
    proved_absent: int = 0
    still_unknown: dict[UUID, Reason] = field(default_factory=dict)
    missing: list[UUID] = field(default_factory=list)
    doubled: list[UUID] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    left: int = 0
    pages: int = 0
    requests: int = 0
    error: SMSError | None = None
    adoption: Adoption | None = None

    @property
    def has_failed(self) -> bool:
        """Whether the provider failed to answer, so that some work is left."""
        return bool(self.error or (self.adoption and self.adoption.error))

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {each.name: getattr(self, each.name) for each in fields(self)} | {
            "still_unknown": [
                {"reference": str(reference), "reason": why.name.lower(), "text": why.value}
                for reference, why in self.still_unknown.items()
            ],
            "missing": list(map(str, self.missing)),
            "doubled": list(map(str, self.doubled)),
            "error": str(self.error) if self.error else "",
            "adoption": self.adoption and self.adoption.as_dict(),
        }
