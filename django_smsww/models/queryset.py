"""The queryset of messages. Adjectives (`queued()`) filter rows, verbs (`cancel()`) change them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from django.db import IntegrityError, connections, models, transaction
from django.db.models import F, Q
from django.db.models.expressions import RawSQL
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
from .announcing import announce_row, announce_stored, by_signals, heard
from .callback import Outcome
from .commit import after_commit
from .event import Event
from .fields import stored_user
from .lease import SECONDS, Lease
from .origin import Origin
from .resend_report import ResendReport
from .sql import adapted, expression, field_of, no_twin, table_of, update, update_and_read
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
    """Return the condition for FAILED messages that were certainly not sent and can be retried."""
    # A dry run sends nothing, so it may be repeated even if no answer came.
    return Q(state=State.FAILED) & (
        Q(error__in=kinds_of(SMSUnavailable, SMSLimited))
        | Q(dry_run=True, error__in=kinds_of(SMSOutcomeUnknown))
    )


def error_columns(error: SMSError) -> dict[str, Any]:
    return {
        "error": type(error).__name__,
        "error_code": error.code[:32],
        "error_status": error.status,
        "error_text": (error.detail or str(error.args[0]))[:500],
    }


class MessageQuerySet(models.QuerySet["Message"]):
    _resend_many: ClassVar[Callable[..., ResendReport]]
    """The function that `resend()` calls. `apps.py` sets it, to avoid a circular import."""

    def of(self, alias: str, environment: str) -> MessageQuerySet:
        """Return the rows that this project sends with this alias in this environment."""
        return self.sent_here().filter(alias=alias, environment=environment)

    def sent_here(self) -> MessageQuerySet:
        """Return the rows that this project sends, without rows that `smsww_sync --adopt` added."""
        return self.filter(origin=Origin.HERE)

    def with_keys(self, primary_keys: Sequence[int]) -> MessageQuerySet:
        """Return the rows with these primary keys. PostgreSQL gets the keys as one parameter."""
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
        """Return finished messages that can be resent (sent again as new messages).

        Messages are left out if their text was deleted, if their content was refused, or if they
        were resent already. Dry runs and messages of other programs are also left out.
        """
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
        """Return QUEUED rows that have no lease, or a lease that has ended."""
        return self.queued().filter(Q(lease_until=None) | Q(lease_until__lt=now))

    def due(self, now: datetime) -> MessageQuerySet:
        """Return `free()` rows whose `next_attempt_at` has passed, the highest priority first."""
        return self.free(now).filter(next_attempt_at__lte=now).order_by(*CLAIM_ORDER)

    def undue(self) -> MessageQuerySet:
        """Return the QUEUED rows that workers must not send, because a call sends them at once.

        # Note [Undue rows]
        A call that sends its message at once can fail. Then workers must not send the message
        later. Normally the call makes the row FAILED. But the call cannot do so if the connection
        to the database breaks after the INSERT. So the call sets `next_attempt_at` to `expires_at`:
        workers ignore the row until it expires, and then make it FAILED. The call itself leases
        the row by its primary key. A later call with the same `key` can also lease the row.
        """
        return self.queued().filter(next_attempt_at=F("expires_at"), error="")

    # Moves

    def columns_of(self, target: State, changes: dict[str, Any]) -> dict[str, Any]:
        """Return the values to write for a change to this state, including `changes`.

        For a state other than QUEUED and SENDING, add values that end the lease and that delete a
        sensitive text.
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
        """Change the state of these rows, and return the number of changed rows.

        `states.py` lists the old states from which `cause` allows the change. A row with another
        state stays unchanged.
        """
        movable = self.filter(state__in=sources(target, cause))
        return update(movable, self.columns_of(target, changes))

    def advance(
        self, target: State, cause: Cause, *, where: Q | None = None, **changes: Any
    ) -> bool:
        """Change the state of the only row in this queryset, and send the signals after the commit.

        Return False, and change nothing, if `states.py` does not allow the change, or if the row
        does not meet the condition `where`.
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
        """Store the provider's state, prices, counts and times in the only row of this queryset.

        The caller needs no lease: the provider's data is true even if another worker has the lease.

        Args:
            otherwise: the state to set if this package does not know the provider's state. None
                leaves the row's state unchanged.
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
        """Return the condition for a row that has this provider id, or that can get this id.

        A row can get the id if the row has no provider id, and no other row has this id.
        """
        if not provider_id:
            return Q()
        return Q(provider_id=provider_id) | Q(provider_id=None) & self.free_id(provider_id)

    def free_id(self, provider_id: str) -> Q:
        """Return a condition: no row of the same alias and environment has this provider id."""
        # Without it, the unique constraint would raise and break the transaction.
        return Q(no_twin(self.model, provider_id, self.db))

    def take_over(self, provider_id: str) -> bool:
        """Delete the "elsewhere" row with this provider id. Return False if there is no such row.

        # Note [Ids of adopted messages]
        `smsww_sync --adopt` stores messages of other programs with the origin "elsewhere". If the
        provider's list has no references, the command can mistake a message of this project for a
        message of another program. Then the message has two rows: the project's row without a
        provider id, and the "elsewhere" row. Later, a response, a callback or a look-up brings the
        id for the project's row. The id is unique, so we delete the "elsewhere" row before we store
        the id. Nothing is lost, because the project's row has all data.
        """
        mine = self.sent_here().values("alias", "environment").first()
        if not provider_id or mine is None:
            return False
        held = MessageQuerySet(self.model, using=self.db).filter(
            origin=Origin.ELSEWHERE, provider_id=provider_id, **mine
        )
        return bool(held.remove())

    def remove(self) -> int:
        """Delete these rows. If a foreign key prevents this, only clear their provider ids."""
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
        """Lease the rows that are free. Return the primary keys of leased rows in sending order."""
        named = self.with_keys(primary_keys)
        named.free(database_now(self.db)).update(lease_token=lease.token, lease_until=lease.until)
        mine = named.queued().filter(lease_token=lease.token)
        return list(mine.order_by(*CLAIM_ORDER).values_list("pk", flat=True))

    def lease_due(self, lease: Lease, limit: int) -> list[int]:
        """Lease up to `limit` due rows, and return their primary keys."""
        due = self.due(database_now(self.db)).values_list("pk", flat=True)[:limit]
        if connections[self.db].features.has_select_for_update_skip_locked:
            with transaction.atomic(using=self.db):
                return self.lease(list(due.select_for_update(skip_locked=True)), lease)
        while seen := list(due.all()):
            if leased := self.lease(seen, lease):
                return leased
        return []

    def renew(self, lease: Lease) -> Lease:
        """Prolong this lease for its rows that are still QUEUED, and return the new lease."""
        fresh = lease.renewed(self.db)
        # This prolongs even a lease that is over: rows of another worker have another token.
        self.queued().filter(lease_token=lease.token).update(lease_until=fresh.until)
        return fresh

    def release(self, lease: Lease) -> int:
        """End this lease for its rows that are still QUEUED, and return the number of rows."""
        ours = self.queued().filter(lease_token=lease.token)
        return ours.update(lease_token=None, lease_until=None)

    def claim(
        self, primary_keys: Sequence[int], lease: Lease, redirected_to: RawSQL | None = None
    ) -> list[Message]:
        """Make leased rows SENDING just before their requests begin, and return these rows.

        A row becomes FAILED instead if its `expires_at` has passed. So nobody gets an old one-time
        code after an outage. A row also becomes FAILED if its number is on the do-not-send list.

        Args:
            redirected_to: SQL for a number that replaces the recipient, as on staging systems.
        """
        now = database_now(self.db)
        leased = self.with_keys(primary_keys).filter(lease_token=lease.token)
        ours = leased.filter(lease_until__gt=now)
        changes = {
            "claimed_at": now,
            "redirected_to": redirected_to,
            "attempts": expression("attempts + 1"),
            "lease_until": lease.until,  # which may have been renewed since the row was leased
        }
        messages: list[Message] = update_and_read(
            ours.exclude(ours.unwanted(now)).filter(
                state__in=sources(State.SENDING, Cause.SENDING)
            ),
            self.columns_of(State.SENDING, changes),
            # By the time, too: rows of an earlier claim of this lease may be under way.
            leased.filter(state=State.SENDING, claimed_at=now),
        )
        if len(messages) < len(primary_keys):
            ours.give_up(now)
        messages.sort(key=_claim_order)
        if heard(self.model, State.SENDING, is_first=False):
            for message in messages:
                after_commit(self.db, announce_row, message)
        return messages

    def cancel(self, *, by: Any = None, reason: str = "") -> int:
        """Cancel the QUEUED rows, even if a worker has leased them, and return their number."""
        waiting = list(self.queued().order_by("pk").values_list("pk", flat=True))
        blocks = (waiting[n : n + CANCEL_BLOCK] for n in range(0, len(waiting), CANCEL_BLOCK))
        return sum(self.filter(pk__in=block)._cancel(by, reason[:255]) for block in blocks)

    def _cancel(self, by: Any, reason: str) -> int:
        kind, by = Event.Kind.CANCELLED, stored_user(by)
        with transaction.atomic(using=self.db):
            self.move(State.CANCELLED, Cause.PERSON)
            # An UPDATE does not return its rows. Rows that were cancelled earlier have an event.
            moved = self.filter(state=State.CANCELLED).exclude(events__kind=kind)
            moved.announce(State.CANCELLED)
            events = [
                Event(message_id=pk, kind=kind, state=State.CANCELLED, reason=reason, user=by)
                for pk in moved.values_list("pk", flat=True)
            ]
            Event.objects.using(self.db).bulk_create(events)
        return len(events)

    def resend(self, *, created_by: Any = None, delivered: bool = False) -> ResendReport:
        """Queue a new message for each row that is `resendable()`, and return the counts.

        A worker, or the task queue of the alias, sends the new messages. Messages that are QUEUED,
        SENDING, NEW, PENDING or UNKNOWN are never resent.

        Args:
            created_by: the user who resends the messages.
            delivered: True also resends DELIVERED messages. By default, they are skipped.
        """
        return self._resend_many(self, created_by=created_by, delivered=delivered)

    resend.queryset_only = True  # type: ignore[attr-defined]  # like delete(), not on the manager
    resend.alters_data = True  # type: ignore[attr-defined]

    def give_up(self, now: datetime) -> int:
        """Make QUEUED rows FAILED if they are `unwanted()`. Return the number of changed rows."""
        return sum(
            row.fail(_late() if row.expires_at <= now else suppressed(), token=row.lease_token)
            for row in self.queued().filter(self.unwanted(now))
        )

    def unwanted(self, now: datetime) -> Q:
        """Return the condition for rows that expired, or have a number on the do-not-send list."""
        # The same condition, in SQL, is in models/single.py.
        rows, numbers = table_of(self.model, self.db), table_of(Suppression, self.db)
        late = adapted(field_of(self.model, "expires_at"), now, connections[self.db])
        same = f"{numbers}.recipient = {rows}.recipient"
        refused = f"EXISTS (SELECT 1 FROM {numbers} WHERE {same})"  # noqa: S608
        where = f"({rows}.expires_at <= %s OR {refused})"
        return Q(expression(where, [late], models.BooleanField()))

    def give_up_late(self, limit: int = 250) -> int:
        """Make expired rows FAILED, `limit` rows at most, and return their number.

        Rows that are not `free()` stay unchanged.
        """
        now = database_now(self.db)
        late = list(self.free(now).filter(expires_at__lte=now)[:limit])
        return sum(row.fail(_late(), token=row.lease_token) for row in late)

    def end_interrupted(self) -> int:
        """Make rows FAILED if a program was interrupted before it sent them. Return their number.

        Such rows are `undue()`, and were not changed for 10 minutes. If a row has a lease, the
        lease must have ended more than 5 minutes ago.
        """
        now = database_now(self.db)
        lease = timedelta(seconds=SECONDS)
        free = Q(lease_until=None) | Q(lease_until__lt=now - lease)
        text = _("The program was interrupted before it sent the message; nothing was sent")
        lost = SMSUnavailable(text, code="interrupted")
        rows = self.undue().filter(free, updated_at__lt=now - 2 * lease)
        return sum(row.fail_queued(lost, free) for row in rows)

    def abandon(self) -> int:
        """Make SENDING rows UNKNOWN if their lease has ended. Return their number.

        Their worker is dead, but their requests may have arrived. So no worker sends the rows
        again. A dry run becomes FAILED. If the database has SKIP LOCKED, locked rows are left out,
        because a host that freezes while it writes results can hold the locks for a long time.
        """
        stale = self.filter(state=State.SENDING, lease_until__lt=database_now(self.db))
        lost = SMSOutcomeUnknown(
            _("The process ended while it was sending the message"), code=WORKER_LOST
        )
        if not connections[self.db].features.has_select_for_update_skip_locked:
            return sum(row.fail(lost, token=row.lease_token) for row in stale)
        if not stale.exists():  # workers ask often, and a transaction is not free
            return 0
        with transaction.atomic(using=self.db):
            free = stale.select_for_update(skip_locked=True)
            return sum(row.fail(lost, token=row.lease_token) for row in free)

    # Signals

    def announce(self, state: State, *, is_first: bool = False) -> None:
        """After the commit, send the signals for these rows, whose state has changed to `state`.

        Args:
            is_first: True if the provider had not accepted the messages before this change.
        """
        if not heard(self.model, state, is_first):
            return
        rows = MessageQuerySet(self.model, using=self.db)
        for primary_key in self.values_list("pk", flat=True):
            rows.filter(pk=primary_key).announce_one(state, is_first=is_first)

    def announce_one(self, state: State, *, is_first: bool) -> None:
        """After the commit, read the only row of this queryset again, and send its signals."""
        wanted = heard(self.model, state, is_first)
        if wanted:
            after_commit(self.db, announce_stored, self.using(self.db), wanted, state)


def _claim_order(row: Message) -> tuple[int, datetime, int]:
    """Return the sort key of a row. It gives the same order as `CLAIM_ORDER` in the database."""
    return (-row.priority, row.next_attempt_at, row.pk)


def _late() -> SMSError:
    return SMSUnavailable(_("It expired before it was sent"), code="expired_unsent")
