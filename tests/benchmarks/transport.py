"""P2: what a request costs us, beside urllib3 itself and `requests.post` for each message."""

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import requests
import urllib3
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from .harness import Benchmark, Rounds, stopwatch, use_database
from .provider import AUTHORITY, provider

THREADS = 16
PAYLOAD = {"recipient": "+393331234567", "message": "Your table is free: come within 15 minutes."}
HEADERS = {"Authorization": "Bearer benchmark", "Content-Type": "application/json"}

Send = Callable[[], object]


def by_us(url: str) -> Send:
    from django_smsww import SMS
    from django_smsww.backends.openapi import SMSBackend

    backend = SMSBackend(alias="default", token="benchmark", host=url)
    sms = SMS(PAYLOAD["message"], PAYLOAD["recipient"])
    return lambda: backend.send(sms)


def by_urllib3(url: str) -> Send:
    """One pool, and an answer that is read as JSON: what nobody can do without."""
    pool = urllib3.PoolManager(
        maxsize=THREADS, ca_certs=os.environ["REQUESTS_CA_BUNDLE"], retries=False
    )

    def send() -> object:
        body = json.dumps(PAYLOAD).encode()
        answer = pool.request("POST", f"{url}/WW-messages", body=body, headers=HEADERS)
        return json.loads(answer.data)

    return send


def by_requests(url: str) -> Send:
    """As most integrations do it."""

    def send() -> object:
        answer = requests.post(f"{url}/WW-messages", json=PAYLOAD, headers=HEADERS, timeout=30)
        return answer.json()

    return send


SENDERS = {"ours": by_us, "urllib3": by_urllib3, "requests.post": by_requests}


def run(send: Send, count: int, *, cpu: bool) -> float:
    """Return milliseconds of CPU a message, or messages a second."""
    with ThreadPoolExecutor(THREADS) as threads, stopwatch() as watch:
        list(threads.map(lambda _: send(), range(count)))
    return watch.cpu / count * 1e3 if cpu else count / watch.wall


def compare(bench: Benchmark, count: int, *, tls: bool, cpu: bool) -> Rounds:
    with provider(0.0, tls=tls) as url:
        senders = {name: make(url) for name, make in SENDERS.items()}
        for send in senders.values():
            run(send, 2 * THREADS, cpu=cpu)
        name = f"over {'TLS' if tls else 'plain HTTP'}"
        return bench.rounds(
            {
                f"{each}, {name}": lambda s=send: run(s, count, cpu=cpu)  # type: ignore[misc]
                for each, send in senders.items()
            },
            unit="ms of CPU a message" if cpu else "messages/s",
        )


@contextmanager
def real_bundle() -> Iterator[None]:
    """Trust our own authority beside all those that everybody trusts: loading them takes time."""
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as bundle:
        bundle.write(Path(DEFAULT_CA_BUNDLE_PATH).read_text() + AUTHORITY.read_text())
        bundle.flush()
        os.environ["REQUESTS_CA_BUNDLE"] = bundle.name
        yield


def main() -> None:
    bench = Benchmark("P2", __doc__)
    with real_bundle(), use_database():
        count = bench.size(1500, small=32)
        plain = compare(bench, count, tls=False, cpu=True)
        rates = compare(bench, count, tls=False, cpu=False)
        tls = compare(bench, bench.size(200, small=16), tls=True, cpu=True)
    http = ", over plain HTTP"
    bench.at_most("CPU / urllib3", plain.ratio(f"ours{http}", f"urllib3{http}"), 1.8)
    bench.at_least("rate / requests.post", rates.ratio(f"ours{http}", f"requests.post{http}"), 1.8)
    bench.at_most(
        "CPU over TLS / requests.post",
        tls.ratio("ours, over TLS", "requests.post, over TLS"),
        1 / 10,
    )
    bench.finish()


if __name__ == "__main__":
    main()
