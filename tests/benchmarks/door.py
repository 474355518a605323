"""P8, S5: the callback door takes twice what the gateway can send, also among a million rows.

    DATABASE_URL=postgres://… [MILLION=postgres://…] python -m tests.benchmarks.door [--small]

Over HTTP, by gunicorn with two sync workers and eight callers. MILLION names a database that
FILL of `tests.benchmarks.sizes` has filled; without it the larger one has 100,000 rows.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from uuid import UUID

import django
import psycopg
from django.db import connection

from tests.support.databases import new_database
from tests.support.processes import ROOT, environment_of, manage
from tests.support.waiting import await_true, free_port, is_open

from .harness import Benchmark
from .many_rows import ENVIRONMENT, SETTINGS, TEMPLATE, fill

CALLERS = 8
LIMIT = 333.0
"""Callbacks a second: the gateway takes 10,000 messages a minute, and two come back of each."""

DEFAULTS = "tests.settings"
FEW_ROWS = f"""
import django; django.setup()
{TEMPLATE}
new = [Message(
    alias="default", environment="{ENVIRONMENT}", recipient="+393331234567", state="NEW",
    provider_id=f"id-{{n}}", expires_at=timezone.now()) for n in range(COUNT)]
for row in Message.objects.bulk_create(new):
    print(row.reference, row.provider_id)
"""

Door = Callable[[str], float]


def request_for(path: str, reference: str, provider_id: str) -> bytes:
    """Return the bytes of an authentic callback."""
    from django_smsww.gateway.signature import custom_stamp, header_stamp
    from tests.support.door import document  # it needs the models

    [(name, value)] = header_stamp(UUID(reference), ENVIRONMENT).items()
    payload = {
        "data": document(updatedAt="2026-12-01T10:05:00+00:00", id=provider_id),
        "custom": custom_stamp(UUID(reference), ENVIRONMENT),
    }
    body = json.dumps(payload).encode()
    head = (
        f"POST /{path}/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n{name}: {value}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + body


def knock(port: int, requests: list[bytes]) -> tuple[float, list[bytes]]:
    """Post these, eight at a time; return how many were taken a second, and other answers."""
    waiting: SimpleQueue[bytes] = SimpleQueue()
    for request in requests:
        waiting.put(request)
    refused: list[bytes] = []
    callers = [
        threading.Thread(target=_call, args=(port, waiting, refused)) for _ in range(CALLERS)
    ]
    began = time.perf_counter()
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    return len(requests) / (time.perf_counter() - began), refused


def _call(port: int, waiting: SimpleQueue[bytes], refused: list[bytes]) -> None:
    while True:
        try:
            request = waiting.get_nowait()
        except Empty:
            return
        with closing(socket.create_connection(("127.0.0.1", port), 30)) as caller:
            caller.sendall(request)
            answer = b"".join(iter(partial(caller.recv, 65536), b""))
        if not answer.startswith(b"HTTP/1.1 200") or b'"moved"' not in answer:
            refused.append(answer)


@contextmanager
def serve(url: str, settings: str = SETTINGS, workers: int = 2) -> Iterator[int]:
    """Run the site with this database; yield its port."""
    port = free_port()
    place = ["--workers", str(workers), "--bind", f"127.0.0.1:{port}", "--log-level", "warning"]
    server = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", *place, "tests.benchmarks.door_site:application"],
        cwd=ROOT,
        env=environment_of(url, DJANGO_SETTINGS_MODULE=settings),
    )
    try:
        await_true(lambda: is_open(port), seconds=60)
        yield port
    finally:
        server.terminate()
        server.wait(30)


def door(port: int, rows: Iterator[tuple[str, str]], count: int) -> Door:
    """Return what knocks at a path, each time with callbacks of other messages."""
    nobody = (str(UUID(int=1)), "nobody")

    def once(path: str) -> float:
        names = [nobody if path == "nothing" else next(rows) for _ in range(count)]
        rate, refused = knock(port, [request_for(path, *name) for name in names])
        assert not refused, refused[0]
        return rate

    return once


def waiting_rows(url: str, count: int) -> Iterator[tuple[str, str]]:
    """Return reference and provider's id of so many messages that are NEW, from anywhere."""
    query = (
        "SELECT reference::text, provider_id FROM django_smsww_message WHERE state = 'NEW'"
        " AND provider_id != 'template' ORDER BY random() LIMIT %s"
    )
    with psycopg.connect(url) as server:
        found = server.execute(query, [count]).fetchall()
    assert len(found) == count, "There are not enough messages that are NEW."
    return iter(found)


def on_postgresql(bench: Benchmark, folder: Path) -> None:
    few, many = bench.size(10_000, small=200), bench.size(100_000, small=400)
    count = bench.size(600, small=10)
    million = os.environ.get("MILLION", "")
    with (
        new_database(folder) as small,
        nullcontext(million) if million else new_database(folder) as large,
    ):
        fill(small, few)
        if not million:
            fill(large, many)
        with serve(f"{small}?conn_max_age=60") as port, serve(f"{large}?conn_max_age=60") as other:
            here = door(port, waiting_rows(small, few * 9 // 10), count)
            there = door(other, waiting_rows(large, count * (bench.count + 1)), count)
            for path in ("nothing", "plain", "ours"):
                here(path)  # what is loaded at the first request is not measured
            there("ours")
            rounds = bench.rounds(
                {
                    "our door": lambda: here("ours"),
                    "the same SQL in a plain view": lambda: here("plain"),
                    "a view of REST framework that does nothing": lambda: here("nothing"),
                    "our door, large table": lambda: there("ours"),
                },
                unit="callbacks/s",
            )
    ours = "our door"
    bench.at_least("callbacks a second", rounds.figures[ours], LIMIT)
    nothing = "a view of REST framework that does nothing"
    bench.at_least("of a view that does nothing", rounds.ratio(ours, nothing), 0.30)
    plain = "the same SQL in a plain view"
    bench.at_least("of a plain view with five statements", rounds.ratio(ours, plain), 0.95)
    rows = "1M rows" if million else f"{many:,} rows"
    large_table = rounds.ratio("our door, large table", ours)
    bench.at_least(f"{rows}, of {few:,} rows", large_table, 0.7)


def on_sqlite(bench: Benchmark, folder: Path) -> None:
    """Try SQLite as Django sets it up by default, with eight workers that all write."""
    url, count = f"sqlite:///{folder}/door.sqlite3", bench.size(400, small=20)
    manage(url, "migrate", "--verbosity", "0", DJANGO_SETTINGS_MODULE=DEFAULTS)
    code = FEW_ROWS.replace("COUNT", str(count * bench.count))
    said = manage(url, code=code, DJANGO_SETTINGS_MODULE=DEFAULTS)
    rows = iter([tuple(line.split()) for line in said.splitlines()])
    errors = []
    with serve(url, DEFAULTS, workers=CALLERS) as port:
        for _ in range(bench.count):
            _, refused = knock(port, [request_for("ours", *next(rows)) for _ in range(count)])
            errors.append(float(len(refused)))
    bench.at_most("errors on SQLite by default, eight connections", errors, 0)


def main() -> None:
    bench = Benchmark("P8", __doc__ or "")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", SETTINGS)
    django.setup()
    with tempfile.TemporaryDirectory(prefix="smsww-benchmark-") as name:
        if connection.vendor == "postgresql":
            on_postgresql(bench, Path(name))
        else:
            bench.skip("callbacks a second, and ratios", "DATABASE_URL names no PostgreSQL")
        on_sqlite(bench, Path(name))
    bench.finish()


if __name__ == "__main__":
    main()
