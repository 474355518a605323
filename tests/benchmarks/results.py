"""P4: what it costs to write a result down, guarded, beside an unguarded `bulk_update`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from .harness import Benchmark, empty_tables, stopwatch, use_database

if TYPE_CHECKING:
    from django_smsww.models import Message

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
FIELDS = (
    *("state", "provider_id", "encoding", "characters", "segments", "country", "prefix"),
    *("provider_updated_at", "updated_at", "lease_token", "lease_until", "error", "error_code"),
)


def sending(count: int) -> list[Message]:
    """Store rows as they are while their requests are under way."""
    from django.utils import timezone

    from django_smsww.models import Message
    from django_smsww.models.lease import Lease

    empty_tables()
    lease = Lease.begin("default")
    rows = [
        Message(
            alias="default",
            recipient=f"+39333{n:07}",
            body="Your table is free: come within 15 minutes.",
            expires_at=timezone.now() + timedelta(days=1),
            lease_token=lease.token,
            lease_until=lease.until,
        )
        for n in range(count)
    ]
    Message.objects.bulk_create(rows)
    return Message.objects.claim([row.pk for row in rows], lease)


def result_of(message: Message) -> object:
    from django_smsww import SendResult

    return SendResult(
        provider_id=f"id-{message.pk}",
        state="NEW",
        encoding="GSM-7",
        characters=43,
        segments=1,
        country="IT",
        prefix="39",
        price=Decimal(0),
        total_price=Decimal(0),
        updated_at=NOW,
    )


def by_us(count: int) -> float:
    """Return milliseconds of CPU a row."""
    from django_smsww.models.transitions import accepted, move_together

    rows = sending(count)
    token = rows[0].lease_token
    assert token
    with stopwatch() as watch:
        for start in range(0, count, 250):
            block = rows[start : start + 250]
            moves = [accepted(row, result_of(row), "default") for row in block]  # type: ignore[arg-type]
            move_together(moves, token, "default")
    check(count)
    return watch.cpu / count * 1e3


def by_bulk_update(count: int) -> float:
    from django_smsww.models import Message

    rows = sending(count)
    with stopwatch() as watch:
        for start in range(0, count, 250):
            block = rows[start : start + 250]
            for row in block:
                fill_in(row)
            Message.objects.bulk_update(block, FIELDS)
    check(count)
    return watch.cpu / count * 1e3


def fill_in(row: Message) -> None:
    result = result_of(row)
    for name in ("provider_id", "encoding", "characters", "segments", "country", "prefix", "state"):
        setattr(row, name, getattr(result, name))
    row.provider_updated_at, row.updated_at = NOW, NOW
    row.lease_token = row.lease_until = None


def check(count: int) -> None:
    from django_smsww.models import Message

    assert Message.objects.filter(state="NEW", country="IT").count() == count


def main() -> None:
    bench = Benchmark("P4", __doc__)
    count = bench.size(1000, small=20)
    with use_database() as vendor:
        rounds = bench.rounds(
            {
                f"ours on {vendor}": lambda: by_us(count),
                f"bulk_update on {vendor}": lambda: by_bulk_update(count),
            },
            unit="ms of CPU a row",
        )
    ratio = rounds.ratio(f"ours on {vendor}", f"bulk_update on {vendor}")
    bench.at_most(f"CPU of a result / bulk_update on {vendor}", ratio, 1 / 5)
    bench.finish()


if __name__ == "__main__":
    main()
