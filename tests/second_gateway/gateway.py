"""A gateway of the tests' own, written from the specification 1.2.7 on plain sockets.

It shares no code with the package, so that a mistake of ours is not made twice. Its ledger is the
judge: each message that it accepted stands there once, whatever became of the answer.
"""

import json
import re
import socketserver
import struct
import zlib
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from random import Random
from socket import SO_LINGER, SOL_SOCKET
from threading import Lock, Thread
from urllib.parse import parse_qs, urlencode, urlsplit

from .phone import parts_of

TOKEN = "second"
FINAL = ("DELIVERED", "DELIVERED", "DELIVERED", "UNDELIVERABLE", "EXPIRED", "REJECTED")
UNHEARD = ("lost", "reset", "cut", "bad-gateway", "error-500", "bare-503", "timeout-504")
ACCEPTED_ODDLY = (
    *UNHEARD,
    *("hints", "processing", "gzip", "deflate", "chunked", "closing", "bare", "list", "text"),
    *("number-id", "long-id", "texts", "nulls", "new-word", "marked"),
)
NOT_ACCEPTED = ("drop", "drop-500", "unavailable", "refused", "forbidden-content")


class Refusal(Exception):
    def __init__(self, status, code, message):
        self.answer = status, {"code": code, "message": message}


class Gateway:
    """The account's ledger, and the server in front of it.

    Attributes:
        messages: the accepted messages by id, the oldest first.
        unheard: the ids of which no answer told.
        callbacks: those due to be delivered: headers, content type and body.
        odds: how many of all requests have an odd answer.
    """

    def __init__(self, seed, odds=0.4):
        self.random, self.odds = Random(seed), odds
        self.messages, self.callbacks, self.unheard = {}, [], []
        self.lock, self.numbers = Lock(), count(1)
        self.server = Server(("127.0.0.1", 0), Connection)
        self.server.gateway = self
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self):
        Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *exc_info):
        self.server.shutdown()
        self.server.server_close()

    # Requests

    def handle(self, request):
        """Return the answer to a request: status, JSON or None, and the manner of the answer."""
        with self.lock:
            if request.headers.get("authorization") != f"Bearer {TOKEN}":
                return 401, None, "plain"
            path = urlsplit(request.target)
            try:
                if request.method == "POST" and path.path == "/WW-messages":
                    return self.send(request.body)
                if request.method == "GET" and path.path.startswith("/messages"):
                    return self.read(path)
            except Refusal as refusal:
                return *refusal.answer, "plain"
            return 404, None, "plain"

    def send(self, body):
        wanted = checked(body)
        if wanted.get("options", {}).get("dryRun"):
            return 201, {"data": self.message(wanted)}, "plain"
        manner = self.manner(ACCEPTED_ODDLY + NOT_ACCEPTED)
        if manner == "refused":
            raise Refusal(422, 2011, "Invalid mobile phone number. Use E.164 format.")
        if manner == "forbidden-content":
            raise Refusal(422, 2044, "The message does not comply with the legal requirements.")
        if manner == "unavailable":
            return 503, {"code": 503, "message": "Temporarily unavailable"}, "plain"
        if manner in NOT_ACCEPTED:
            return 500, None, manner
        message = self.message(wanted, manner)
        self.messages[str(message["id"])] = message
        if manner in UNHEARD:
            self.unheard.append(message["id"])
        return 201, {"data": message}, manner

    def manner(self, odd):
        return self.random.choice(odd) if self.random.random() < self.odds else "plain"

    def message(self, wanted, manner="plain"):
        now, number = stamp(), next(self.numbers)
        encoding, characters, parts = parts_of(wanted["message"])
        ids = {"number-id": number + 10**9, "long-id": number + 10**18}
        return {
            "id": ids.get(manner, f"{number:024x}"),
            "username": "someone@example.com",
            "state": "ACCEPTED_BY_CARRIER" if manner == "new-word" else "NEW",
            "sender": wanted.get("sender") or "Openapi",
            "recipient": wanted["recipient"],
            "internationalPrefix": wanted["recipient"][1:3],
            "countryCode": None if manner == "nulls" else "IT",
            "message": wanted["message"],
            "encoding": encoding,
            "charactersCount": characters,
            "messageCount": str(parts) if manner == "texts" else parts,
            "price": "0" if manner == "texts" else 0,
            "totalPrice": None if manner == "nulls" else 0,
            "blocklisted": manner == "marked",
            "blocklistedReason": "forbidden words" if manner == "marked" else None,
            "options": wanted.get("options"),
            "callback": wanted.get("callback"),
            "createdAt": now,
            "updatedAt": now,
            "sentAt": None,
            "deliveredAt": None,
        }

    def read(self, path):
        name = path.path.removeprefix("/messages").strip("/")
        manner = self.manner(("hints", "gzip", "deflate", "chunked", "closing", "text", "numbered"))
        if self.random.random() < 0.01:  # an error with a status of success
            failure = {"success": False, "message": "Try later", "error": 17, "data": None}
            return 200, failure, "plain"
        if name:
            found = self.messages.get(name)
            return (200, {"data": found}, manner) if found else (404, None, "plain")
        query = {key: int(value[0]) for key, value in parse_qs(path.query).items()}
        skip, limit = query.get("skip", 0), min(query.get("limit", 100), 100)
        page = list(reversed(self.messages.values()))[skip : skip + limit]
        if not page:
            return 404, {"code": 404, "message": "No messages found"}, "plain"
        return 200, {"data": page}, manner

    # What the network does later

    def pass_on(self):
        """Move each message that is under way, and call back; a price may come later than that."""
        with self.lock:
            for message in self.messages.values():
                if message["state"] in FINAL:
                    self.change(message, **price_of(message))
                    continue
                self.change(message, state="PENDING", sentAt=stamp())
                before = json.loads(json.dumps(message))
                price = price_of(message) if self.random.random() < 0.5 else {}
                state = self.random.choice(FINAL)
                times = {"deliveredAt": stamp()} if state == "DELIVERED" else {}
                self.change(message, state=state, **times, **price)
                self.call_back(before, json.loads(json.dumps(message)))

    def change(self, message, **facts):
        if any(message[name] != value for name, value in facts.items()):
            message.update(facts, updatedAt=stamp())

    def call_back(self, *versions):
        """Post the versions of a message: in order or not, once, twice or never."""
        wanted, chance = versions[0].get("callback"), self.random
        kept = [one for one in versions for _ in range(chance.choice((0, 1, 1, 1, 2)))]
        chance.shuffle(kept)
        for one in kept if wanted else ():
            if chance.random() < 0.05:  # signed for this message, with the id of another
                one = one | {"id": chance.choice(self.unheard)}
            body, kind = written(one, wanted, chance.choice(("data", "bare", "text", "list")))
            self.callbacks.append((wanted.get("headers", {}), kind, body))

    def take_callbacks(self, share=1.0):
        """Return a part of the callbacks that are due, in any order; the others come later."""
        with self.lock:
            self.random.shuffle(self.callbacks)
            cut = int(len(self.callbacks) * share)
            taken, self.callbacks = self.callbacks[:cut], self.callbacks[cut:]
        return taken


def stamp():
    return datetime.now(UTC).isoformat(timespec="microseconds")


def price_of(message):
    parts = int(message["messageCount"])
    return {"price": 0.0425, "totalPrice": round(0.0425 * parts, 4)}


def written(message, wanted, shape):
    """Return body and content type of a callback, in one of the shapes that were seen."""
    shapes = {"data": message, "text": json.dumps(message), "list": [message]}
    body = {"data": shapes[shape], "custom": wanted.get("custom")} if shape in shapes else message
    if wanted.get("method") == "POST":
        fields = body if shape in shapes else {"data": body}
        texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in fields.items()}
        return urlencode(texts).encode(), "application/x-www-form-urlencoded"
    return json.dumps(body).encode(), "application/json"


def checked(body):
    """Return the request of a message, if it is as the specification says."""
    wanted = json.loads(body)
    rules = {
        "recipient": lambda value: re.fullmatch(r"\+[1-9]\d{6,14}", value),
        "message": lambda value: isinstance(value, str) and value,
        "sender": lambda value: re.fullmatch(r"(?!\d+$)[A-Za-z0-9 ]{3,11}", value),
        "options": lambda value: set(value) <= {"dryRun", "failOnMultipleMessages"},
        "callback": is_callback,
    }
    missing = {"recipient", "message"} - set(wanted)
    wrong = [name for name, value in wanted.items() if not (name in rules and rules[name](value))]
    if missing or wrong:
        raise Refusal(400, 400, f"missing {sorted(missing)}, wrong {sorted(wrong)}")
    return wanted


def is_callback(value):
    texts = all(isinstance(text, str) for text in value.get("headers", {}).values())
    known = set(value) <= {"url", "method", "field", "retry", "headers", "custom"}
    return texts and known and value["url"] and value.get("retry", 0) in range(6)


# The wire


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address, daemon_threads, request_queue_size = True, True, 128


class Request:
    def __init__(self, line, headers, body):
        self.method, self.target, _ = line.split(" ")
        self.headers, self.body = headers, body


class Connection(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self):
        with suppress(OSError):
            while request := self.next_request():
                if not self.answer(*self.server.gateway.handle(request)):
                    return

    def next_request(self):
        line = self.rfile.readline().decode("ascii").strip()
        headers = {}
        while text := self.rfile.readline().decode("latin-1").strip():
            name, _, value = text.partition(":")
            headers[name.lower()] = value.strip()
        if not line:
            return None
        return Request(line, headers, self.rfile.read(int(headers.get("content-length", 0))))

    def answer(self, status, payload, manner):
        """Write the answer in this manner; return whether the connection stays open."""
        if manner in ("lost", "drop"):
            return False
        if manner == "reset":
            self.request.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
            return False
        if manner in BROKEN:
            status, body = BROKEN[manner]
            self.wfile.write(head(status, {"Content-Length": len(body)}) + body)
            return manner != "drop-500"
        body = json.dumps(shaped(payload, manner)).encode() if payload is not None else b""
        whole = whole_answer(status, body, manner)
        self.wfile.write(whole[: len(whole) // 2] if manner == "cut" else whole)
        return manner not in ("cut", "closing")


BROKEN = {
    "bad-gateway": (502, b"<html><h1>Bad Gateway</h1></html>"),
    "error-500": (500, b'{"success":false,"message":"Internal","error":500,"data":null}'),
    "bare-503": (503, b""),
    "timeout-504": (504, b"<html><h1>Gateway Time-out</h1></html>"),
    "drop-500": (500, b""),
}
INTERIM = {
    "hints": b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n" * 2,
    "processing": b"HTTP/1.1 102 Processing\r\n\r\n",
}


def shaped(payload, manner):
    if manner == "bare":
        return payload["data"]
    if manner in ("list", "text"):
        return {"data": [payload["data"]] if manner == "list" else json.dumps(payload["data"])}
    if manner == "numbered" and isinstance(payload["data"], list):
        return {"data": dict(enumerate(payload["data"]))}
    return payload


def whole_answer(status, body, manner):
    fields = {"Content-Type": "application/json"}
    if manner in ("gzip", "deflate"):
        packer = zlib.compressobj(wbits=31 if manner == "gzip" else 15)
        body = packer.compress(body) + packer.flush()
        fields["Content-Encoding"] = manner
    if manner == "closing":
        fields["Connection"] = "close"
    if manner == "chunked":
        pieces = [body[at : at + 50] for at in range(0, len(body), 50)]
        body = b"".join(b"%x\r\n%s\r\n" % (len(one), one) for one in pieces) + b"0\r\n\r\n"
        fields["Transfer-Encoding"] = "chunked"
    else:
        fields["Content-Length"] = len(body)
    return INTERIM.get(manner, b"") + head(status, fields) + body


def head(status, fields):
    lines = [f"HTTP/1.1 {status} Answer", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode()
