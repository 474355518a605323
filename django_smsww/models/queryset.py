"""The queryset of messages: its adjectives narrow the rows down, its verbs move them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from django.db import IntegrityError, connections, models, transaction
from django.db.models import Case, Exists, F, OuterRef, Q
from django.utils import timezone
from django.utils.translation.trans_null import gettext_noop as _

from ..clock import database_now
from ..exceptions import (
    ContentRefused,
    SMSError,
    SMSLimited,
    SMSOutcomeUnknown,
    SMSUnavailable,
    kinds_of,
)
from ..sms import SendResult
from ..states import FINAL, PROVIDER, RESENDABLE, UNFINISHED, Cause, State, sources
from . import provider_facts as facts
from .announcing import announce_stored, by_signals, heard
from .callback import Outcome
from .commit import after_commit
from .event import Event
from .fields import stored_user
from .lease import SECONDS, Lease
from .origin import Origin
from .resend_report import ResendReport
from .sql import expression, no_twin, table_of, update
from .suppression import Suppression, suppressed

if TYPE_CHECKING:
    from .message import Message

NEEDS_TEXT = frozenset({State.QUEUED, State.SENDING})
NO_ERROR: dict[str, Any] = {
    "error": "",
    "error_code": "",
    "error_status": None,
    "error_text": "",
}
CLAIM_ORDER = ("-priority", "next_attempt_at", "pk")
CANCEL_BLOCK = 500
WORKER_LOST = "worker_lost"


def certainly_not_sent() -> Q:
    """Return the condition that the provider certainly never accepted a row."""
    # A dry run sends nothing, so it may be repeated even if no answer came.
    return Q(state=State.FAILED) & (
        Q(error__in=kinds_of(SMSUnavailable, SMSLimited))
        | Q(dry_run=True, error__in=kinds_of(SMSOutcomeUnknown))
    )


def error_columns(error: SMSError) -> dict[str, Any]:
    """Return the columns in which a row or an event keeps this error."""
    return {
        "error": type(error).__name__,
        "error_code": error.code[:32],
        "error_status": error.status,
        "error_text": (error.detail or str(error.args[0]))[:500],
    }


class MessageQuerySet(models.QuerySet["Message"]):
    _resend_many: ClassVar[Callable[..., ResendReport]]
    """The function of `resend()`. It sends, which rows cannot, so the app puts it here."""

    def of(self, alias: str, environment: str) -> MessageQuerySet:
        """Rows that one alias of one deployment sends or has sent.

        A copied database also holds those of other deployments.
        """
        return self.sent_here().filter(alias=alias, environment=environment)

    def sent_here(self) -> MessageQuerySet:
        """Rows of this project's own messages; `smsww_sync --adopt` adds those of others."""
        return self.filter(origin=Origin.HERE)

    def with_keys(self, primary_keys: Sequence[int]) -> MessageQuerySet:
        """Rows with these primary keys, which PostgreSQL takes as one array.

        The ORM checks and writes each as a parameter of its own, and the server parses each.
        """
        if not primary_keys or connections[self.db].vendor != "postgresql":
            return self.filter(pk__in=primary_keys)
        are_named = f"{table_of(self.model, self.db)}.id = ANY(%s)"
        return self.filter(Q(expression(are_named, [list(primary_keys)], models.BooleanField())))

    def final(self) -> MessageQuerySet:
        return self.filter(state__in=FINAL)

    def unfinished(self) -> MessageQuerySet:
        return self.filter(state__in=UNFINISHED)

    def queued(self) -> MessageQuerySet:
        return self.filter(state=State.QUEUED)

    def resendable(self) -> MessageQuerySet:
        """Rows that you may send once more: their text is there, and was not refused."""
        rows = self.sent_here().filter(
            state__in=RESENDABLE,
            dry_run=False,
            scrubbed=False,
            blocklisted=False,
            penalty=None,
            resent_as__isnull=True,
        )
        return rows.exclude(error__in=kinds_of(ContentRefused))

    def free(self, now: datetime) -> MessageQuerySet:
        """QUEUED rows without a lease, or with one that is over because its worker is dead."""
        return self.queued().filter(Q(lease_until=None) | Q(lease_until__lt=now))

    def due(self, now: datetime) -> MessageQuerySet:
        """The free rows that may be sent now, urgent ones first, then the oldest."""
        return self.free(now).filter(next_attempt_at__lte=now).order_by(*CLAIM_ORDER)

    def undue(self) -> MessageQuerySet:
        """QUEUED rows that no worker sends, only the call that wrote them.

        # Note [Undue rows]
        If a call that sends at once raises, its message must not leave later. But if the database
        goes away after the INSERT, nobody can mark the row FAILED. So the row is never due before
        it expires. The call leases it by its primary key, and so does a call that repeats its key.
        """
        return self.queued().filter(next_attempt_at=F("expires_at"), error="")

    # Moves

    def columns_of(self, target: State, changes: dict[str, Any]) -> dict[str, Any]:
        """Return all columns that a move to this state writes, with these changes among them.

        A row forgets its sensitive text in the same UPDATE that ends the need for it.
        """
        now = timezone.now()
        values = {**changes, "state": target.value, "updated_at": now}
        if target is not State.SENDING:
            values["finished_at"] = None if target in UNFINISHED else now
        if target not in NEEDS_TEXT:
            # With its table, since `sensitive` alone is a reserved word of MariaDB.
            is_sensitive = f"{table_of(self.model, self.db)}.sensitive"
            values |= {
                "lease_token": None,
                "lease_until": None,
                "body": expression(f"CASE WHEN {is_sensitive} THEN '' ELSE body END"),
                "scrubbed": expression(f"{is_sensitive} OR scrubbed"),
            }
        return values

    def move(self, target: State, cause: Cause, **changes: Any) -> int:
        """Move the rows that this cause may move, and return their number.

        Each statement that writes `state` is in this package, with the old states in its WHERE.
        """
        movable = self.filter(state__in=sources(target, cause))
        return update(movable, self.columns_of(target, changes))

    def advance(
        self, target: State, cause: Cause, *, where: Q | None = None, **changes: Any
    ) -> bool:
        """Move the one row of this queryset if it may move, and announce it; return if it moved.

        Args:
            where: a further condition, which the row need not meet after the move.
        """
        rows = self.filter(where) if where else self
        for some, is_first in by_signals(rows, target, cause):
            if some.move(target, cause, **changes):
                self.announce_one(target, is_first=is_first)
                return True
        return False

    def accept(
        self,
        result: SendResult,
        cause: Cause,
        *,
        otherwise: State | None = None,
    ) -> Outcome:
        """Record the provider's facts about the one row of this queryset.

        No lease is needed: the provider has the message, whether a worker or a callback says so.

        Args:
            otherwise: the state for a word of the provider that we do not know; None leaves the
                row where it is.
        """
        # A dry run was never sent, even if a callback names it.
        speaks_of_it = self._has_id(result.provider_id) & Q(dry_run=False)
        changes = facts.merge(self.model, result, self.db)
        target = State(result.state) if result.state in PROVIDER else otherwise
        if target and self.advance(target, cause, where=speaks_of_it, **changes, **NO_ERROR):
            return Outcome.MOVED
        changes["updated_at"] = timezone.now()
        if update(self.filter(speaks_of_it), changes):
            return Outcome.STOOD if target else Outcome.UNKNOWN_WORD
        if self.filter(provider_id=None, dry_run=False).take_over(result.provider_id):
            return self.accept(result, cause, otherwise=otherwise)
        return Outcome.MISMATCH if self.exists() else Outcome.NO_ROW

    def _has_id(self, provider_id: str) -> Q:
        """Return the condition that a row has this provider's id, or may still take it."""
        if not provider_id:
            return Q()
        return Q(provider_id=provider_id) | Q(provider_id=None) & self.free_id(provider_id)

    def free_id(self, provider_id: str) -> Q:
        """Return the condition that no other row has the provider's id."""
        # Without this the unique constraint would raise, and spoil the transaction.
        return Q(no_twin(self.model, provider_id, self.db))

    def take_over(self, provider_id: str) -> bool:
        """Delete the row from elsewhere that has the id of our one row; return if it was there.

        # Note [Ids that come home]
        `smsww_sync --adopt` cannot recognise each message of ours in a list without references.
        So it may store one as sent elsewhere, before our row learns its id from an answer, a
        callback or a look-up. Then we delete that row: our own row knows all that it knew.
        """
        mine = self.sent_here().values("alias", "environment").first()
        if not provider_id or mine is None:
            return False
        held = MessageQuerySet(self.model, using=self.db).filter(
            origin=Origin.ELSEWHERE, provider_id=provider_id, **mine
        )
        return bool(held.remove())

    def remove(self) -> int:
        """Delete these rows, or take the ids from those that the project protects."""
        keys = list(self.values_list("pk", flat=True))
        rows = MessageQuerySet(self.model, using=self.db).filter(pk__in=keys)
        try:
            with transaction.atomic(using=self.db):
                rows.delete()
        except IntegrityError:
            rows.update(provider_id=None)
        return len(keys)

    # Leases

    def lease(self, primary_keys: Sequence[int], lease: Lease) -> list[int]:
        """Lease those of these rows that are still free, and return their primary keys."""
        named = self.with_keys(primary_keys)
        named.free(database_now(self.db)).update(lease_token=lease.token, lease_until=lease.until)
        mine = named.queued().filter(lease_token=lease.token)
        return list(mine.order_by(*CLAIM_ORDER).values_list("pk", flat=True))

    def lease_due(self, lease: Lease, limit: int) -> list[int]:
        """Lease up to `limit` due rows, and return their primary keys.

        Where the database can skip rows that another worker is leasing right now, no worker waits.
        Where it cannot, the slower of two workers leases nothing, and looks further down.
        """
        due = self.due(database_now(self.db)).values_list("pk", flat=True)[:limit]
        if connections[self.db].features.has_select_for_update_skip_locked:
            with transaction.atomic(using=self.db):
                return self.lease(list(due.select_for_update(skip_locked=True)), lease)
        while seen := list(due.all()):
            if leased := self.lease(seen, lease):
                return leased
        return []

    def renew(self, lease: Lease) -> Lease:
        """Prolong the lease of our rows that are still QUEUED, and return the new lease."""
        fresh = lease.renewed(self.db)
        # Late ones too: nobody else has leased them yet, or they would have another token.
        self.queued().filter(lease_token=lease.token).update(lease_until=fresh.until)
        return fresh

    def release(self, lease: Lease) -> int:
        """End the lease of our rows that were not sent, and return their number."""
        ours = self.queued().filter(lease_token=lease.token)
        return ours.update(lease_token=None, lease_until=None)

    def claim(
        self, primary_keys: Sequence[int], lease: Lease, redirected_to: Case | None = None
    ) -> list[Message]:
        """Move leased rows to SENDING, just before their requests leave; return those that moved.

        Rows past their `expires_at` become FAILED instead: after an outage nobody gets an old code
        at night. Rows to a number on the do-not-send list become FAILED, too.

        Args:
            redirected_to: the numbers that get the messages in place of the recipients, if any.
        """
        now = database_now(self.db)
        leased = self.with_keys(primary_keys).filter(lease_token=lease.token)
        ours = leased.filter(lease_until__gt=now)
        moved = ours.exclude(ours.unwanted(now)).move(
            State.SENDING,
            Cause.SENDING,
            claimed_at=now,
            redirected_to=redirected_to,
            attempts=F("attempts") + 1,
            lease_until=lease.until,  # which may have been renewed since the row was leased
        )
        if moved < len(primary_keys):
            ours.give_up(now)
        # By the time, too: rows of an earlier claim of this lease may be under way.
        claimed = leased.filter(state=State.SENDING, claimed_at=now)
        messages: list[Message] = list(claimed.order_by(*CLAIM_ORDER))
        self.with_keys([message.pk for message in messages]).announce(State.SENDING)
        return messages

    def cancel(self, *, by: Any = None, reason: str = "") -> int:
        """Cancel the QUEUED rows, leased or not, and return their number."""
        waiting = list(self.queued().order_by("pk").values_list("pk", flat=True))
        blocks = (waiting[n : n + CANCEL_BLOCK] for n in range(0, len(waiting), CANCEL_BLOCK))
        return sum(self.filter(pk__in=block)._cancel(by, reason[:255]) for block in blocks)

    def _cancel(self, by: Any, reason: str) -> int:
        kind, by = Event.Kind.CANCELLED, stored_user(by)
        with transaction.atomic(using=self.db):
            self.move(State.CANCELLED, Cause.PERSON)
            # An UPDATE does not return its rows. Those that were cancelled before have an event.
            moved = self.filter(state=State.CANCELLED).exclude(events__kind=kind)
            moved.announce(State.CANCELLED)
            events = [
                Event(message_id=pk, kind=kind, state=State.CANCELLED, reason=reason, user=by)
                for pk in moved.values_list("pk", flat=True)
            ]
            Event.objects.using(self.db).bulk_create(events)
        return len(events)

    def resend(self, *, created_by: Any = None, delivered: bool = False) -> ResendReport:
        """Queue the resendable rows once more, as new rows, each once; return how many.

        A worker, or the task queue of the alias, sends them. Delivered messages, those under way
        and UNKNOWN ones are left as they are.

        Args:
            created_by: the user on whose behalf they are sent.
            delivered: resend delivered messages, too.
        """
        return self._resend_many(self, created_by=created_by, delivered=delivered)

    resend.queryset_only = True  # type: ignore[attr-defined]  # as delete(): filter first
    resend.alters_data = True  # type: ignore[attr-defined]

    def give_up(self, now: datetime) -> int:
        """Fail the QUEUED rows that must not leave any more, and return their number."""
        return sum(
            row.fail(_late() if row.expires_at <= now else suppressed(), token=row.lease_token)
            for row in self.queued().filter(self.unwanted(now))
        )

    def unwanted(self, now: datetime) -> Q:
        """Return the condition that a row must not leave; `models.single` has it in SQL."""
        numbers = Suppression.objects.using(self.db).filter(recipient=OuterRef("recipient"))
        return Q(Q(expires_at__lte=now) | Exists(numbers))

    def give_up_late(self, limit: int = 250) -> int:
        """Fail up to `limit` free rows that were not sent in time, and return their number."""
        now = database_now(self.db)
        late = list(self.free(now).filter(expires_at__lte=now)[:limit])
        return sum(row.fail(_late(), token=row.lease_token) for row in late)

    def end_interrupted(self) -> int:
        """Fail the undue rows of calls that ended without sending them; return their number."""
        now = database_now(self.db)
        lease = timedelta(seconds=SECONDS)
        free = Q(lease_until=None) | Q(lease_until__lt=now - lease)
        text = _("The program was interrupted before it sent the message; nothing was sent")
        lost = SMSUnavailable(text, code="interrupted")
        rows = self.undue().filter(free, updated_at__lt=now - 2 * lease)
        return sum(row.fail_queued(lost, free) for row in rows)

    def abandon(self) -> int:
        """End the rows that a dead worker left SENDING, and return their number.

        Nobody knows if their requests arrived. So they become UNKNOWN, and no worker sends them
        again. A dry run sends nothing, so it becomes FAILED. Locked rows are left for later: a
        host that was suspended while it wrote its results would keep all others from sending.
        """
        stale = self.filter(state=State.SENDING, lease_until__lt=database_now(self.db))
        lost = SMSOutcomeUnknown(_("The process that was sending it ended"), code=WORKER_LOST)
        if not connections[self.db].features.has_select_for_update_skip_locked:
            return sum(row.fail(lost, token=row.lease_token) for row in stale)
        if not stale.exists():  # workers ask often, and a transaction is not free
            return 0
        with transaction.atomic(using=self.db):
            free = stale.select_for_update(skip_locked=True)
            return sum(row.fail(lost, token=row.lease_token) for row in free)

    # Signals

    def announce(self, state: State, *, is_first: bool = False) -> None:
        """Send the signals of a move once it is committed; a receiver that raises undoes nothing.

        Args:
            is_first: the move is the first word of the provider about these rows.
        """
        if not heard(self.model, state, is_first):
            return
        rows = MessageQuerySet(self.model, using=self.db)
        for primary_key in self.values_list("pk", flat=True):
            rows.filter(pk=primary_key).announce_one(state, is_first=is_first)

    def announce_one(self, state: State, *, is_first: bool) -> None:
        """Announce the move of the one row of this queryset; the moved row is still in it."""
        wanted = heard(self.model, state, is_first)
        if wanted:
            after_commit(self.db, announce_stored, self.using(self.db), wanted, state)


def _late() -> SMSError:
    return SMSUnavailable(_("It was not sent in time; nothing was sent"), code="expired_unsent")
