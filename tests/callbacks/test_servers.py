"""Callbacks without Content-Length, as CDNs forward them, through real WSGI servers."""

import os
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from functools import partial
from wsgiref.simple_server import WSGIRequestHandler, make_server

from django.core.handlers.wsgi import WSGIHandler

from django_smsww.callbacks.parsing import MAX_BYTES, write_body
from django_smsww.gateway.signature import PROBE, custom_stamp

from ..support.door import ENVIRONMENT, URL
from ..support.processes import ROOT
from ..support.waiting import await_true, free_port, is_open

TYPE, TEXT = write_body("JSON", {"id": "", "state": "PROBE"}, custom_stamp(PROBE, ENVIRONMENT))


class Silent(WSGIRequestHandler):
    def log_message(self, *args):
        pass


@contextmanager
def wsgiref():
    with make_server("127.0.0.1", 0, WSGIHandler(), handler_class=Silent) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def gunicorn():
    port = free_port()
    place = ["--bind", f"127.0.0.1:{port}", "--log-level", "error"]
    application = "django.core.wsgi:get_wsgi_application()"
    with subprocess.Popen(
        [sys.executable, "-m", "gunicorn", *place, application], cwd=ROOT, env=os.environ
    ) as server:
        try:
            await_true(lambda: is_open(port), seconds=60)
            yield port
        finally:
            server.terminate()


def post_chunks(port, *chunks):
    """Post a body in chunks, in one write; return the status and the answer."""
    head = f"POST {URL} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {TYPE}\r\n"
    head += "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))
    with socket.create_connection(("127.0.0.1", port), 10) as caller:
        caller.sendall(head.encode() + body)
        answer = b"".join(iter(partial(caller.recv, 65536), b""))
    return int(answer.split()[1]), answer.partition(b"\r\n\r\n")[2]


def test_a_server_that_ends_the_stream_gives_the_whole_body():
    text = TEXT.encode()
    with gunicorn() as port:
        assert post_chunks(port, text[:50], text[50:])[0] == 200
        assert post_chunks(port, text[:50])[0] == 400
        assert post_chunks(port, *[b" " * 1000] * (MAX_BYTES // 1000 + 9))[0] == 413


def test_a_server_that_does_not_is_asked_for_a_length():
    with wsgiref() as port:
        status, answer = post_chunks(port, TEXT.encode())
    assert (status, answer) == (411, b'{"error": "no_length"}')
