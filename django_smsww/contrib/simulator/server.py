"""The HTTP server, and the simulator as one object to start and stop."""

from __future__ import annotations

import os
import signal
import socket
import socketserver
import ssl
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from .accepting import reset_unread, server_context
from .delivery import deliver
from .http import Refusal, Request, Response, platform_error
from .options import Options
from .routes import Routes
from .store import StoreClosed
from .world import build_world

_LARGEST_BODY = 1024 * 1024
_IDLE_SECONDS = 75
_LINGER_SECONDS = 5


class _Handler(BaseHTTPRequestHandler):
    """Reads requests from one connection and delivers the answers."""

    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        try:
            request = self._read()
        except Refusal as refusal:
            # Said before it is done, or the caller's next request might still come by this way.
            refusal.response.headers["Connection"] = "close"
            self._deliver(refusal.response)
            self._hang_up()
            return
        if request is not None:
            self._deliver(self.server.routes.answer(request))

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *args: Any) -> None:
        """Say nothing: the standard line would show queries."""

    def handle(self) -> None:
        if not reset_unread(self.connection, partial(self.server.take_fault, "reset")):
            super().handle()

    def _deliver(self, response: Response) -> None:
        drip = self.server.options.drip
        usable = deliver(self.connection, response, self.server.stopping, drip)
        self.close_connection = self.close_connection or not usable
        if not self.server.options.quiet:
            path = urlsplit(self.path).path
            print(f"{self.command} {path} {response.status} {response.manner}", flush=True)

    def _hang_up(self) -> None:
        """Take in what is still being sent: a reset would overtake the answer."""
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_WR)
        self.connection.settimeout(_LINGER_SECONDS)
        for _ in range(_LARGEST_BODY // 1024):
            if not self.connection.recv(65536):
                break

    def _read(self) -> Request | None:
        """Read a request completely; None if the caller went away in the middle of it."""
        length = self._length()
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = True
            return None
        url = urlsplit(self.path)
        return Request(
            method=self.command,
            path=url.path,
            query=dict(parse_qsl(url.query, keep_blank_values=True)),
            headers=self.headers,
            body=body,
            client=self.client_address[0],
        )

    def _length(self) -> int:
        text = self.headers.get("Content-Length", "0" if self.command != "POST" else "")
        if not (text.isascii() and text.isdigit()) or "Transfer-Encoding" in self.headers:
            raise platform_error(411, "Length Required")
        if len(text) > 9 or int(text) > _LARGEST_BODY:
            raise platform_error(413, "Request body too large")
        return int(text)


class _Server(ThreadingHTTPServer):
    """Remembers its connections, so that it can end them."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, options: Options, routes: Routes, take_fault: Callable[[str], str]) -> None:
        self.options, self.routes, self.take_fault = options, routes, take_fault
        self._context = (
            server_context(options.certificate, partial(take_fault, "handshake"))
            if options.certificate
            else None
        )
        self.stopping = threading.Event()
        self._connections: set[Any] = set()
        super().__init__(("127.0.0.1", options.port), _Handler)

    def server_bind(self) -> None:
        """Bind without asking a name server for our own name, as the standard one does."""
        socketserver.TCPServer.server_bind(self)

    def get_request(self) -> tuple[Any, Any]:
        """Accept a connection; the handshake comes with the first reading, in its own thread."""
        connection, address = super().get_request()
        if self._context is not None:
            connection = self._context.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        return connection, address

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report what is our mistake; a caller who went away is none."""
        error = sys.exception()
        gone = isinstance(error, (ConnectionError, TimeoutError, ssl.SSLError, StoreClosed))
        if not gone and not self.stopping.is_set():
            super().handle_error(request, client_address)

    def end_connections(self) -> None:
        """Let every handler see the end of its connection, and wait for them a little."""
        self.stopping.set()
        for connection in list(self._connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        deadline = time.monotonic() + 2
        while self._connections and time.monotonic() < deadline:
            time.sleep(0.005)


class Simulator:
    """A simulator in threads of this process: ``with Simulator(Options(pace=0.02)) as it:``."""

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or Options()
        self._world = build_world(self.options)
        try:
            self._server = _Server(self.options, Routes(self._world), self._world.take_fault)
        except BaseException:
            self._world.store.close()
            raise
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        """Where it listens, with the port that was chosen."""
        scheme = "https" if self.options.certificate else "http"
        return f"{scheme}://127.0.0.1:{self._server.server_address[1]}"

    def start(self) -> None:
        """Listen, and let the messages of an existing store go on."""
        self._world.start()
        self._thread.start()

    def stop(self) -> None:
        """End the listening, the connections, the callbacks; close the store."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()
        self._server.end_connections()
        self._world.stop()

    def __enter__(self) -> Simulator:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


def run(options: Options) -> None:
    """Serve until SIGTERM or Ctrl-C; the first line printed says where."""
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    if options.stop_with_parent:
        threading.Thread(target=_wait_for_parent, args=(ended,), daemon=True).start()
    with Simulator(options) as simulator:
        print(f"Simulator listening on {simulator.url}", flush=True)
        ended.wait()


def _wait_for_parent(ended: threading.Event) -> None:
    """Wait for the end of our standard input: a killed parent closes it without a word."""
    while os.read(0, 1):
        continue
    ended.set()
