"""A client with short time-outs in front of the raw server, and the answers it may get."""

import json

import pytest

from django_smsww.gateway import http
from django_smsww.gateway.client import Client
from django_smsww.gateway.http import ExchangeError, RawRequest
from django_smsww.sms import SMS

from .raw_server import RawServer

TOKEN = "token-of-the-test"
HELLO = SMS("Hello, private words", "+393331234567", dry_run=False)
ACCEPTED = b'{"data": {"id": "1", "state": "NEW", "price": 0.045, "messageCount": 2}}'


IMPATIENT = 0.4
"""Seconds that a test waits for an answer which does not come."""


def client(url, *, timeout=1.0, **options):
    return Client(TOKEN, host=url, timeouts=(1, timeout), **options)


def sent(script, sms=HELLO, callback=None):
    """Send to a server with this script; return the result and the request."""
    with RawServer(script) as server:
        result = client(server.url).send("WW", sms, callback)
        return result, server.requests[0]


def refused(script, kind, sms=HELLO, *, timeout=1.0):
    with RawServer(script) as server:
        with pytest.raises(kind) as caught:
            client(server.url, timeout=timeout).send("WW", sms)
        assert len(server.requests) == 1
    assert type(caught.value) is kind
    return caught.value


def body_of(request):
    return json.loads(request.partition(b"\r\n\r\n")[2])


def envelope(code, message="Something is wrong"):
    return json.dumps({"code": code, "message": message}).encode()


def platform(error, message="Something is wrong"):
    values = {"success": False, "message": message, "error": error, "data": None}
    return json.dumps(values).encode()


HTML = b"<html><body>Service Unavailable</body></html>"
XML = b"<?xml version='1.0'?><error>Unauthorized</error>"


BODY = b'{"message": "private words"}'


def exchange(url, *, timeout=1.0, connect_timeout=1.0, max_size=1 << 20, body=BODY):
    headers = {"Authorization": f"Bearer {TOKEN}"}
    timeouts = (connect_timeout, timeout)
    return http.exchange(
        RawRequest("POST", f"{url}/WW-messages", headers, body, timeouts, max_size)
    )


def failure(url, **options):
    with pytest.raises(ExchangeError) as caught:
        exchange(url, **options)
    return caught.value
