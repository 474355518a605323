"""The HTTP server of the simulator, and the class that starts and stops a simulator."""

from __future__ import annotations

import os
import signal
import socket
import socketserver
import ssl
import sys
import threading
import time
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from .context import Context, Options
from .http import (
    Refusal,
    Request,
    Response,
    platform_error,
    reset_unread,
    server_context,
    write,
)
from .routes import Routes
from .store import StoreClosed

_LARGEST_BODY = 1024 * 1024
_IDLE_SECONDS = 75
_LINGER_SECONDS = 5


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        try:
            request = self._read()
        except Refusal as refusal:
            # Without this header, the client could send its next request on this connection.
            refusal.response.headers["Connection"] = "close"
            self._write(refusal.response)
            self._hang_up()
            return
        if request is not None:
            self._write(self.server.routes.answer(request))

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *args: Any) -> None:
        """Write nothing, because the standard log line would show the query string."""

    def handle(self) -> None:
        if not reset_unread(self.connection, partial(self.server.context.next_fault, "reset")):
            super().handle()

    def _write(self, response: Response) -> None:
        options = self.server.context.options
        usable = write(self.connection, response, self.server.stopping, options.drip)
        self.close_connection = self.close_connection or not usable
        if not options.quiet:
            path = urlsplit(self.path).path
            print(f"{self.command} {path} {response.status} {response.manner}", flush=True)

    def _hang_up(self) -> None:
        """Read the rest of the request, and close the connection.

        Unread bytes would cause a TCP reset, and the client could then lose the response.
        """
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_WR)
        self.connection.settimeout(_LINGER_SECONDS)
        for _ in range(_LARGEST_BODY // 1024):
            if not self.connection.recv(65536):
                break

    def _read(self) -> Request | None:
        """Return the request, or None if the connection ends before the body is complete."""
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
    """A threading HTTP server that can close its open connections."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, context: Context) -> None:
        self.context, self.routes = context, Routes(context)
        self._tls: ssl.SSLContext | None = None
        if certificate := context.options.certificate:
            self._tls = server_context(certificate, partial(context.next_fault, "handshake"))
        self.stopping = threading.Event()
        self._connections: set[Any] = set()
        super().__init__(("127.0.0.1", context.options.port), _Handler)

    def server_bind(self) -> None:
        """Bind the socket without the DNS look-up of Python's `HTTPServer`."""
        socketserver.TCPServer.server_bind(self)

    def get_request(self) -> tuple[Any, Any]:
        """Accept a connection. The TLS handshake happens later, in the connection's own thread."""
        connection, address = super().get_request()
        if self._tls is not None:
            connection = self._tls.wrap_socket(
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
        """Report an error, unless the connection was lost or the simulator is stopping."""
        error = sys.exception()
        gone = isinstance(error, (ConnectionError, TimeoutError, ssl.SSLError, StoreClosed))
        if not gone and not self.stopping.is_set():
            super().handle_error(request, client_address)

    def end_connections(self) -> None:
        """Close all connections, and wait up to two seconds until their threads have ended."""
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
    """A simulator in threads of this process: ``with Simulator(Options(...)) as simulator:``."""

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or Options()
        self._context = Context(self.options)
        try:
            self._server = _Server(self._context)
        except BaseException:
            self._context.store.close()
            raise
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        """The URL of the simulator, with the port on which it listens."""
        scheme = "https" if self.options.certificate else "http"
        return f"{scheme}://127.0.0.1:{self._server.server_address[1]}"

    def start(self) -> None:
        """Start to listen, and continue the unfinished messages of an existing store."""
        self._context.start()
        self._thread.start()

    def stop(self) -> None:
        """Stop the server, its connections and the callbacks, and close the store."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()
        self._server.end_connections()
        self._context.stop()

    def __enter__(self) -> Simulator:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()


def run(options: Options) -> None:
    """Run a simulator until SIGTERM or Ctrl-C. The first line of the output contains its URL."""
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    if options.stop_with_parent:
        threading.Thread(target=_wait_for_parent, args=(ended,), daemon=True).start()
    with Simulator(options) as simulator:
        print(f"Simulator listening on {simulator.url}", flush=True)
        ended.wait()


def _wait_for_parent(ended: threading.Event) -> None:
    """Wait until the parent process ends, which closes standard input. Then set the event."""
    while os.read(0, 1):
        continue
    ended.set()
