"""A history of a million messages and two million callbacks, written past the ORM."""

import random
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any
from uuid import UUID

from django.core.management.color import no_style
from django.db import connections, transaction
from django.utils import timezone

from django_smsww import State
from django_smsww.models import Callback, Message
from django_smsww.models.fields import reversed_digits

DAYS = 30
BATCH, BATCH_SIZE = UUID("6f1d0a52-0000-4000-8000-000000000001"), 10_000
BLOCK = 5_000
COUNTRIES = {"IT": "+3933", "ES": "+3466", "DE": "+4917", "FR": "+3368", "GB": "+4479"}
TEXTS = (
    "Your code is {}. It is good for ten minutes; tell it to nobody.",
    "Your table is booked for Saturday at 20:30. Number {}.",
    "Il tuo pacco {} arriva oggi fra le 14 e le 16.",
    "“Grüße” – your parcel {} has arrived…",
)
# In a thousand messages.
STATES = (
    (State.DELIVERED, 925),
    (State.UNDELIVERABLE, 25),
    (State.EXPIRED, 10),
    (State.REJECTED, 8),
    (State.FAILED, 18),
    (State.CANCELLED, 3),
    (State.UNKNOWN, 1),
    (State.PENDING, 10),
)
ACCEPTED = frozenset(
    {State.DELIVERED, State.UNDELIVERABLE, State.EXPIRED, State.REJECTED, State.PENDING}
)


def make_history(count: int, using: str = "default") -> None:
    """Write so many messages of the past thirty days, and two callbacks for each."""
    now = timezone.now().replace(microsecond=0)
    with transaction.atomic(using=using):
        _insert(Message, (_message(n, count, now) for n in range(1, count + 1)), using)
        _insert(Callback, _callbacks(count, now), using)
        _set_sequences(using)
    with connections[using].cursor() as cursor:
        vacuum = "VACUUM ANALYZE" if connections[using].vendor == "postgresql" else "ANALYZE"
        cursor.execute(vacuum)


def number_of(n: int, count: int) -> str:
    """Return the number of the n-th message; each number has two or three."""
    chosen = random.Random(n % (count * 2 // 5 + 1))
    country = chosen.choices(tuple(COUNTRIES), (70, 10, 8, 7, 5))[0]
    return f"{COUNTRIES[country]}{chosen.randrange(10**8):08}"


def reference_of(n: int) -> UUID:
    """Return the reference of the n-th message."""
    return UUID(int=n * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128)


def provider_id_of(n: int) -> str:
    """Return what the gateway calls the n-th message."""
    return f"{n * 2654435761 % 2**96:024x}"


def _message(n: int, count: int, now: datetime) -> dict[str, Any]:
    chosen = random.Random(n)
    recipient = number_of(n, count)
    state = chosen.choices([one for one, _n in STATES], [n for _one, n in STATES])[0]
    is_dry = n % 100 == 7
    created = now - timedelta(seconds=(count - n) * DAYS * 86400 // count)
    segments = 1 + (n % 9 == 0)
    is_accepted = state in ACCEPTED and not is_dry
    return {
        "id": n,
        "reference": reference_of(n),
        "key": f"order-{n}" if n % 50 == 3 else None,
        "alias": "default" if n % 10 else "bulk",
        "batch": BATCH if n > count - BATCH_SIZE else None,
        "tag": ("otp", "", "reminder", f"campaign-{n % 20}")[n % 4],
        "recipient": recipient,
        "recipient_reversed": reversed_digits(recipient),
        "body": TEXTS[n % len(TEXTS)].format(n),
        "fingerprint": f"{n % 1000:064x}",
        "encoding": "UCS-2" if n % 4 == 3 else "GSM-7",
        "characters": 61,
        "segments": segments,
        "dry_run": is_dry,
        "state": State.VALIDATED if is_dry else state,
        "error": "SMSRefused" if state == State.FAILED else "",
        "error_code": "2011" if state == State.FAILED else "",
        "provider_id": provider_id_of(n) if is_accepted else None,
        "country": next(code for code, begin in COUNTRIES.items() if recipient.startswith(begin)),
        "prefix": recipient[1:3],
        "price": Decimal("0.069") if is_accepted else None,
        "total_price": Decimal("0.069") * segments if is_accepted else None,
        "created_at": created,
        "updated_at": created + timedelta(seconds=20),
        "next_attempt_at": created,
        "expires_at": created + timedelta(days=1),
        "claimed_at": created + timedelta(seconds=1),
        "sent_at": created + timedelta(seconds=2) if is_accepted else None,
        "delivered_at": created + timedelta(seconds=2 + chosen.expovariate(1 / 6))
        if state == State.DELIVERED and not is_dry
        else None,
        "finished_at": created + timedelta(seconds=20),
    }


def _callbacks(count: int, now: datetime) -> Iterator[dict[str, Any]]:
    for n in range(1, count + 1):
        received = now - timedelta(seconds=(count - n) * DAYS * 86400 // count)
        for number, state in enumerate((State.PENDING, State.DELIVERED)):
            yield {
                "id": 2 * n - 1 + number,
                "message_id": n,
                "reference": reference_of(n),
                "source": "callback",
                "outcome": "moved",
                "provider_id": provider_id_of(n),
                "state": state.value,
                "payload": {"id": provider_id_of(n), "state": state.value, "totalPrice": 0.069},
                "digest": f"{n * 2654435761 + number:064x}",
                "received_at": received + timedelta(seconds=3 * number),
                "last_received_at": received + timedelta(seconds=3 * number),
            }


def _insert(model: Any, rows: Iterable[dict[str, Any]], using: str) -> None:
    """Write rows by the quickest way that the database has."""
    connection = connections[using]
    fields = model._meta.concrete_fields
    usual = {field.attname: field.get_default() for field in fields}

    def prepared(row: dict[str, Any]) -> list[Any]:
        values = usual | row
        return [f.get_db_prep_save(values[f.attname], connection) for f in fields]

    table, columns = model._meta.db_table, ", ".join(field.column for field in fields)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(prepared(row))
            return
        places = ", ".join(["%s"] * len(fields))
        rows = iter(rows)
        while block := list(islice(rows, BLOCK)):
            statement = f"INSERT INTO {table} ({columns}) VALUES ({places})"
            cursor.executemany(statement, [prepared(row) for row in block])


def _set_sequences(using: str) -> None:
    connection = connections[using]
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), [Message, Callback]):
            cursor.execute(statement)
