from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import Enum
from typing import Any
from uuid import UUID

from django.utils.translation.trans_null import gettext_noop as _

from ..exceptions import SMSError


class Reason(Enum):
    """The reason why a message stays UNKNOWN; the row stores the value as its error text."""

    TOO_EARLY = _(
        "The last look-up came too early: for 10 minutes after a message became UNKNOWN, its "
        "request may still be under way"
    )
    KNOWN = _("Not settled: the provider knows the message, but did not say what became of it")
    CONTESTED = _(
        "Not settled: the provider has a message with this reference, but with other data "
        "than the row"
    )
    NOT_ECHOED = _("Not settled: the provider's list shows no references, and no match is certain")
    TWIN = _("Not settled: a message of unknown origin has the same number and text")
    NO_CONTROL_BEFORE = _(
        "Not settled: to prove an absence, the list must show an earlier message of this alias, "
        "sent more than 2 minutes before this one. It shows none"
    )
    NO_CONTROL_AFTER = _(
        "Not settled: to prove an absence, the list must show a later message of this alias, sent "
        "more than 2 minutes after this one became UNKNOWN. It shows none: send any message, and "
        "run smsww_sync again"
    )
    NOT_READ = _("Not settled: the list could not be read far enough")
    HOLE = _(
        "Not settled: the list lacks other messages that were accepted at about the same time as "
        "this one"
    )
    NO_LIST = _("Not settled: the provider's list cannot be read")
    GIVEN_UP = _("Not settled: the search has ended without a result, and a person must decide")


@dataclass(slots=True)
class Adoption:
    """The counts of one run that stores the messages of other programs.

    Attributes:
        is_dry_run: True if nothing was written; then the counts show what a real run would write.
        listed: list entries that were read, except those older than `since` of `adopt_history()`.
        added: entries that were stored as new rows.
        updated: rows of other programs' messages that were updated from the list.
        known: entries that already had a row, which this run did not change.
        stamped: skipped entries with a reference of this or another deployment.
        held_back: skipped entries that may belong to a row of ours without a provider id.
        pruned: skipped entries so old that `smsww_prune` may have deleted their messages.
        unreadable: skipped entries without a number or a time.
        is_whole: True if no gap was noticed in the list, and every entry had an id.
        skipped: why the provider was not asked at all; "" if the provider was asked.
        error: the provider's error that ended the run early, or None.
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
        counts = {each.name: getattr(self, each.name) for each in fields(self)}
        return counts | {"error": str(self.error) if self.error else ""}


@dataclass(slots=True)
class SyncReport:
    """The result of one sync. It names messages only by reference or provider id.

    Attributes:
        skipped: why the provider was not asked at all; "" if the provider was asked.
        held: how many rows became UNKNOWN because a backup was restored.
        looked: how many rows the sync has looked up, or searched for in the list.
        found: how many rows without a provider id were found in the list, and got an id.
        moved: how many rows have a new state, including found rows.
        corrected: how many rows had a wrong final state, which a look-up has corrected.
        proved_absent: how many rows became FAILED because their messages never arrived.
        still_unknown: references of the rows that are still UNKNOWN, with the reasons.
        retry_at: the earliest time at which a later sync can judge a row that is too recent for
            this sync. None if no row is too recent.
        missing: references of accepted messages that the provider does not have.
        doubled: references of rows for which the list shows a second provider id.
        orphans: after a restore, provider ids of messages with our signature, but without a row.
        left: how many rows were not looked up, because the sync had reached `max_lookups`.
        pages: how many pages of the list were read.
        requests: how many requests were made, including the requests for pages.
        error: the provider's error that ended the sync early, or None. Stored changes are kept.
        adoption: the counts of `smsww_sync --adopt`; None without this option.
    """

    alias: str
    environment: str = ""
    skipped: str = ""
    held: int = 0
    looked: int = 0
    found: int = 0
    moved: int = 0
    corrected: int = 0
    proved_absent: int = 0
    still_unknown: dict[UUID, Reason] = field(default_factory=dict)
    retry_at: datetime | None = None
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
        """Whether an error of the provider ended the sync or adoption before it was complete."""
        return bool(self.error or (self.adoption and self.adoption.error))

    def as_dict(self) -> dict[str, Any]:
        return {each.name: getattr(self, each.name) for each in fields(self)} | {
            "still_unknown": [
                {"reference": str(reference), "reason": why.name.lower(), "text": why.value}
                for reference, why in self.still_unknown.items()
            ],
            "retry_at": self.retry_at and self.retry_at.isoformat(),
            "missing": list(map(str, self.missing)),
            "doubled": list(map(str, self.doubled)),
            "error": str(self.error) if self.error else "",
            "adoption": self.adoption and self.adoption.as_dict(),
        }
