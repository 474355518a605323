"""The history of the demo as a table, and its differences from the expected states."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django_smsww import State
from django_smsww.models import Message

from .scenario import ROLLED_BACK, Sent

HEADINGS = ("Reference", "What", "To", "State", "Segments", "Price", "Delivered after", "Error")
RIGHT_ALIGNED = ("Segments", "Price", "Delivered after")
PRICED = {State.PENDING, State.DELIVERED, State.UNDELIVERABLE, State.EXPIRED, State.REJECTED}


def refresh(sent: Sequence[Sent]) -> list[Sent]:
    rows = Message.objects.in_bulk([one.message.pk for one in sent])
    return [Sent(one.case, rows[one.message.pk]) for one in sent]


def differences(sent: Sequence[Sent], ledger: Sequence[dict[str, Any]]) -> list[str]:
    """Describe each error in the history, and in the ledger of the simulator."""
    found = [
        f"{one.message.reference} ({one.case.title}): {problem}"
        for one in sent
        for problem in problems_of(one)
    ]
    return [*found, *repeated(sent), *sent_twice(ledger)]


def problems_of(one: Sent) -> Iterator[str]:
    message = one.message
    if message.state != one.case.state:
        yield f"is {message.state}, must be {one.case.state}"
        return
    if message.state in PRICED and not message.total_price:
        yield "has no price, though a callback brought it"
    if message.state == State.DELIVERED and message.delivered_at is None:
        yield "has no time of delivery, though a callback brought it"
    if message.sensitive and message.body:
        yield "still has its text, though that is sensitive"


def repeated(sent: Iterable[Sent]) -> Iterator[str]:
    """Yield the numbers that the mass send gave more than one row."""
    batches = {(one.case.recipient, one.message.pk) for one in sent if one.message.batch}
    counts = Counter(recipient for recipient, _ in batches)
    return (f"{number} has {count} rows" for number, count in counts.items() if count > 1)


def sent_twice(ledger: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield messages that the simulator accepted twice, or that no request should have reached."""
    counts = Counter(entry["reference"] for entry in ledger)
    for reference, count in counts.items():
        if count > 1:
            yield f"{reference} was accepted {count} times"
    if any(entry["recipient"] == ROLLED_BACK for entry in ledger):
        yield "a message of a transaction that was rolled back was sent"


def format_table(sent: Iterable[Sent]) -> str:
    lines = [HEADINGS, *(_cells(one) for one in sent)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    table = [_line(line, widths) for line in lines]
    return "\n".join([table[0], "  ".join("-" * width for width in widths), *table[1:]])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    aligned = (
        cell.rjust(width) if heading in RIGHT_ALIGNED else cell.ljust(width)
        for heading, cell, width in zip(HEADINGS, cells, widths, strict=True)
    )
    return "  ".join(aligned).rstrip()


def _cells(one: Sent) -> tuple[str, ...]:
    message = one.message
    return (
        str(message.reference)[:8],
        one.case.title,
        message.recipient,
        message.state,
        str(message.segments or "-"),
        "-" if message.total_price is None else f"{message.total_price.normalize():f} EUR",
        _delivered_after(message),
        message.error,
    )


def _delivered_after(message: Message) -> str:
    if message.delivered_at is None or message.claimed_at is None:
        return "-"
    return f"{(message.delivered_at - message.claimed_at).total_seconds():.1f} s"
