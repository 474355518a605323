"""Callbacks without Content-Length, as CDNs forward them, through real WSGI servers."""

import os
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from asgiref.sync import async_to_sync
from asgiref.testing import ApplicationCommunicator
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.test import AsyncRequestFactory
from django.urls import resolve

from django_smsww.callbacks.parsers import MAX_BYTES, write_body
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


@pytest.mark.slow
def test_a_server_that_ends_the_stream_gives_the_whole_body():
    text = TEXT.encode()
    with gunicorn() as port:
        assert post_chunks(port, text[:50], text[50:])[0] == 200
        assert post_chunks(port, text[:50])[0] == 400
        assert post_chunks(port, *[b" " * 1000] * (MAX_BYTES // 1000 + 9))[0] == 413


def test_a_server_that_does_not_is_asked_for_a_length():
    with wsgiref() as port:
        status, answer = post_chunks(port, TEXT.encode())
    assert (status, answer) == (411, b'{"error":"no_length"}')


@pytest.mark.parametrize(
    "more", [{}, {"HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": str(len(TEXT))}]
)
def test_a_body_of_http_2_and_one_that_the_server_has_measured_are_whole(rf, more):
    request = rf.generic("POST", URL, TEXT, TYPE, **{"CONTENT_LENGTH": ""} | more)
    request.environ |= {"wsgi.input": BytesIO(TEXT.encode()), "wsgi.input_terminated": True}
    assert resolve(URL).func(request).status_code == 200


def test_a_server_of_asgi_gives_the_whole_body():
    async def post():
        scope = AsyncRequestFactory()._base_scope(
            method="POST", path=URL, headers=[(b"content-type", TYPE.encode())]
        )
        half = len(TEXT) // 2
        said = ApplicationCommunicator(ASGIHandler(), {"type": "http", **scope})
        for body, more in ((TEXT[:half], True), (TEXT[half:], False)):
            chunk = {"type": "http.request", "body": body.encode(), "more_body": more}
            await said.send_input(chunk)
        begun = await said.receive_output(5)
        await said.receive_output(5)
        await said.wait()
        return begun

    assert async_to_sync(post)()["status"] == 200
