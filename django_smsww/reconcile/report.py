"""What one run found and did."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import Enum
from typing import Any
from uuid import UUID

from django.utils.translation.trans_null import gettext_noop as _

from ..exceptions import SMSError


class Reason(Enum):
    """Why a message stays UNKNOWN; the value is what its row says."""

    TOO_EARLY = _("Not settled: its request may still be under way")
    KNOWN = _("Not settled: the provider knows it, but did not say what became of it")
    CONTESTED = _("Not settled: the message with its reference contradicts this row")
    NOT_ECHOED = _("Not settled: the provider's list shows no references, and no one match")
    TWIN = _("Not settled: a message of unknown origin has its number and text")
    NO_CONTROL_BEFORE = _("Not settled: the list shows no message of ours from before it")
    NO_CONTROL_AFTER = _("Not settled: the list shows no message of ours from after it")
    NOT_READ = _("Not settled: the list could not be read far enough")
    HOLE = _("Not settled: the list lacks messages that were accepted at about its time")
    NO_LIST = _("Not settled: the provider's list cannot be read")
    GIVEN_UP = _("Not settled: it was looked for long enough, and a person must decide")


@dataclass(frozen=True, slots=True)
class Unsettled:
    """A message whose outcome is still unknown, and why."""

    reference: UUID
    reason: Reason


@dataclass(slots=True)
class SyncReport:
    """What became of one alias; names messages by reference or provider's id alone.

    Attributes:
        skipped: why the provider was not asked at all.
        held: rows held as UNKNOWN after a restore.
        looked: rows about which the provider was heard.
        adopted: rows that were found and now bear the provider's id.
        moved: rows, adopted ones included, whose state moved.
        corrected: rows whose final word the provider's single record corrected.
        proved_absent: rows that are FAILED now, since they never arrived.
        still_unknown: the others, with the reason of each.
        missing: references of accepted rows that the provider says it does not have.
        doubled: references that the provider's list shows under a second id.
        orphans: after a restore, ids of messages signed by us that have no row.
        left: unfinished rows for whose single look-up this run had no requests left.
        pages, requests: how much was asked.
        error: what the provider answered to end the run early; what was settled stays.
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
    still_unknown: list[Unsettled] = field(default_factory=list)
    missing: list[UUID] = field(default_factory=list)
    doubled: list[UUID] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    left: int = 0
    pages: int = 0
    requests: int = 0
    error: SMSError | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON knows it."""
        plain: dict[str, Any] = {each.name: getattr(self, each.name) for each in fields(self)}
        plain["still_unknown"] = [
            {
                "reference": str(one.reference),
                "reason": one.reason.name.lower(),
                "text": one.reason.value,
            }
            for one in self.still_unknown
        ]
        for name in ("missing", "doubled"):
            plain[name] = [str(reference) for reference in plain[name]]
        return plain | {"error": str(self.error) if self.error else ""}
