"""S2, S3: one message at a time, beside its request alone and beside django-post_office."""

import os
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from .harness import Benchmark, empty_tables, use_database
from .provider import provider
from .sending import BODY, options, some_numbers

TICKS = os.sysconf("SC_CLK_TCK")
Call = Callable[[str], object]


def server_seconds() -> float:
    """Return the CPU seconds of the process of PostgreSQL that serves this connection."""
    from django.db import connection

    if connection.vendor != "postgresql":
        return 0.0
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        process = Path(f"/proc/{cursor.fetchone()[0]}/stat")
    if not process.exists():  # the server is on another machine
        return 0.0
    return sum(map(int, process.read_text().rpartition(")")[2].split()[11:13])) / TICKS


def cpu_of(call: Call, names: list[str]) -> float:
    """Return the CPU of a call, of this process and of the database, in microseconds."""
    empty_tables()
    begun = time.process_time() + server_seconds()
    for name in names:
        call(name)
    return (time.process_time() + server_seconds() - begun) / len(names) * 1e6


def seconds_of(call: Call, names: list[str]) -> float:
    empty_tables()
    begun = time.perf_counter()
    for name in names:
        call(name)
    return (time.perf_counter() - begun) / len(names) * 1e6


def listen() -> None:
    """Connect a receiver to each signal, as the README tells everybody to do."""
    from django_smsww import signals

    for signal in (signals.message_sent, signals.message_failed, signals.message_state_changed):
        signal.connect(lambda **kwargs: None, weak=False)


def request_alone() -> Call:
    from django_smsww import SMS, sms_backends

    backend = sms_backends["default"]
    return lambda number: backend.send(backend.prepare(SMS(BODY, number)))


def inside_transaction(number: str) -> None:
    from django.db import transaction

    from django_smsww import send_sms

    with transaction.atomic():
        send_sms(BODY, number)


def post_office_send(number: str) -> None:
    from post_office import mail

    mail.send(f"{number[1:]}@example.com", "a@example.com", message=BODY)


def compare_sends(bench: Benchmark, vendor: str, numbers: list[str]) -> None:
    from django_smsww import send_sms

    calls: dict[str, Call] = {
        "the request alone": request_alone(),
        "send_sms": lambda number: send_sms(BODY, number),
        "send_sms with a key": lambda number: send_sms(BODY, number, key=number),
        "send_sms inside a transaction": inside_transaction,
    }
    candidates = {name: lambda call=call: cpu_of(call, numbers) for name, call in calls.items()}
    rounds = bench.rounds(candidates, unit="us of CPU")
    for name in list(calls)[1:]:
        ratio = rounds.ratio(name, "the request alone")
        bench.at_most(f"CPU of {name} / its request on {vendor}", ratio, 8)


def compare_queueing(bench: Benchmark, vendor: str, numbers: list[str]) -> None:
    from django_smsww import send_sms

    calls: dict[str, Call] = {
        "queued": lambda number: send_sms(BODY, number, queue=True),
        "post_office send": post_office_send,
    }
    for measure, unit, limit in ((seconds_of, "wall", 0.9), (cpu_of, "CPU", 0.75)):
        candidates = {
            name: lambda call=call, measure=measure: measure(call, numbers)
            for name, call in calls.items()
        }
        rounds = bench.rounds(candidates, unit=f"us, {unit}")
        ratio = rounds.ratio("post_office send", "queued")
        bench.at_least(f"rate / post_office send by {unit} on {vendor}", ratio, limit)


def main() -> None:
    bench = Benchmark("S2", __doc__)
    has_peer = find_spec("post_office") is not None
    also = ["post_office"] if has_peer else []
    numbers = some_numbers(bench.size(200, small=10))
    with provider(0) as url, use_database(also=also, SMSWW={"default": options(url)}) as vendor:
        listen()
        compare_sends(bench, vendor, numbers)
        if has_peer:
            compare_queueing(bench, vendor, numbers)
    if not has_peer:
        bench.skip("beside post_office", "pip install django-post_office")
    bench.finish()


if __name__ == "__main__":
    main()
