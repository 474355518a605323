"""A provider that is never the limit: it answers every send after the same time, and does no more.

Not the simulator, which keeps a ledger and takes its time for it. `python -m
tests.benchmarks.provider SECONDS [tls]` prints its URL, and ends with its standard input.
"""

import asyncio
import itertools
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TLS = Path(__file__).parents[1] / "tls"
AUTHORITY = TLS / "authority.pem"

BODY = (
    '{{"data":{{"id":"benchmark-{number:x}-{start:x}","state":"NEW","sender":"Openapi",'
    '"internationalPrefix":"39","countryCode":"IT","encoding":"GSM-7","charactersCount":5,'
    '"messageCount":1,"price":0,"totalPrice":0,"blocklisted":false,'
    '"createdAt":"2026-07-01T12:00:00+00:00","updatedAt":"2026-07-01T12:00:00+00:00"}}}}'
)
numbers = itertools.count()


class Answering(asyncio.Protocol):
    """One connection; requests come one after the other, each with a Content-Length."""

    def __init__(self, latency: float, start: int) -> None:
        self.latency, self.start, self.buffer = latency, start, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, rest = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        if len(rest) < int(length or 0):
            return
        self.buffer = rest[int(length or 0) :]
        asyncio.get_running_loop().call_later(self.latency, self.answer)

    def answer(self) -> None:
        body = BODY.format(number=next(numbers), start=self.start).encode()
        self.transport.write(
            b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
        )


async def serve(latency: float, *, tls: bool) -> None:
    context = None
    if tls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(TLS / "localhost.pem")
    loop = asyncio.get_running_loop()
    start = id(loop)
    server = await loop.create_server(
        lambda: Answering(latency, start), "127.0.0.1", 0, ssl=context, backlog=256
    )
    port = server.sockets[0].getsockname()[1]
    print(f"{'https://localhost' if tls else 'http://127.0.0.1'}:{port}", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


@contextmanager
def provider(latency: float, *, tls: bool = False) -> Iterator[str]:
    """Yield the URL of a provider in a process of its own."""
    words = [sys.executable, "-m", "tests.benchmarks.provider", str(latency), *["tls"] * tls]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdin
        yield process.stdout.readline().strip()
        process.stdin.close()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1]), tls="tls" in sys.argv))
